package cachetest_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// offlineEnv holds an address that answers, and that must not be reached.
const offlineEnv = "CACHETEST_UNREACHABLE"

// TestOffline runs the recorded suite in a process that has no network at all: a network namespace without interfaces.
func TestOffline(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.v", "-test.run=^(TestGitHub|TestUnreachable)$")
	cmd.Env = append(os.Environ(), offlineEnv+"="+ln.Addr().String(), "CACHECONTROL_RECORD=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		peer.Denied(t, "a network namespace", err)
	}
	err = cmd.Wait()
	for _, want := range []string{"--- PASS: TestUnreachable", "--- PASS: TestGitHub ", "--- PASS: TestGitHub/issues", "\nPASS\n"} {
		if err != nil || !strings.Contains(out.String(), want) {
			t.Fatalf("%v: no %q in\n%s", err, want, out.String())
		}
	}
}

// TestUnreachable is run by TestOffline.
func TestUnreachable(t *testing.T) {
	addr := os.Getenv(offlineEnv)
	if addr == "" {
		t.Skip("TestOffline runs it, where there is no network")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Fatal("there is a network")
	}
}
