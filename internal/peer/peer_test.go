package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorder is a test that only notes how it was ended.
type recorder struct {
	testing.TB
	ended, message string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) { r.end("skipped", format, args) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", format, args) }

// end panics with the recorder, so that as in a real test nothing after it runs.
func (r *recorder) end(how, format string, args []any) {
	r.ended, r.message = how, fmt.Sprintf(format, args...)
	panic(r)
}

// record runs f as a test and returns how it was ended, "" for passed, with the message.
func record(t *testing.T, f func(testing.TB)) (ended, message string) {
	r := &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != r {
			panic(v)
		}
		ended, message = r.ended, r.message
	}()
	f(r)
	return
}

func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAbsent(t *testing.T) {
	for env, want := range map[string]string{"": "skipped", "require": "failed"} {
		t.Setenv("CACHECONTROL_PEERS", env)
		ended, message := record(t, func(t testing.TB) { Absent(t, "a lion", "zoo install lion") })
		if ended != want {
			t.Errorf("CACHECONTROL_PEERS=%q: %q, want %q", env, ended, want)
		}
		if !strings.Contains(message, "a lion") || !strings.Contains(message, "zoo install lion") {
			t.Errorf("CACHECONTROL_PEERS=%q: message %q names neither what is missing nor how to get it", env, message)
		}
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("CACHECONTROL_PEERS", "")
	second := script(t, dir, "second", "exit 0")

	ended, message := record(t, func(t testing.TB) {
		if got := Program(t, "install it", "first", "second"); got != second {
			t.Errorf("got %q, want %q", got, second)
		}
	})
	if ended != "" {
		t.Errorf("%s: %s", ended, message)
	}

	if ended, _ := record(t, func(t testing.TB) { Program(t, "install it", "first", "third") }); ended != "skipped" {
		t.Errorf("no program found: %q, want skipped", ended)
	}
	t.Setenv("CACHECONTROL_PEERS", "require")
	if ended, _ := record(t, func(t testing.TB) { Program(t, "install it", "first") }); ended != "failed" {
		t.Errorf("no program found, but required: %q, want failed", ended)
	}
}

func TestPython(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("CACHECONTROL_PEERS", "")
	t.Setenv("CACHECONTROL_PYTHON", "")
	without := script(t, dir, "python3", `echo "Traceback"; echo "No module named 'lions'"; exit 1`)
	with := script(t, dir, "other", `case "$2" in *"import lions"*"import tigers"*) exit 0;; esac; exit 1`)

	defer func(p []string) { pythons = p }(pythons)
	pythons = []string{"missing", "python3", with}

	// An interpreter without the library is passed over.
	ended, message := record(t, func(t testing.TB) {
		if got := Python(t, "lions", "tigers"); got != with {
			t.Errorf("got %q, want %q", got, with)
		}
	})
	if ended != "" {
		t.Errorf("%s: %s", ended, message)
	}

	// But not one that was asked for by name.
	t.Setenv("CACHECONTROL_PYTHON", without)
	ended, message = record(t, func(t testing.TB) { Python(t, "lions", "tigers") })
	if ended != "skipped" {
		t.Errorf("the named interpreter has no library: %q, want skipped", ended)
	}
	if !strings.Contains(message, "No module named 'lions'") {
		t.Errorf("message %q does not say why the interpreter was refused", message)
	}

	t.Setenv("CACHECONTROL_PYTHON", with)
	if ended, message = record(t, func(t testing.TB) { Python(t, "lions", "tigers") }); ended != "" {
		t.Errorf("the named interpreter has the libraries: %s: %s", ended, message)
	}
}

// A server that ends at once is not waited for.
func TestServerThatEnds(t *testing.T) {
	exe := script(t, t.TempDir(), "server", "exit 3")
	ended, message := record(t, func(t testing.TB) { StartServer(t, FreePort(t), "PING\r\n", exe) })
	if ended != "failed" || !strings.Contains(message, "exit status 3") {
		t.Errorf("%q: %s", ended, message)
	}
}

func TestFreePort(t *testing.T) {
	var all []int
	for range 3000 { // of 10,000
		all = append(all, FreePort(t, all...))
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != 3000 {
		t.Errorf("%d ports", n)
	}
}
