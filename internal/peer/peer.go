// Package peer finds the programs that some tests are run against: a Redis server, Node.js, a Python with a certain
// library. A test whose peer is missing is skipped, and says how to install it. Where all of them are meant to be
// there, in continuous integration, CACHECONTROL_PEERS=require turns each such skip into a failure, so that a test
// cannot stay green by never running.
package peer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// requireEnv set to "require" makes a missing peer a failure.
	requireEnv = "CACHECONTROL_PEERS"

	// pythonEnv names the Python interpreter to test against.
	pythonEnv = "CACHECONTROL_PYTHON"
)

// importTimeout is far above what an import takes, even cold. It only keeps a broken interpreter from holding up a test.
const importTimeout = time.Minute

// pythons are the interpreters to try when none is named. The one that a distribution installs libraries for need not
// be the first in PATH.
var pythons = []string{"python3", "/usr/bin/python3"}

// Absent ends the test because what it needs is not here: as skipped, or as failed under CACHECONTROL_PEERS=require.
// Both say what is missing and how to install it. Programs are best asked for with [Program] or [Python]; Absent is
// for the rest, such as a package that cannot be downloaded.
func Absent(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv(requireEnv) == "require" {
		t.Fatalf("%s is needed (%s=require); to install: %s", what, requireEnv, install)
	}
	t.Skipf("%s is needed; to install: %s", what, install)
}

// Program returns the path of the first of the named programs that is found in PATH. If there is none, it ends the
// test as [Absent] does.
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

// Python returns the path of a Python 3 that can import all the modules. It tries python3 from PATH, then
// /usr/bin/python3. An interpreter named by CACHECONTROL_PYTHON is the only one tried, so that a test never
// passes against another one than was asked for. If there is none, Python ends the test as [Absent] does.
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

// FindPython is Python for programs that are no tests: where there is none, it returns an error that says what was tried.
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
	return "", fmt.Errorf("no Python 3 with %s: tried %s", strings.Join(modules, ", "), strings.Join(tried, "; "))
}

// imports reports why the interpreter cannot import the modules.
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
