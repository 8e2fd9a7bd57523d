package cachecontrol_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol"
)

// These tests hold the Markdown files to the code and to each other. docs_code_test.go tests the code in them.

// markdown returns the text of every Markdown file of the repository by its path, with slashes.
func markdown(t *testing.T) map[string]string {
	t.Helper()
	docs := make(map[string]string)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := os.ReadFile(name)
		docs[name] = strings.ReplaceAll(string(text), "\r\n", "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) < 15 {
		t.Fatalf("only %d Markdown files", len(docs))
	}
	return docs
}

var (
	fence    = regexp.MustCompile("(?ms)^```.*?^```$")
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	codeSpan = regexp.MustCompile("`[^`\n]*`")
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	goBlock  = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	row      = regexp.MustCompile(`(?m)^\| *(.*?) *\|`)
)

// anchors returns the fragments that GitHub gives to the headings of a document.
func anchors(doc string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(doc, ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, link.ReplaceAllString(m[1], "]"))
		name := slug
		for n := 1; all[name]; n++ {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		all[name] = true
	}
	return all
}

func TestDocsLinks(t *testing.T) {
	docs := markdown(t)
	n := 0
	for name, doc := range docs {
		text := codeSpan.ReplaceAllString(fence.ReplaceAllString(doc, ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.IsAbs() {
				continue
			}
			n++
			target := name
			if u.Path != "" {
				target = path.Join(path.Dir(name), u.Path)
			}
			if _, err := os.Stat(filepath.FromSlash(target)); err != nil {
				t.Errorf("%s links to %s: there is no such file", name, m[1])
			} else if u.Fragment != "" && !anchors(docs[target])[u.Fragment] {
				t.Errorf("%s links to %s: there is no such heading", name, m[1])
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links were found", n)
	}
}

// exported returns the exported names of the package in a directory.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no code in %s: %v", dir, err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = names[d.Name.Name] || d.Recv == nil
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, id := range s.Names {
							names[id.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}

// TestDocsNames finds names in the documents that the packages do not have.
func TestDocsNames(t *testing.T) {
	packages := map[string]string{
		"cachecontrol": ".", "storage": "storage", "directory": "storage/directory", "kv": "storage/kv", "rediscache": "storage/rediscache", "memcached": "storage/memcached",
		"storagetest": "storage/storagetest", "heuristics": "heuristics", "serialize": "serialize", "rfc9111": "rfc9111",
		"lint": "lint", "origin": "origin", "cachetest": "cachetest", "cacheotel": "otel",
	}
	known := make(map[string]func(name string) bool)
	for name, dir := range packages {
		names := exported(t, dir)
		known[name] = func(name string) bool { return names[name] }
	}
	for _, v := range []any{&cachecontrol.Transport{}, cachecontrol.Control{}, cachecontrol.Status{}} {
		typ := reflect.TypeOf(v)
		fields := typ
		if typ.Kind() == reflect.Pointer {
			fields = typ.Elem()
		}
		known[fields.Name()] = func(name string) bool {
			_, field := fields.FieldByName(name)
			_, method := typ.MethodByName(name)
			return field || method
		}
	}
	qualified := regexp.MustCompile(`(?:^|[^\w./])(\w+)\.([A-Z]\w*)`)
	n := 0
	for doc, text := range markdown(t) {
		if doc == "CHANGELOG.md" { // it speaks of the names of its time
			continue
		}
		text, _, _ = strings.Cut(text, "\n## From before version 1\n") // old names
		for _, m := range qualified.FindAllStringSubmatch(text, -1) {
			if has, ok := known[m[1]]; ok {
				n++
				if !has(m[2]) {
					t.Errorf("%s: there is no %s.%s", doc, m[1], m[2])
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d names were found", n)
	}
}

// TestDocsFields holds the tables of fields in docs/usage.md to the types.
func TestDocsFields(t *testing.T) {
	usage := markdown(t)["docs/usage.md"]
	for _, test := range []struct {
		section string
		typ     reflect.Type
	}{
		{"Fields", reflect.TypeFor[cachecontrol.Transport]()},
		{"Control of one request", reflect.TypeFor[cachecontrol.Control]()},
	} {
		_, section, _ := strings.Cut(usage, "\n## "+test.section+"\n")
		_, table, _ := strings.Cut(section, "\n|") // the first one
		table, _, _ = strings.Cut(table, "\n\n")
		var told []string
		for _, m := range row.FindAllStringSubmatch(table, -1) {
			for _, span := range codeSpan.FindAllString(m[1], -1) {
				told = append(told, strings.Trim(span, "`"))
			}
		}
		var have []string
		for _, f := range reflect.VisibleFields(test.typ) {
			if f.IsExported() {
				have = append(have, f.Name)
			}
		}
		for _, name := range have {
			if !slices.Contains(told, name) {
				t.Errorf("the table of %v lacks %s", test.typ, name)
			}
		}
		for _, name := range told {
			if !slices.Contains(have, name) {
				t.Errorf("the table of %v has %s, which is no field", test.typ, name)
			}
		}
	}
}

// TestDocsWidth finds lines of more than 100 columns. Rows of tables, long commands, outputs, and the parts that commands
// write may be longer.
func TestDocsWidth(t *testing.T) {
	written := regexp.MustCompile(`(?ms)^<!-- begin: .*?^<!-- end: .*?$`)
	block := regexp.MustCompile("(?ms)^```(\\w*)\n.*?^```$")
	code := func(block string) string {
		if strings.HasPrefix(block, "```\n") { // an output
			return ""
		}
		return block
	}
	docs := markdown(t)
	delete(docs, "CHANGELOG.md")
	for name, doc := range docs {
		for line := range strings.Lines(block.ReplaceAllStringFunc(written.ReplaceAllString(doc, ""), code)) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 100 && line[0] != '|' && len(codeSpan.FindString(line)) < 80 {
				t.Errorf("%s has a line of %d columns, want at most 100: %s", name, n, line)
			}
		}
	}
}

// TestDocsTests: the tests, fuzz targets and benchmarks that the pages name are there.
func TestDocsTests(t *testing.T) {
	command := regexp.MustCompile("go test (?:[^`\n]* )?(\\.(?:/[a-z0-9/]+)?) ([^`\n]*)")
	selects := regexp.MustCompile(`-(run|fuzz|bench) '?([^'\s]+)`)
	prefix := map[string]string{"run": "Test|Fuzz", "fuzz": "Fuzz", "bench": "Benchmark"}
	docs := markdown(t)
	delete(docs, "CHANGELOG.md")
	delete(docs, "docs/benchmarks.md") // its commands are for bench
	n := 0
	for page, text := range docs {
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			names := testNames(t, filepath.FromSlash(m[1]))
			for _, s := range selects.FindAllStringSubmatch(m[0], -1) {
				pattern, _, _ := strings.Cut(s[2], "/")
				if pattern == "^$" { // none
					continue
				}
				n++
				kind, name := regexp.MustCompile("^(?:"+prefix[s[1]]+")"), regexp.MustCompile(pattern)
				if !slices.ContainsFunc(names, func(f string) bool { return kind.MatchString(f) && name.MatchString(f) }) {
					t.Errorf("%s: %s: there is no %s in %s", page, m[0], s[2], m[1])
				}
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d tests are named", n)
	}
}

// testNames returns the names of the tests, fuzz targets and benchmarks of the package in a directory.
func testNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`)
	for _, f := range function.FindAllStringSubmatch(testSource(t, dir), -1) {
		names = append(names, f[1])
	}
	return names
}

// testSource returns the text of the test files in a directory.
func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
