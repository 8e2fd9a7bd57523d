package main

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/lint"
)

// helpOf returns the help on a command or a topic.
func helpOf(t *testing.T, name string) string {
	t.Helper()
	text, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// Every flag is in its command's help, and every flag there exists.
func TestHelpNamesFlags(t *testing.T) {
	inText := regexp.MustCompile(`(?m)^    (--?[A-Za-z-]+)`)
	for _, c := range commands() {
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		c.setup(fs)
		documented := map[string]bool{}
		for _, m := range inText.FindAllStringSubmatch(helpOf(t, c.name), -1) {
			name := strings.TrimLeft(m[1], "-")
			documented[name] = true
			if fs.Lookup(name) == nil {
				t.Errorf("help %s names the flag %s, which it does not have", c.name, m[1])
			}
		}
		fs.VisitAll(func(f *flag.Flag) {
			if !documented[f.Name] {
				t.Errorf("help %s does not name the flag %s", c.name, f.Name)
			}
		})
	}
}

// Every help text fits a terminal of 80 columns. That on a command begins with what it does and an example.
func TestHelpLayout(t *testing.T) {
	for _, c := range commands() {
		begin := regexp.MustCompile(`^cachecontrol ` + c.name + ` [^:]+\.\sFor\sexample:\n\n    cachecontrol ` + c.name + `\b.*\n\n`)
		if text := helpOf(t, c.name); !begin.MatchString(text) {
			t.Errorf("help %s begins with %.200q, want a match of %v", c.name, text, begin)
		}
	}
	files, err := helpTexts.ReadDir("help")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".txt")
		for i, line := range strings.Split(helpOf(t, name), "\n") {
			if len(line) > 80 {
				t.Errorf("help %s, line %d has %d columns, want at most 80", name, i+1, len(line))
			}
		}
	}
}

// The README names every command, and the guide to directories every command that takes one.
func TestDocsNameCommands(t *testing.T) {
	for _, page := range []struct {
		path  string
		wants func(command) bool
	}{
		{"../../README.md", func(c command) bool {
			return c.name != "help" && c.name != "version" && c.name != "completion" && c.name != "man"
		}},
		{"../../docs/storage.md", func(c command) bool { return strings.Contains(helpOf(t, c.name), "DIR is a cache directory") }},
	} {
		text, err := os.ReadFile(page.path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range commands() {
			if !page.wants(c) {
				continue
			}
			n++
			if !strings.Contains(string(text), "\n    cachecontrol "+c.name+" ") {
				t.Errorf("%s does not list the command %s", page.path, c.name)
			}
		}
		if n < 6 {
			t.Errorf("%s was asked for %d commands", page.path, n)
		}
	}
}

// The guide to directories names every field that is printed as JSON.
func TestDocsNameFields(t *testing.T) {
	text, err := os.ReadFile("../../docs/storage.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range []any{listItem{}, entryDetails{}, content{}, bodyPart{}, variantItem{}, reuse{}, verifyItem{}, verifySummary{}, rmResult{}, pruneItem{}, pruneSummary{}, statsSummary{}, group{}, tally{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			if n++; !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/storage.md does not name the field %s of %T", name, v)
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d fields were found", n)
	}
}

// docs/lint.md names every field that explain prints as JSON.
func TestDocsNameFieldsOfExplain(t *testing.T) {
	text, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{explanation{}, reuse{}, rule{}, decision{}, fresh{}, next{}, probed{}, lint.Note{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/lint.md does not name the field %s of %T", name, v)
			}
		}
	}
}

func TestHelpOfCommands(t *testing.T) {
	for _, c := range commands() {
		for _, args := range [][]string{{"help", c.name}, {c.name, "--help"}, {c.name, "-h"}} {
			code, stdout, stderr := call(t, args...)
			if code != exitOK || stdout != helpOf(t, c.name) || stderr != "" {
				t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
			}
		}
	}
}

// It is an error if the help cannot be written.
func TestHelpFailingStdout(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"help", "ls"}, {"ls", "-h"}, {"version"}} {
		var stderr buffer
		if code := run(t.Context(), args, failingWriter{}, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "cannot write to stdout") {
			t.Errorf("%q: exit code %d, stderr %q", args, code, &stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		code, stdout, _ := call(t, arg)
		if code != exitOK || !regexp.MustCompile(`^cachecontrol \S+ \(go.*\)\n$`).MatchString(stdout) {
			t.Errorf("%s: exit code %d, stdout %q", arg, code, stdout)
		}
	}
}
