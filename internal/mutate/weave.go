package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// variable is the environment variable with the number of the mutant that a test binary runs.
const variable = "CACHECONTROL_MUTANT"

// selector is the file that is added to the package.
const selector = `package %s

import (
	"os"
	"strconv"
)

var activeMutant, _ = strconv.Atoi(os.Getenv(%q))
`

// weave returns the text of a file with all mutants of it, and the line on which each of them begins. A function
// begins by running the body of the active mutant instead of its own:
//
//	switch activeMutant {
//	case 7:
//		return func() bool { … }()
//	}
func weave(f *file, mutants []*mutant) (text []byte, begins map[int]*mutant) {
	mutants = slices.Clone(mutants)
	slices.SortStableFunc(mutants, func(a, b *mutant) int { return a.fn.open - b.fn.open })
	var b bytes.Buffer
	begins = make(map[int]*mutant)
	done := 0
	for i, m := range mutants {
		first := i == 0 || mutants[i-1].fn != m.fn
		last := i == len(mutants)-1 || mutants[i+1].fn != m.fn
		if first {
			b.Write(f.data[done : m.fn.open+1])
			b.WriteString("\nswitch activeMutant {")
			done = m.fn.open + 1
		}
		fmt.Fprintf(&b, "\ncase %d:", m.number)
		begins[bytes.Count(b.Bytes(), []byte("\n"))+1] = m
		body := fmt.Sprintf("{%s%s%s}", f.data[m.fn.open+1:m.start], m.text, f.data[m.end:m.fn.close])
		if r := m.fn.results; r != nil {
			fmt.Fprintf(&b, "return func() %s %s()", f.source(r), body)
		} else {
			fmt.Fprintf(&b, "func() %s()\nreturn", body)
		}
		if last {
			b.WriteString("\n}\n")
		}
	}
	b.Write(f.data[done:])
	return b.Bytes(), begins
}

// compileError matches the position in a compiler's message.
var compileError = regexp.MustCompile(`(?m)^(\S+\.go):(\d+):\d+: (.*)$`)

// build compiles the tests of a package with its mutants into a program, bin. It returns those that do not compile; then
// there is no program.
func build(ctx context.Context, p *target, mutants []*mutant, dir, bin string) (broken []*mutant, err error) {
	overlay := map[string]string{filepath.Join(p.Dir, "active_mutant.go"): filepath.Join(dir, "active_mutant.go")}
	if err := os.WriteFile(filepath.Join(dir, "active_mutant.go"), fmt.Appendf(nil, selector, p.Name, variable), 0o600); err != nil {
		return nil, err
	}
	begins := make(map[string]map[int]*mutant) // by the name of the file
	for name, list := range byFile(mutants) {
		text, lines := weave(list[0].fn.file, list)
		begins[name] = lines
		overlay[filepath.Join(p.Dir, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-gcflags=-e", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, ".")
	cmd.Dir = p.Dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	for _, match := range compileError.FindAllStringSubmatch(string(out), -1) {
		line, _ := strconv.Atoi(match[2])
		if m := enclosing(begins[filepath.Base(match[1])], line); m != nil && !slices.Contains(broken, m) {
			broken = append(broken, m)
		}
	}
	if broken == nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return broken, nil
}

// enclosing returns the mutant that contains a line.
func enclosing(begins map[int]*mutant, line int) *mutant {
	for ; line > 0; line-- {
		if m := begins[line]; m != nil {
			return m
		}
	}
	return nil
}

func byFile(mutants []*mutant) map[string][]*mutant {
	files := make(map[string][]*mutant)
	for _, m := range mutants {
		name := filepath.Base(m.fn.file.path)
		files[name] = append(files[name], m)
	}
	return files
}

// weaveIn compiles the first n mutants of the list that compile into a program, bin, and returns them.
func weaveIn(ctx context.Context, p *target, list []*mutant, n int, dir, bin string) ([]*mutant, error) {
	for i, m := range list {
		m.number = i + 1
	}
	var chosen []*mutant
	for {
		more := min(n-len(chosen), len(list))
		chosen, list = append(chosen, list[:more]...), list[more:]
		if len(chosen) == 0 {
			return nil, errors.New("no mutants")
		}
		broken, err := build(ctx, p, chosen, dir, bin)
		if err != nil {
			return nil, err
		}
		if broken == nil {
			return chosen, nil
		}
		chosen = slices.DeleteFunc(chosen, func(m *mutant) bool { return slices.Contains(broken, m) })
	}
}

// A target is a package whose tests are tested.
type target struct {
	Dir, Name, ImportPath string
	GoFiles               []string
}

// load finds the package in a directory.
func load(ctx context.Context, dir string) (*target, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,Name,ImportPath,GoFiles", ".")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	p := new(target)
	return p, json.Unmarshal(out, p)
}

// mutants returns all candidates of the package, with paths below root.
func (p *target) mutants(root string) ([]*mutant, error) {
	var all []*mutant
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if short, err := filepath.Rel(root, path); err == nil {
			path = short
		}
		list, err := candidates(path, data)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}
