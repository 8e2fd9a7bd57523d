// Package peer finds the programs that some tests need: a Redis server, Node.js, or Python with a certain
// library. If the program is missing, the test is skipped, with a message that says how to install it. In
// continuous integration, where all programs should be installed, CACHECONTROL_PEERS=require makes such a
// test fail instead, so that it cannot pass by never running.
package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// requireEnv is the variable that, if set to "require", makes a test fail if its peer is missing.
	requireEnv = "CACHECONTROL_PEERS"

	// pythonEnv is the variable that sets the Python interpreter.
	pythonEnv = "CACHECONTROL_PYTHON"
)

// importTimeout is far more than an import takes, even without a disk cache. It stops a broken interpreter
// from blocking a test.
const importTimeout = time.Minute

// pythons are the interpreters to try by default. The one that has a distribution's libraries may not be the
// first in PATH.
var pythons = []string{"python3", "/usr/bin/python3"}

// Absent skips the test because something it needs is missing, or makes it fail if
// CACHECONTROL_PEERS=require. The message says what is missing and how to install it. For programs, use
// [Program] or [Python]; Absent is for other things, such as a package that cannot be downloaded.
func Absent(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv(requireEnv) == "require" {
		t.Fatalf("%s is needed (%s=require); to install: %s", what, requireEnv, install)
	}
	t.Skipf("%s is needed; to install: %s", what, install)
}

// Denied ends the test because the system refuses what root may do, and err says how. Another user's test is skipped, also with
// CACHECONTROL_PEERS=require. A test of root, to which a container gives too little, ends as [Absent] does.
func Denied(t testing.TB, what string, err error) {
	t.Helper()
	if os.Geteuid() == 0 {
		Absent(t, fmt.Sprintf("%s (%v)", what, err), "run the tests on a machine or in a container with this privilege")
	}
	t.Skipf("%s takes root: %v", what, err)
}

// Program returns the path of the first of the named programs that is in PATH. If none is, it ends the test
// as [Absent] does.
func Program(t testing.TB, install string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Absent(t, strings.Join(names, " or "), install)
	return ""
}

// NPM installs a package of npm, named with its version as "name@1.2.3", into a directory of the test, without running its
// scripts, and returns its folder. If npm is missing or cannot install it, NPM ends the test as [Absent] does.
func NPM(ctx context.Context, t testing.TB, install, pkg string) string {
	t.Helper()
	npm := Program(t, install, "npm")
	dir := t.TempDir()
	// Without a package.json npm would look for one further up.
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, npm, "install", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund",
		"--no-package-lock", "--no-update-notifier", pkg)
	cmd.Dir = dir
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		Absent(t, fmt.Sprintf("%s (npm install: %v: %s)", pkg, err, bytes.TrimSpace(out[max(0, len(out)-2000):])), install)
	}
	return filepath.Join(dir, "node_modules", pkg[:strings.LastIndexByte(pkg, '@')])
}

// Python returns the path of a Python 3 that can import all modules. It tries python3 in PATH, then
// /usr/bin/python3. If CACHECONTROL_PYTHON is set, only that interpreter is tried, so that a test does not
// pass with another one. If there is none, Python ends the test as [Absent] does.
func Python(t testing.TB, modules ...string) string {
	t.Helper()
	path, err := FindPython(t.Context(), modules...)
	if err == nil {
		return path
	}
	what := "a Python 3"
	install := "apt-get install python3"
	if len(modules) > 0 {
		what += " with " + strings.Join(modules, ", ")
		install = "python3 -m pip install " + strings.Join(modules, " ")
	}
	Absent(t, fmt.Sprintf("%s (%v)", what, err), install)
	return ""
}

// FindPython is like Python, for programs other than tests. If there is no such interpreter, it returns an
// error that says which were tried.
func FindPython(ctx context.Context, modules ...string) (string, error) {
	candidates := pythons
	if p := os.Getenv(pythonEnv); p != "" {
		candidates = []string{p}
	}
	var tried []string
	for _, c := range candidates {
		path, err := exec.LookPath(c)
		if err == nil {
			err = imports(ctx, path, modules)
		}
		if err == nil {
			return path, nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", c, err))
	}
	return "", fmt.Errorf("found no Python 3 with %s: tried %s", strings.Join(modules, ", "), strings.Join(tried, "; "))
}

// imports returns an error if the interpreter cannot import the modules.
func imports(ctx context.Context, python string, modules []string) error {
	script := "import sys; assert sys.version_info[0] == 3"
	for _, m := range modules {
		script += "\nimport " + m
	}
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "-c", script).CombinedOutput()
	if err != nil {
		// The last line of a traceback names the error.
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	return nil
}
