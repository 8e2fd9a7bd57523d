package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/cachedir"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

var many = flag.Int("many", 3000, "how many entries the directory of TestManyEntries has")

// commandEnv, if set, makes this program the command.
const commandEnv = "CACHECONTROL_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The memory of the commands does not grow with the directory. The test fails if a process has used more, as counted by the
// kernel, than a program of this size uses anyway and the part of a list that is sorted in memory. With -v it prints the
// memory and the time of each command:
//
//	go test ./cmd/cachecontrol -run TestManyEntries -v -many 100000
func TestManyEntries(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which -short goes with, takes memory of its own")
	}
	dir := t.TempDir()
	now := time.Now()
	body := bytes.Repeat([]byte("x"), 300)
	for i := range *many {
		url := fmt.Sprintf("https://host%d.example/some/path/to/page-%d.html?query=%d", i%20, i, i)
		e := &storage.Entry{
			Status: 200, Reason: "OK", Version: 11, URL: url, RequestTime: now, ResponseTime: now,
			Header: http.Header{"Cache-Control": {"max-age=3600"}, "Content-Type": {"text/html"}, "Etag": {strconv.Quote(url)}},
		}
		doc, err := serialize.Marshal(e, body)
		if err != nil {
			t.Fatal(err)
		}
		hash := cachedir.Hash(url)
		leaf := filepath.Join(dir, hash[:1], hash[1:2], hash[2:3], hash[3:4], hash[4:5])
		name := filepath.Join(leaf, hash)
		if err := os.MkdirAll(leaf, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		at := now.Add(-time.Duration(i) * time.Minute)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args  []string
		lines int
	}{
		{[]string{"ls", "--sort", "none"}, *many + 1},
		{[]string{"ls"}, *many + 1},
		{[]string{"ls", "--json", "--sort", "size"}, *many},
		{[]string{"ls", "--sort", "none", "--url", "page-17.html"}, 2},
		{[]string{"stats"}, 0},
		{[]string{"verify"}, 1},
		{[]string{"prune", "--max-bytes", strconv.Itoa(*many / 2 * 4096)}, 1},
		{[]string{"verify"}, 1},
	} {
		cmd := exec.Command(exe, append(test.args, dir)...)
		cmd.Env = append(os.Environ(), commandEnv+"=1")
		var lines lineCount
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &lines, &stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatalf("%q: %v\n%s", test.args, err, &stderr)
		}
		peak := int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
		t.Logf("%-45s %8s at most, %v", fmt.Sprint(test.args), formatSize(peak), time.Since(began).Round(time.Millisecond))
		if limit := int64(96 << 20); peak > limit {
			t.Errorf("%q took %s, want at most %s", test.args, formatSize(peak), formatSize(limit))
		}
		if test.lines > 0 && int(lines) != test.lines {
			t.Errorf("%q wrote %d lines, want %d", test.args, lines, test.lines)
		}
	}
	if n := len((&filled{t: t, dir: dir}).files()); n < *many*49/100 || n > *many/2 {
		t.Errorf("%d of %d are left", n, *many)
	}
}

// lineCount counts lines.
type lineCount int

func (n *lineCount) Write(p []byte) (int, error) {
	*n += lineCount(bytes.Count(p, []byte("\n")))
	return len(p), nil
}
