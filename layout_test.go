package cachecontrol_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	layoutRow  = regexp.MustCompile("(?m)^\\| `([a-z]+\\.go)` \\|")
	layoutNode = regexp.MustCompile(`(\w+)\["([a-z]+\.go)"\]`)
	layoutEdge = regexp.MustCompile(`(?m)^\s*(\w+)(?:\["[^"]*"\])? --.*> (\w+)`)
)

// The files of the package stand in CONTRIBUTING.md in an order in which each uses only those below it, and the drawing
// of a request's road shows references that exist.
func TestLayout(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, m := range layoutRow.FindAllStringSubmatch(string(page), -1) {
		if slices.Contains(order, m[1]) {
			t.Errorf("CONTRIBUTING.md lists %s twice", m[1])
		}
		order = append(order, m[1])
	}
	files, refs := references(t)
	for _, name := range files {
		if !slices.Contains(order, name) {
			t.Errorf("CONTRIBUTING.md does not list %s", name)
		}
	}
	for _, name := range order {
		if !slices.Contains(files, name) {
			t.Errorf("CONTRIBUTING.md lists %s, which does not exist", name)
		}
	}
	for from, to := range refs {
		for name, uses := range to {
			if slices.Index(order, from) > slices.Index(order, name) {
				t.Errorf("%s uses %s of %s, which stands above it in CONTRIBUTING.md", from, uses, name)
			}
		}
	}

	_, drawing, _ := strings.Cut(string(page), "```mermaid\n")
	drawing, _, _ = strings.Cut(drawing, "```")
	nodes := make(map[string]string)
	for _, m := range layoutNode.FindAllStringSubmatch(drawing, -1) {
		nodes[m[1]] = m[2]
	}
	edges := layoutEdge.FindAllStringSubmatch(drawing, -1)
	if len(nodes) == 0 || len(edges) != strings.Count(drawing, "-->") {
		t.Fatalf("the drawing has %d nodes and %d edges that can be read, want %d edges", len(nodes), len(edges), strings.Count(drawing, "-->"))
	}
	for _, m := range edges {
		if from, to := nodes[m[1]], nodes[m[2]]; refs[from][to] == "" {
			t.Errorf("the drawing has an arrow from %q to %q, but the file uses nothing of the other", from, to)
		}
	}
}

// references returns the files of the package, and for each the files that it uses, with the name of something that it
// uses there.
func references(t *testing.T) (files []string, refs map[string]map[string]string) {
	fset := token.NewFileSet()
	var parsed []*ast.File
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files, parsed = append(files, path), append(parsed, f)
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := config.Check("github.com/go-cachecontrol/cachecontrol", fset, parsed, info)
	if err != nil {
		t.Fatal(err)
	}
	refs = make(map[string]map[string]string)
	for id, obj := range info.Uses {
		if _, method := obj.(*types.Func); obj.Pkg() != pkg || !method && obj.Parent() != pkg.Scope() {
			continue // of another package, or a field, or local
		}
		from, to := fset.Position(id.Pos()).Filename, fset.Position(obj.Pos()).Filename
		if from == to {
			continue
		}
		if refs[from] == nil {
			refs[from] = make(map[string]string)
		}
		refs[from][to] = obj.Name()
	}
	return files, refs
}
