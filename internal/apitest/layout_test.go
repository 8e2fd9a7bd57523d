package apitest

import (
	"os"
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

// The files of the root package stand in CONTRIBUTING.md in an order in which each uses only those below it, and the
// drawing of a request's road shows references that exist.
func TestLayout(t *testing.T) {
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	packages := loadPackages(t)
	pkg := packages[slices.IndexFunc(packages, func(p *checkedPackage) bool { return p.path == module })]
	var order []string
	for _, m := range layoutRow.FindAllStringSubmatch(string(page), -1) {
		order = append(order, m[1])
	}
	var files []string
	for _, f := range pkg.files {
		files = append(files, pkg.fileOf(f.Pos()))
	}
	if got, want := slices.Sorted(slices.Values(order)), slices.Sorted(slices.Values(files)); !slices.Equal(got, want) {
		t.Errorf("CONTRIBUTING.md lists the files\n%v, want\n%v", got, want)
	}
	for from, to := range pkg.refs {
		for file, names := range to {
			if slices.Index(order, from) > slices.Index(order, file) {
				t.Errorf("%s uses %v of %s, which stands above it in CONTRIBUTING.md", from, names, file)
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
	if want := strings.Count(drawing, "-->"); len(edges) != want || want == 0 {
		t.Fatalf("%d arrows of the drawing can be read, want all %d", len(edges), want)
	}
	for _, m := range edges {
		from, to := nodes[m[1]], nodes[m[2]]
		if from != "" && to != "" && pkg.refs[from][to] == nil {
			t.Errorf("the drawing has an arrow from %s to %s, want none: the file uses nothing of the other", from, to)
		}
		if from == "" || to == "" && !strings.Contains(drawing, m[2]+`["internal/`) {
			t.Errorf("the drawing has an arrow from %q to %q, want names of files or of internal packages", m[1], m[2])
		}
	}
}
