package cachecontrol_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// requirements are the sections of the RFCs that contain a requirement, with its levels, in the order of the text. A sentence is
// one requirement. The conventions of BCP 14 are left out, and RFCs of which the page lists only a part.
var requirements = map[string]string{
	"RFC 9111": `
		1 MAY; 1.2.2 MUST; 2 OPTIONAL; 3 MUST NOT; 3.1 MUST; 3.1 MAY; 3.1 MAY; 3.1 MUST NOT; 3.1 MAY; 3.1 MUST NOT;
		3.2 MUST; 3.2 MAY, SHOULD; 3.2 MAY; 3.3 MAY; 3.3 MAY; 3.3 MUST NOT; 3.3 MAY; 3.3 MUST NOT; 3.3 MUST NOT; 3.4
		MAY; 3.4 MUST; 3.5 MUST NOT; 4 MUST NOT; 4 MUST; 4 MUST; 4 MUST; 4 MUST; 4.1 MUST NOT; 4.1 MAY; 4.1 SHOULD;
		4.2 SHOULD; 4.2 MUST; 4.2 MUST NOT; 4.2 SHOULD; 4.2.2 MAY; 4.2.2 MUST NOT; 4.2.3 MUST; 4.2.3 MAY; 4.2.4 MUST
		NOT; 4.2.4 MUST NOT; 4.3.1 MUST; 4.3.1 SHOULD; 4.3.1 MAY; 4.3.2 SHOULD; 4.3.2 MUST NOT; 4.3.2 SHOULD; 4.3.2
		MAY; 4.3.2 MUST NOT; 4.3.2 MUST; 4.3.3 MUST; 4.3.3 MAY; 4.3.4 MUST NOT; 4.3.4 MUST; 4.3.5 SHOULD; 4.3.5
		SHOULD, SHOULD; 4.3.5 MUST; 4.4 MUST; 4.4 MAY; 4.4 MUST NOT; 5.1 SHOULD; 5.1 SHOULD; 5.2 MUST; 5.2.1 MAY;
		5.2.1.1 MUST NOT; 5.2.1.2 MUST NOT; 5.2.1.3 MUST NOT; 5.2.1.5 MUST NOT; 5.2.1.5 MUST NOT, MUST NOT, MUST;
		5.2.1.7 SHOULD; 5.2.2 MUST; 5.2.2.1 MUST NOT; 5.2.2.2 MUST NOT; 5.2.2.2 MUST NOT, MUST; 5.2.2.2 SHOULD;
		5.2.2.3 SHOULD; 5.2.2.3 SHOULD; 5.2.2.4 MUST NOT; 5.2.2.4 MAY; 5.2.2.4 SHOULD NOT; 5.2.2.5 MUST NOT, MUST NOT;
		5.2.2.5 MUST NOT, MUST NOT, MUST; 5.2.2.6 MUST NOT; 5.2.2.7 MUST NOT; 5.2.2.7 MAY; 5.2.2.7 MUST NOT, MAY;
		5.2.2.7 SHOULD NOT; 5.2.2.8 MUST NOT; 5.2.2.9 MAY; 5.2.2.10 MUST NOT; 5.2.2.10 MUST NOT; 5.2.3 MUST; 5.2.4
		MUST; 5.3 MUST; 5.3 MUST; 5.3 MUST; 5.3 MUST NOT
	`,
	"RFC 9211": `
		2 SHOULD NOT; 2 SHOULD; 2 MUST; 2 OPTIONAL; 2.2 SHOULD
	`,
	"RFC 9213": `
		2.1 MUST NOT; 2.1 MUST; 2.1 SHOULD NOT; 2.1 MUST; 2.2 MUST, MUST; 2.2 MUST NOT, MUST; 2.2 MUST; 2.2 SHOULD;
		2.4 MUST NOT; 3 MAY
	`,
	"RFC 5861": `
		3 MAY; 3 SHOULD; 3 SHOULD NOT; 4 MAY; 4 SHOULD NOT; 4 SHOULD
	`,
	"RFC 9875": `
		2 MUST; 2.2.1 MAY; 3 MUST; 3 MAY; 3 MUST
	`,
	"RFC 8246": `
		2 SHOULD NOT; 2 SHOULD; 2 MUST; 2.1 SHOULD; 3 SHOULD; 3 SHOULD; 3 SHOULD
	`,
}

// TestRequirements: docs/requirements.md has a row for each requirement, and the tests that it names are there.
func TestRequirements(t *testing.T) {
	page, err := os.ReadFile("docs/requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	suite := suiteTests(t)
	row := regexp.MustCompile(`^\| ([\d.]+) \| ([A-Z, ]+) \| (.+) \| (.+) \|$`)
	got := make(map[string][]string)
	title, sources := "", make(map[string]string)
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "## "); ok {
			title, _, _ = strings.Cut(rest, ",")
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		got[title] = append(got[title], m[1]+" "+m[2])
		if !checkProof(t, m[4], suite, sources) && !strings.HasPrefix(m[4], "Not applicable: ") {
			t.Errorf("%s, section %s: %q has neither a test nor a reason", title, m[1], m[3])
		}
	}
	for rfc, text := range requirements {
		want := strings.Split(strings.Join(strings.Fields(text), " "), "; ")
		if !slices.Equal(got[rfc], want) {
			t.Errorf("%s: the rows are\n%s\nwant\n%s", rfc, strings.Join(got[rfc], "; "), strings.Join(want, "; "))
		}
	}
}

// checkProof checks that the tests in a proof exist, and reports whether there is any. sources caches the test files of each
// package.
func checkProof(t *testing.T, proof string, suite map[string]bool, sources map[string]string) bool {
	t.Helper()
	names := regexp.MustCompile("(\\*suite\\* )?`([^`]+)`").FindAllStringSubmatch(proof, -1)
	for _, name := range names {
		if name[1] != "" {
			if !suite[name[2]] {
				t.Errorf("the suite has no test %q", name[2])
			}
			continue
		}
		m := regexp.MustCompile(`^([a-z0-9/]+/)?((?:Test|Fuzz)\w+)(?:/(.+))?$`).FindStringSubmatch(name[2])
		if m == nil {
			t.Errorf("%q is no test", name[2])
			continue
		}
		dir, function, sub := filepath.FromSlash("./"+m[1]), m[2], m[3]
		source, ok := sources[dir]
		if !ok {
			source = testSource(t, dir)
			sources[dir] = source
		}
		if !strings.Contains(source, "\nfunc "+function+"(") {
			t.Errorf("%s has no %s", dir, function)
		}
		if sub != "" && !strings.Contains(source, `"`+sub+`"`) {
			t.Errorf("%s: %s has no row %q", dir, function, sub)
		}
	}
	return len(names) > 0
}

// suiteTests returns the names of the HTTP working group's tests whose results package conformance compares.
func suiteTests(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, mode := range []string{"shared", "private"} {
		text, err := os.ReadFile("conformance/testdata/decisions-370-" + mode + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.ContainsAny(line, " ") {
				names[line] = true
			}
		}
	}
	return names
}
