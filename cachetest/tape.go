package cachetest

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// environment is the environment variable that turns recording on.
const environment = "CACHECONTROL_RECORD"

// A tape holds the recordings of one test in one directory. All transports of the test with this directory share it.
type tape struct {
	t    testing.TB                       // nil if there is no test
	fail func(format string, args ...any) // reports a failure, as testing.TB.Errorf does
	dir  string
	mode mode

	mu       sync.Mutex // guards the fields below
	old      []*recording
	new      []*recording
	secrets  secrets         // found in the new recordings
	require  bool            // unused recordings fail the test
	spoiled  bool            // a request could not be recorded, so nothing is written
	reported map[string]bool // the failures that were reported
	ended    bool
}

// A recording is an interaction and its file.
type recording struct {
	*interaction
	name    string // of the file without number and extension
	n       int    // the number among recordings with this name, from 1
	data    []byte // the file, if it was read
	used    bool
	once    bool                      // recorded with the option Once
	before  *recording                // the previous recording of an equal request
	key     string                    // by the options
	place   func(placed []*recording) // gives it the name of its file; those in placed have theirs
	options *options                  // of the transport that recorded it
}

func (r *recording) file() string { return numbered(r.name, r.n) }

// tapes holds all tapes of the process by their directories in lower case.
var tapes = struct {
	sync.Mutex
	open map[string]*tape
}{open: map[string]*tape{}}

// openTape returns the tape of a test with its recordings. It ends the test if they cannot be read.
func openTape(t testing.TB, root string, o *options) *tape {
	t.Helper()
	m, err := chooseMode(o.mode)
	if err != nil {
		t.Fatalf("cachetest: %v", err)
	}
	dir := filepath.Join(root, filepath.FromSlash(testDir(t.Name())))
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatalf("cachetest: %v", err)
	}
	key := strings.ToLower(abs)

	tapes.Lock()
	defer tapes.Unlock()
	if tp := tapes.open[key]; tp != nil {
		if tp.t.Name() != t.Name() {
			t.Fatalf("cachetest: the recordings of %s and %s would be in one directory because the names differ only in case", t.Name(), tp.t.Name())
		}
		if tp.t == t {
			tp.mu.Lock()
			tp.require = tp.require || o.requireAll
			tp.mu.Unlock()
			return tp
		}
	}
	tp := newTape(dir, m, t.Errorf)
	tp.t, tp.require = t, o.requireAll
	if err := tp.load(); err != nil {
		t.Fatalf("cachetest: %v", err)
	}
	tapes.open[key] = tp
	t.Cleanup(tp.end)
	return tp
}

func newTape(dir string, m mode, fail func(format string, args ...any)) *tape {
	return &tape{dir: dir, mode: m, fail: fail, secrets: secrets{}, reported: map[string]bool{}}
}

// chooseMode returns the mode from the environment, or m if it sets none.
func chooseMode(m mode) (mode, error) {
	switch v := os.Getenv(environment); v {
	case "", "0":
		return m, nil
	case "1":
		return recordAll, nil
	case "missing":
		return max(m, recordMissing), nil
	default:
		return 0, fmt.Errorf("%s=%s: it must be 1, to record all requests again, or missing, to record only requests without a recording", environment, v)
	}
}

// load reads the recordings in the directory. It ignores other files.
func (tp *tape) load() error {
	files, err := os.ReadDir(tp.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var broken []error
	for _, f := range files {
		if f.IsDir() || filepath.Ext(f.Name()) != extension {
			continue
		}
		path := filepath.Join(tp.dir, f.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r := &recording{data: data}
		r.name, r.n = splitNumbered(f.Name())
		if r.interaction, err = parse(data); err != nil {
			line := 0
			if at := (*lineError)(nil); errors.As(err, &at) {
				line = at.line
			}
			broken = append(broken, fmt.Errorf("%s:%d: %w", filepath.ToSlash(path), line+1, err))
		}
		tp.old = append(tp.old, r)
	}
	slices.SortFunc(tp.old, func(a, b *recording) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.n, b.n))
	})
	if tp.mode == recordAll {
		return nil // broken ones are recorded again
	}
	return errors.Join(broken...)
}

// errorf fails the test once for each key. It may be called from any goroutine and does nothing after the test's end.
func (tp *tape) errorf(key, format string, args ...any) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.errorfLocked(key, format, args...)
}

func (tp *tape) errorfLocked(key, format string, args ...any) {
	if !tp.ended && !tp.reported[key] {
		tp.reported[key] = true
		message := fmt.Sprintf("cachetest: "+format, args...)
		if known := newScrubber(tp.secrets); known != nil {
			message = known.coded.Replace(known.plain.Replace(message))
		}
		tp.fail("%s", message)
	}
}

// end writes the new recordings and reports the unused ones when the test is over.
func (tp *tape) end() {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.ended = true
	defer func() { tp.old, tp.new = nil, nil }()
	if tp.t.Skipped() {
		return
	}
	if tp.mode == replayOnly {
		tp.reportUnused()
		return
	}
	for _, r := range tp.new {
		if r.resp == nil && r.fail == nil {
			tp.spoiled = true
			tp.t.Errorf("cachetest: the body of the answer to %s was neither read to its end nor closed", r.req)
		}
	}
	if tp.spoiled {
		tp.t.Errorf("cachetest: nothing was written to %s: see above", filepath.ToSlash(tp.dir))
		return
	}
	tp.scrub()
	summary, err := tp.write()
	if err != nil {
		tp.t.Errorf("cachetest: %v", err)
		return
	}
	tp.t.Logf("cachetest: recorded in %s: %s", filepath.ToSlash(tp.dir), summary)
}

