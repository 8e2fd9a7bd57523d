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
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/go-cachecontrol/cachecontrol"

// public are the packages whose exported names must all be used.
var public = []string{
	module,
	module + "/cachetest",
	module + "/heuristics",
	module + "/inspect",
	module + "/keys",
	module + "/lint",
	module + "/origin",
	module + "/rfc9111",
	module + "/serialize",
	module + "/storage",
	module + "/storage/directory",
	module + "/storage/kv",
	module + "/storage/storagetest",
}

// copyPrograms copies the programs to a module of their own that requires the module of this package, and returns its
// directory.
func copyPrograms(t *testing.T, programs string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(programs)); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod := fmt.Sprintf("module example.com/user\n\ngo 1.25.0\n\nrequire %[1]s v0.0.0\n\nreplace %[1]s => %[2]q\n", module, root)
	for name, data := range map[string][]byte{"go.mod": []byte(mod), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs the go command in dir and returns its output.
func run(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off",
		"CI=") // cachetest does not record if it is set
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return out
}

// TestPrograms builds all programs, and runs those that are tests.
func TestPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("links the programs, which takes a while: not with -short")
	}
	dir := copyPrograms(t, "testdata")
	run(t, dir, "vet", "./...")
	run(t, dir, "test", "./...")
}

// TestMemoryOnly checks what a program with a cache in memory depends on.
func TestMemoryOnly(t *testing.T) {
	dir := copyPrograms(t, "testdata/memory")
	run(t, dir, "build", "-o", os.DevNull, ".")
	deps := strings.Fields(string(run(t, dir, "list", "-deps", ".")))
	for _, p := range deps {
		if strings.Contains(p, "msgpack") || strings.Contains(p, "flock") {
			t.Errorf("a program with a cache in memory imports %s, want neither msgpack nor flock", p)
		}
	}
	modules := strings.Split(strings.TrimSpace(string(run(t, dir, "list", "-m", "all"))), "\n")
	if len(modules) > 8 {
		t.Errorf("a program with a cache in memory has %d modules, want at most 8:\n%s", len(modules), strings.Join(modules, "\n"))
	}
}

// ours are names that only packages of this module use.
var ours = []string{
	"storage.Entry.Copy", "storage.Entry.Stamp",
}

// TestNames checks that the programs use every exported name of the public packages, including fields and methods, and that
// CONTRIBUTING.md has their numbers.
func TestNames(t *testing.T) {
	dir := copyPrograms(t, "testdata")
	p := loadPrograms(t, dir)
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[types.Object]string)
	for _, pkg := range public {
		imported, err := p.importer.Import(pkg)
		if err != nil {
			t.Errorf("no program imports %s: %v", pkg, err)
			continue
		}
		here := exported(imported)
		maps.Copy(names, here)
		fields := 0
		for object := range here {
			if v, ok := object.(*types.Var); ok && v.IsField() {
				fields++
			}
		}
		name := strings.TrimPrefix(strings.TrimPrefix(pkg, path.Dir(module)+"/"), "cachecontrol/")
		row := fmt.Sprintf("\n| `%s` | %d | %d | ", name, len(here)-fields, fields)
		if !bytes.Contains(page, []byte(row)) {
			t.Errorf("CONTRIBUTING.md has no row that begins with %q", row)
		}
	}
	checkGroups(t, string(page), slices.Collect(maps.Values(names)))
	interfaces := p.interfaces(t)
	var unused []string
	for object, name := range names {
		if !p.used[object] && !implements(object, interfaces) {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	for _, name := range ours {
		if !slices.Contains(unused, name) {
			t.Errorf("%s is used by a program or does not exist, want it out of the list ours", name)
		}
	}
	for _, name := range unused {
		if slices.Contains(ours, name) {
			continue
		}
		t.Errorf("no program in testdata uses %s, want a use or no such name", name)
	}
}

// modules are the packages in modules of their own, by the last element of their paths.
var modules = []string{"storage/rediscache", "storage/memcached", "otel"}

// ungrouped is how many exported names need no group in CONTRIBUTING.md.
const ungrouped = 330

// checkGroups checks the table of groups of names in CONTRIBUTING.md: the names exist, each is in one row, the rows have the
// right numbers, and ungrouped names remain. names are all exported names of the public packages.
func checkGroups(t *testing.T, page string, names []string) {
	for _, dir := range modules {
		names = append(names, declared(t, filepath.Join("../..", dir))...)
	}
	row := regexp.MustCompile("(?m)^\\| (\\d+) \\| (`[^|]+`) \\| .+ \\|$")
	listed := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		n := 0
		for _, which := range strings.Split(m[2], ", ") {
			which = strings.Trim(which, "`")
			found := false
			for _, name := range names {
				if name != which && !strings.HasPrefix(name, which+".") {
					continue
				}
				if found = true; listed[name] {
					t.Errorf("CONTRIBUTING.md lists %s twice", name)
				}
				listed[name] = true
				n++
			}
			if !found {
				t.Errorf("CONTRIBUTING.md lists %s, which does not exist", which)
			}
		}
		if m[1] != strconv.Itoa(n) {
			t.Errorf("CONTRIBUTING.md says %s names, want %d: %s", m[1], n, m[2])
		}
	}
	if rest := len(names) - len(listed); rest != ungrouped {
		t.Errorf("%d of %d exported names are in no group, want %d", rest, len(names), ungrouped)
	}
}

