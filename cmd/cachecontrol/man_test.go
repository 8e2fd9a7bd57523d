package main

import (
	"flag"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// Every command and topic has a page, with all words of its help and all its flags.
func TestMan(t *testing.T) {
	files, err := helpTexts.ReadDir("help")
	if err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\&`, "", `\e`, `\`)
	request := regexp.MustCompile(`^\.(?:TH ".*" 1|SH [A-Z ]+|PP|TP|B \S.*|RS 4|RE|nf|fi)$`)
	for _, file := range files {
		name := strings.TrimSuffix(file.Name(), ".txt")
		code, page, stderr := call(t, "man", name)
		if code != exitOK || stderr != "" || !strings.HasPrefix(page, `.TH "CACHECONTROL`) {
			t.Fatalf("man %s: exit code %d, stderr %q, page %.200q", name, code, stderr, page)
		}
		for line := range strings.Lines(page) {
			if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !request.MatchString(line) {
				t.Errorf("man %s has the line %q, want text or a request of man(7)", name, line)
			}
		}
		words := map[string]bool{}
		for _, w := range strings.Fields(unescape.Replace(page)) {
			words[strings.ToLower(strings.TrimRight(w, ".:"))] = true
		}
		for _, w := range strings.Fields(helpOf(t, name)) {
			if w := strings.ToLower(strings.TrimRight(w, ".:")); !words[w] && w != "example" && w != "for" {
				t.Errorf("man %s lacks the word %q of the help", name, w)
			}
		}
	}
	for _, c := range commands() {
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		c.setup(fs)
		_, page, _ := call(t, "man", c.name)
		fs.VisitAll(func(f *flag.Flag) {
			if !regexp.MustCompile(`(?m)^\.B (?:\\-)+` + strings.ReplaceAll(f.Name, "-", `\\-`) + `\b`).MatchString(page) {
				t.Errorf("man %s has no entry for the flag %s", c.name, f.Name)
			}
		})
	}
	if code, _, stderr := call(t, "man", "nothing"); code != exitUsage || !strings.Contains(stderr, "no help") {
		t.Errorf("man nothing: exit code %d, stderr %q", code, stderr)
	}
}

// The program that formats manual pages has nothing to complain about.
func TestManIsFormatted(t *testing.T) {
	groff := peer.Program(t, "apt-get install groff-base", "groff")
	for _, name := range []string{"help", "proxy", "ls"} {
		_, page, _ := call(t, "man", name)
		cmd := exec.Command(groff, "-man", "-Tutf8", "-ww")
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning:") {
			t.Errorf("groff of man %s: %v\n%.2000s", name, err, out)
		}
	}
}
