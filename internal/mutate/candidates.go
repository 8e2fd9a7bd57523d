package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

// A mutant is one change to a function.
type mutant struct {
	fn         *function
	start, end int // of the bytes of the file that are replaced
	text       string
	number     int // in the program that contains the mutants
}

// A function is a declared function with a body.
type function struct {
	file    *file
	name    string
	results *ast.FieldList
	// The offsets of the braces of its body.
	open, close int
}

// A file is a Go file of the package whose tests are tested.
type file struct {
	path string
	data []byte
	set  *token.FileSet
}

func (f *file) offset(p token.Pos) int { return f.set.Position(p).Offset }

// source returns the text of a node.
func (f *file) source(n ast.Node) string { return string(f.data[f.offset(n.Pos()):f.offset(n.End())]) }

// position returns the line and the column of the byte at offset.
func (f *file) position(offset int) (line, column int) {
	before := string(f.data[:offset])
	return strings.Count(before, "\n") + 1, offset - strings.LastIndexByte(before, '\n')
}

// lines returns the lines that contain the bytes from start to end, without and with the change.
func (m *mutant) lines() (before, after string) {
	data := m.fn.file.data
	first := strings.LastIndexByte(string(data[:m.start]), '\n') + 1
	last := len(data)
	if i := strings.IndexByte(string(data[m.end:]), '\n'); i >= 0 {
		last = m.end + i
	}
	return string(data[first:last]), string(data[first:m.start]) + m.text + string(data[m.end:last])
}

func (m *mutant) String() string {
	before, after := m.lines()
	line, _ := m.fn.file.position(m.start)
	return fmt.Sprintf("%s:%d %s\n%s%s", m.fn.file.path, line, m.fn.name, prefixed("- ", before), prefixed("+ ", after))
}

// prefixed returns the lines of text, trimmed, each after prefix. Empty lines are left out.
func prefixed(prefix, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(prefix + line + "\n")
		}
	}
	return b.String()
}

// candidates returns all mutants of the functions of a file.
func candidates(path string, data []byte) ([]*mutant, error) {
	f := &file{path: filepath.ToSlash(path), data: data, set: token.NewFileSet()}
	parsed, err := parser.ParseFile(f.set, path, data, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var list []*mutant
	for _, d := range parsed.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil && d.Name.Name != "init" {
			c := collector{fn: &function{file: f, name: functionName(f, d), results: d.Type.Results,
				open: f.offset(d.Body.Lbrace), close: f.offset(d.Body.Rbrace)}}
			c.collect(d.Body, d.Type.Results)
			list = append(list, c.list...)
		}
	}
	return list, nil
}

func functionName(f *file, d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	return strings.TrimPrefix(f.source(d.Recv.List[0].Type), "*") + "." + d.Name.Name
}

// A collector collects the mutants of a function. Some of them do not compile.
type collector struct {
	fn   *function
	list []*mutant
}

func (c *collector) add(from, to token.Pos, text string) {
	f := c.fn.file
	c.list = append(c.list, &mutant{fn: c.fn, start: f.offset(from), end: f.offset(to), text: text})
}

func (c *collector) replace(n ast.Node, text string) { c.add(n.Pos(), n.End(), text) }

// collect adds the mutants of n, which is in a function with these results.
func (c *collector) collect(n ast.Node, results *ast.FieldList) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			c.collect(n.Body, n.Type.Results)
			return false
		case *ast.BinaryExpr:
			c.binary(n)
		case *ast.UnaryExpr:
			if n.Op == token.NOT || n.Op == token.SUB {
				c.replace(n, c.fn.file.source(n.X))
			}
		case *ast.BasicLit:
			c.literal(n)
		case *ast.Ident:
			if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
				c.replace(n, other)
			}
		case *ast.IncDecStmt:
			other := map[token.Token]string{token.INC: "--", token.DEC: "++"}
			c.add(n.TokPos, n.End(), other[n.Tok])
		case *ast.IfStmt:
			c.replace(n.Cond, "!("+c.fn.file.source(n.Cond)+")")
		case *ast.BlockStmt:
			c.statements(n.List)
		case *ast.CaseClause:
			c.cases(n)
			c.statements(n.Body)
		case *ast.CommClause:
			c.statements(n.Body)
		case *ast.ReturnStmt:
			c.returned(n, results)
		}
		return true
	})
}

// others are the operators that replace an operator.
var others = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
	token.AND: {token.OR}, token.OR: {token.AND}, token.SHL: {token.SHR}, token.SHR: {token.SHL},
	token.REM: {token.MUL},
}

func (c *collector) binary(n *ast.BinaryExpr) {
	for _, op := range others[n.Op] {
		c.add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), op.String())
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		c.replace(n, c.fn.file.source(n.X))
		c.replace(n, c.fn.file.source(n.Y))
	}
}

func (c *collector) literal(n *ast.BasicLit) {
	switch n.Kind {
	case token.INT:
		c.replace(n, n.Value+" + 1")
		if n.Value != "0" {
			c.replace(n, n.Value+" - 1")
		}
	case token.CHAR:
		c.replace(n, n.Value+" + 1")
	case token.STRING:
		if text, err := strconv.Unquote(n.Value); err == nil && text != "" {
			c.replace(n, `""`)
		} else {
			c.replace(n, `"mutant"`)
		}
	}
}

// statements removes each statement that declares nothing.
func (c *collector) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.DeferStmt, *ast.BranchStmt, *ast.ReturnStmt,
			*ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			c.replace(s, "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				c.replace(s, "")
			}
		}
	}
}

// cases removes each of several expressions of a case.
func (c *collector) cases(n *ast.CaseClause) {
	for i, e := range n.List {
		switch {
		case i > 0:
			c.add(n.List[i-1].End(), e.End(), "")
		case len(n.List) > 1:
			c.add(e.Pos(), n.List[1].Pos(), "")
		}
	}
}

// returned replaces each result with a zero value, or negates it.
func (c *collector) returned(n *ast.ReturnStmt, results *ast.FieldList) {
	if results == nil {
		return
	}
	var types []string
	for _, field := range results.List {
		for range max(1, len(field.Names)) {
			types = append(types, c.fn.file.source(field.Type))
		}
	}
	if len(types) != len(n.Results) {
		return // a call that returns them all
	}
	for i, e := range n.Results {
		text := c.fn.file.source(e)
		switch {
		case text == "nil", text == "true", text == "false", text == types[i]+"{}":
		case types[i] == "bool":
			c.replace(e, "!("+text+")")
		default:
			if _, literal := e.(*ast.BasicLit); !literal {
				c.replace(e, "*new("+types[i]+")")
			}
		}
	}
}