// scrub replaces the secrets of each new recording in all new recordings, and then gives them the names of their files.
func (tp *tape) scrub() {
	known := newScrubber(tp.secrets)
	for i, r := range tp.new {
		if known != nil {
			r.interaction = r.options.redactor.start(known).interaction(r.interaction)
			r.key = r.options.key(r.req)
		}
		r.place(tp.new[:i])
	}
}

// unused returns the files of old recordings that were not used.
func (tp *tape) unused() []string {
	var names []string
	for _, r := range tp.old {
		if !r.used {
			names = append(names, r.file())
		}
	}
	return names
}

func (tp *tape) reportUnused() {
	names := tp.unused()
	if len(names) == 0 || tp.t.Failed() || isPartial() {
		return
	}
	say := tp.t.Logf
	if tp.require {
		say = tp.t.Errorf
	}
	say("cachetest: not used in %s, and removed when all requests are recorded again (%s=1):\n\t%s",
		filepath.ToSlash(tp.dir), environment, strings.Join(names, "\n\t"))
}

// isPartial reports whether flags may have left out parts of the test that use other recordings.
func isPartial() bool {
	set := func(name string) string {
		if f := flag.Lookup(name); f != nil {
			return f.Value.String()
		}
		return ""
	}
	return testing.Short() || set("test.skip") != "" || strings.Contains(set("test.run"), "/")
}

// write updates the directory and returns what it did. It does not touch a file whose content stays the same. Each file is
// written under another name and then renamed.
func (tp *tape) write() (summary string, err error) {
	before := map[string][]byte{}
	for _, r := range tp.old {
		before[r.file()] = r.data
	}
	var added, changed, removed int
	now := map[string]bool{} // in lower case, because some file systems ignore case
	recorded := withoutRepeats(tp.new)
	encoded := make([][]byte, len(recorded))
	for i, r := range recorded {
		encoded[i] = r.encode()
		if back, err := parse(encoded[i]); err != nil || !reflect.DeepEqual(*back, *r.interaction) {
			return "", fmt.Errorf("%s cannot be recorded: reading the file again gives another recording (%v)", r.req, err)
		}
	}
	for i, r := range recorded {
		data, file := encoded[i], r.file()
		now[strings.ToLower(file)] = true
		old, ok := before[file]
		switch {
		case ok && bytes.Equal(bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")), data):
			continue
		case ok:
			changed++
		default:
			added++
		}
		if err := writeFile(tp.dir, file, data); err != nil {
			return "", err
		}
	}
	if tp.mode == recordAll && !tp.t.Failed() && !isPartial() {
		if removed, err = tp.removeUnused(before, now); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d new, %d changed, %d as they were, %d removed", added, changed, len(recorded)-added-changed, removed), nil
}

// removeUnused removes the files of before that are not in now, and the directory if it is then empty. It returns how many
// files it has removed.
func (tp *tape) removeUnused(before map[string][]byte, now map[string]bool) (n int, err error) {
	for file := range before {
		if now[strings.ToLower(file)] {
			continue
		}
		if err := os.Remove(filepath.Join(tp.dir, file)); err != nil {
			return n, err
		}
		n++
	}
	if len(now) == 0 {
		os.Remove(tp.dir)
	}
	return n, nil
}

// withoutRepeats removes the last recordings of a request if their responses equal the one before. A replay repeats that one.
func withoutRepeats(all []*recording) []*recording {
	var kept []*recording
	followed := map[*recording]bool{}
	for _, r := range slices.Backward(all) {
		if before := r.before; before != nil {
			if !r.once && !followed[r] && reflect.DeepEqual(r.resp, before.resp) && reflect.DeepEqual(r.fail, before.fail) {
				continue
			}
			followed[before] = true
		}
		kept = append(kept, r)
	}
	return kept
}

// Orphans returns the directories below dir that hold recordings and that no test of this process has opened. They belong
// to tests that were removed or renamed. Call it in TestMain after the tests have run. If -run, -skip or -short is set, so that
// tests may have been left out, Orphans returns none. If dir does not exist, there are none. The error is one of reading dir.
func Orphans(dir string) ([]string, error) {
	if f := flag.Lookup("test.run"); isPartial() || f != nil && f.Value.String() != "" {
		return nil, nil
	}
	var orphans []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != extension {
			return err
		}
		abs, err := filepath.Abs(filepath.Dir(path))
		if err != nil {
			return err
		}
		tapes.Lock()
		defer tapes.Unlock()
		if tapes.open[strings.ToLower(abs)] == nil {
			orphans = append(orphans, filepath.Dir(path))
		}
		return nil
	})
	slices.Sort(orphans)
	return slices.Compact(orphans), err
}

func writeFile(dir, name string, data []byte) (err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".recording-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	// Other files of a source tree are readable for all users too.
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name))
}

// howToRecord returns the command that records the missing recordings of a test.
func (tp *tape) howToRecord() string {
	parts := strings.Split(tp.t.Name(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	pkg := "."
	if info, ok := debug.ReadBuildInfo(); ok {
		pkg = cmp.Or(strings.TrimSuffix(info.Path, ".test"), pkg)
	}
	what := "-run"
	if strings.HasPrefix(tp.t.Name(), "Benchmark") {
		what = "-run='^$' -bench"
	}
	return fmt.Sprintf("%s=missing go test %s '%s' %s", environment, what, strings.Join(parts, "/"), pkg)
}