// declared returns the names of the exported functions, types, variables and constants in a folder whose types have no
// exported methods and fields.
func declared(t *testing.T, dir string) (names []string) {
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(idents ...*ast.Ident) {
		for _, id := range idents {
			if id.IsExported() {
				names = append(names, path.Base(dir)+"."+id.Name)
			}
		}
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.ValueSpec:
						add(s.Names...)
					case *ast.TypeSpec:
						add(s.Name)
					}
				}
			}
		}
	}
	return names
}

// programs are the type-checked programs.
type programs struct {
	importer types.Importer
	used     map[types.Object]bool // the objects of imported packages that the programs use
}

func loadPrograms(t *testing.T, dir string) programs {
	exports := make(map[string]string) // files with export data, by path
	for dec := json.NewDecoder(bytes.NewReader(run(t, dir, "list", "-deps", "-test", "-export", "-json=ImportPath,Export", "./..."))); ; {
		var listed struct{ ImportPath, Export string }
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[listed.ImportPath] = listed.Export
	}
	fset := token.NewFileSet()
	p := programs{used: make(map[types.Object]bool)}
	p.importer = importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, errors.New("not a dependency")
		}
		return os.Open(exports[path])
	})
	dirs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var files []*ast.File
		for _, source := range sources {
			f, err := parser.ParseFile(fset, source, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		if len(files) > 0 {
			p.check(t, fset, filepath.Base(dir), files)
		}
	}
	return p
}

// check type-checks the files of a program and notes what they use.
func (p programs) check(t *testing.T, fset *token.FileSet, name string, files []*ast.File) {
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object), Types: make(map[ast.Expr]types.TypeAndValue)}
	if _, err := (&types.Config{Importer: p.importer}).Check(name, fset, files, info); err != nil {
		t.Fatal(err)
	}
	for _, object := range info.Uses {
		p.use(object)
	}
	for _, tv := range info.Types {
		typ := tv.Type
		if pointer, ok := typ.(*types.Pointer); ok {
			typ = pointer.Elem()
		}
		if named, ok := types.Unalias(typ).(*types.Named); ok {
			p.use(named.Obj())
		}
	}
}

// use notes that an object is used. If it is an interface, a program that implements or is given one uses its methods.
func (p programs) use(object types.Object) {
	if f, ok := object.(*types.Func); ok {
		object = f.Origin()
	}
	if p.used[object] {
		return
	}
	p.used[object] = true
	name, ok := object.(*types.TypeName)
	if !ok {
		return
	}
	if i, ok := name.Type().Underlying().(*types.Interface); ok {
		for m := range i.Methods() {
			p.use(m)
		}
	}
}

// interfaces returns the exported interfaces of the public packages, and those of the standard library that types of
// these packages implement.
func (p programs) interfaces(t *testing.T) []*types.Interface {
	var all []*types.Interface
	for _, pkg := range append([]string{"net/http", "io", "fmt", "errors", "encoding"}, public...) {
		imported, err := p.importer.Import(pkg)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range imported.Scope().Names() {
			object, ok := imported.Scope().Lookup(name).(*types.TypeName)
			if !ok || !object.Exported() && name != "error" {
				continue
			}
			if i, ok := object.Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 && i.IsMethodSet() {
				all = append(all, i)
			}
		}
	}
	return append(all, types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
}

// implements reports whether object is a method with which its type implements one of the interfaces.
func implements(object types.Object, interfaces []*types.Interface) bool {
	f, ok := object.(*types.Func)
	if !ok || f.Signature().Recv() == nil {
		return false
	}
	if f.Name() == "Unwrap" { // called by errors.Is and errors.As
		return true
	}
	recv := f.Signature().Recv().Type()
	if _, ok := recv.(*types.Pointer); !ok {
		recv = types.NewPointer(recv)
	}
	return slices.ContainsFunc(interfaces, func(i *types.Interface) bool {
		m, _, _ := types.LookupFieldOrMethod(i, false, f.Pkg(), f.Name())
		return m != nil && types.Implements(recv, i)
	})
}

// exported returns the exported objects of a package, and the fields and methods of its types, with their names.
func exported(pkg *types.Package) map[types.Object]string {
	names := make(map[types.Object]string)
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		object := scope.Lookup(name)
		if !object.Exported() {
			continue
		}
		qualified := path.Base(pkg.Path()) + "." + name
		names[object] = qualified
		typeName, ok := object.(*types.TypeName)
		if !ok {
			continue
		}
		if named, ok := object.Type().(*types.Named); ok {
			for m := range named.Methods() {
				if m.Exported() {
					names[m] = qualified + "." + m.Name()
				}
			}
		}
		switch u := typeName.Type().Underlying().(type) {
		case *types.Struct:
			for f := range u.Fields() {
				if f.Exported() {
					names[f] = qualified + "." + f.Name()
				}
			}
		case *types.Interface:
			for m := range u.ExplicitMethods() {
				if m.Exported() {
					names[m] = qualified + "." + m.Name()
				}
			}
		}
	}
	return names
}
