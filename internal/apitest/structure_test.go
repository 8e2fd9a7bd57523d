package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Limits of a function, unless it is in longFunctions.
const (
	maxLines      = 60
	maxComplexity = 15
)

// longFunctions are the functions that exceed a limit, with the reason.
var longFunctions = map[string]string{
	"internal/document.decoder.document": "a flat list of fields",
	"internal/document.decoder.ours":     "a flat list of fields",
	"internal/document.decoder.response": "a flat list of fields",
	"internal/document.reader.skipLong":  "a flat list of cases",
	"internal/rules.Policy.reuse":        "a flat list of rules",
	"internal/rules.Response.add":        "a flat list of directives",
}

// TestFiles checks that no two files of a package refer to each other, directly or through other files: then there is
// an order in which each file uses only what later files declare.
func TestFiles(t *testing.T) {
	for _, pkg := range loadPackages(t) {
		for _, cycle := range pkg.cycles() {
			t.Errorf("%s: %s refer to each other, want none of these references:\n\t%s",
				pkg.path, strings.Join(cycle, ", "), strings.Join(pkg.upward(cycle), "\n\t"))
		}
	}
}

// TestFunctions checks the length and the cyclomatic complexity of all functions.
func TestFunctions(t *testing.T) {
	found := make(map[string]bool)
	for _, pkg := range loadPackages(t) {
		for _, file := range pkg.files {
			for _, d := range file.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok || f.Body == nil {
					continue
				}
				lines := pkg.fset.Position(f.End()).Line - pkg.fset.Position(f.Pos()).Line + 1
				complexity := complexityOf(f)
				if lines <= maxLines && complexity <= maxComplexity {
					continue
				}
				name := strings.TrimPrefix(pkg.path, module+"/") + "." + functionName(f)
				found[name] = true
				if longFunctions[name] == "" {
					t.Errorf("%s: %s has %d lines and complexity %d, want at most %d and %d",
						pkg.fset.Position(f.Pos()), name, lines, complexity, maxLines, maxComplexity)
				}
			}
		}
	}
	for name := range longFunctions {
		if !found[name] {
			t.Errorf("%s is listed in longFunctions and is within the limits, want it removed", name)
		}
	}
}

// complexityOf returns the cyclomatic complexity of f: 1 for the function, and 1 for each branch.
func complexityOf(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// functionName returns the name of f, with its receiver's type in front.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	return receiverName(f) + "." + f.Name.Name
}

func receiverName(f *ast.FuncDecl) string {
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	return typ.(*ast.Ident).Name
}

// A checkedPackage is a package of this module with the references between its files.
type checkedPackage struct {
	path  string
	fset  *token.FileSet
	files []*ast.File
	types *types.Package
	refs  map[string]map[string][]string // by file, by the file that it refers to: the objects
}

// loadPackages type-checks the files of all packages of the module that are built on this system.
func loadPackages(t *testing.T) []*checkedPackage {
	paths := strings.Fields(string(run(t, "../..", "list", "./...")))
	args := append([]string{"list", "-deps", "-export", "-json=ImportPath,Export,Dir,GoFiles"}, paths...)
	exports := make(map[string]string)
	var list []*checkedPackage
	sources := make(map[*checkedPackage][]string)
	for dec := json.NewDecoder(bytes.NewReader(run(t, "../..", args...))); ; {
		var listed struct {
			ImportPath, Export, Dir string
			GoFiles                 []string
		}
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[listed.ImportPath] = listed.Export
		if slices.Contains(paths, listed.ImportPath) {
			pkg := &checkedPackage{path: listed.ImportPath, fset: token.NewFileSet(), refs: make(map[string]map[string][]string)}
			list = append(list, pkg)
			for _, name := range listed.GoFiles {
				sources[pkg] = append(sources[pkg], filepath.Join(listed.Dir, name))
			}
		}
	}
	for _, pkg := range list {
		pkg.load(t, sources[pkg], func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	}
	return list
}

func (p *checkedPackage) load(t *testing.T, sources []string, lookup importer.Lookup) {
	for _, source := range sources {
		f, err := parser.ParseFile(p.fset, source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.files = append(p.files, f)
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", lookup)}
	var err error
	if p.types, err = config.Check(p.path, p.fset, p.files, info); err != nil {
		t.Fatal(err)
	}
	for id, object := range info.Uses {
		if object.Pkg() != p.types {
			continue
		}
		from, to := p.fileOf(id.Pos()), p.fileOf(object.Pos())
		if from == to {
			continue
		}
		if p.refs[from] == nil {
			p.refs[from] = make(map[string][]string)
		}
		if !slices.Contains(p.refs[from][to], object.Name()) {
			p.refs[from][to] = append(p.refs[from][to], object.Name())
		}
	}
}

func (p *checkedPackage) fileOf(pos token.Pos) string {
	return filepath.Base(p.fset.Position(pos).Filename)
}

// cycles returns the sets of files that refer to each other.
func (p *checkedPackage) cycles() [][]string {
	reach := make(map[string]map[string]bool)
	for from := range p.refs {
		seen := make(map[string]bool)
		var visit func(file string)
		visit = func(file string) {
			for to := range p.refs[file] {
				if !seen[to] {
					seen[to] = true
					visit(to)
				}
			}
		}
		visit(from)
		reach[from] = seen
	}
	var cycles [][]string
	done := make(map[string]bool)
	for _, file := range slices.Sorted(maps.Keys(reach)) {
		if done[file] || !reach[file][file] {
			continue
		}
		var cycle []string
		for _, other := range slices.Sorted(maps.Keys(reach)) {
			if reach[file][other] && reach[other][file] {
				cycle = append(cycle, other)
				done[other] = true
			}
		}
		cycles = append(cycles, cycle)
	}
	return cycles
}

// upward describes the references that run upward in an order of the files that has few of them.
func (p *checkedPackage) upward(files []string) []string {
	var lines []string
	order := p.order(files)
	for i, from := range order {
		for _, to := range order[:i] {
			if names := p.refs[from][to]; names != nil {
				slices.Sort(names)
				lines = append(lines, fmt.Sprintf("%s -> %s: %s", from, to, strings.Join(names, ", ")))
			}
		}
	}
	return lines
}

// order returns an order of the files in which moving one file does not leave fewer references upward.
func (p *checkedPackage) order(files []string) []string {
	order := slices.Clone(files)
	upward := func() (n int) {
		for i, from := range order {
			for _, to := range order[:i] {
				n += len(p.refs[from][to])
			}
		}
		return n
	}
	for best, better := upward(), true; better; {
		better = false
		for _, file := range files {
			for at := range order {
				old := slices.Clone(order)
				order = slices.DeleteFunc(order, func(f string) bool { return f == file })
				order = slices.Insert(order, at, file)
				if n := upward(); n < best {
					best, better = n, true
				} else {
					order = old
				}
			}
		}
	}
	return order
}
