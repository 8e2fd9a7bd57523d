//go:build unix

package cachedir_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// TestLeaseProcesses: a lease of another process is free once that is killed, or once its time has passed while that is
// stopped.
func TestLeaseProcesses(t *testing.T) {
	for i, s := range fileStores {
		t.Run(s.name, func(t *testing.T) {
			dir := t.TempDir()
			leaser := s.open(t, dir).(storage.Leaser)
			other := startHolder(t, dir, i, time.Hour)
			if _, ok, err := leaser.Lease(t.Context(), "key", time.Hour); ok || err != nil {
				t.Errorf("Lease while another process holds it = %t, %v, want false, nil", ok, err)
			}
			other.Process.Kill()
			other.Wait()
			release, ok, err := leaser.Lease(t.Context(), "key", time.Hour)
			if !ok || err != nil {
				t.Fatalf("Lease after its holder was killed = %t, %v, want true, nil", ok, err)
			}
			release()

			const d = 100 * time.Millisecond
			began := time.Now()
			other = startHolder(t, dir, i, d)
			if err := other.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			for ok = false; !ok; time.Sleep(time.Millisecond) {
				if release, ok, err = leaser.Lease(t.Context(), "key", time.Hour); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); ok && took < d || took > 20*time.Second {
					t.Fatalf("Lease while its holder is stopped = %t after %v, want true after %v", ok, took, d)
				}
			}
			other.Process.Signal(syscall.SIGCONT)
			if err := other.Wait(); err != nil { // it ends once it has released its lease
				t.Errorf("the other process: %v", err)
			}
			if _, ok, err := leaser.Lease(t.Context(), "key", time.Hour); ok || err != nil {
				t.Errorf("Lease after the stopped holder went on = %t, %v, want false, nil", ok, err)
			}
			release()
			if list, err := os.ReadDir(filepath.Join(dir, ".leases")); len(list) > 0 || err != nil {
				t.Errorf("the files of leases are %v, %v, want none", list, err)
			}
		})
	}
}

// startHolder starts a process that takes the lease of "key".
func startHolder(t *testing.T, dir string, store int, d time.Duration) *exec.Cmd {
	t.Helper()
	other := otherProcess(t, "TestLeaseOther", dir, store)
	other.Env = append(other.Env, "STORAGE_TEST_LEASE="+d.String())
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process prints %q, %v, want held", line, err)
	}
	return other
}

// TestLeaseOther is the other process of TestLeaseProcesses. It releases the lease once its time has passed.
func TestLeaseOther(t *testing.T) {
	dir, i := inOtherProcess(t)
	d, err := time.ParseDuration(os.Getenv("STORAGE_TEST_LEASE"))
	if err != nil {
		t.Fatal(err)
	}
	release, ok, err := fileStores[i].open(t, dir).(storage.Leaser).Lease(t.Context(), "key", d)
	if !ok || err != nil {
		t.Fatalf("Lease = %t, %v, want true, nil", ok, err)
	}
	fmt.Println("held")
	time.Sleep(d)
	release()
}
