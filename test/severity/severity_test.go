// Package severity checks that no backend has its own order of severity: the only one
// within an engine's answer is backends.Stronger, which backends.Answer uses.
package severity

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// categories are the names of the constants in package backends.
var categories = []string{
	"Virus", "Suspicious", "Encrypted", "Partial", "SWErr", "Interrupted", "CannotExecute", "NotInstalled", "OK",
}

func TestOneOrder(t *testing.T) {
	const root = "../../backends"
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Dir(path) == root {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		for _, problem := range orders(set, file) {
			t.Error(problem)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Errorf("looked at %d files only", files)
	}
}

// TestSeen checks that the test sees every way to write an order down.
func TestSeen(t *testing.T) {
	for name, source := range map[string]string{
		"a list":   `var order = []backends.Category{backends.Virus, backends.Encrypted, backends.SWErr}`,
		"a number": `func strength(c backends.Category) int { switch c { case backends.Virus: return 2; case backends.Encrypted: return 1 }; return 0 }`,
		"a map":    `var rank = map[backends.Category]int{backends.Virus: 1, backends.Encrypted: 2}`,
		"a result": `var r = backends.Result{Category: backends.Encrypted}`,
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "x.go", "package x\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(orders(set, file)) != 1 {
			t.Errorf("%s: %v", name, orders(set, file))
		}
	}
}

// orders lists the places where a file ranks categories, or makes a result without
// backends.Answer.
func orders(set *token.FileSet, file *ast.File) []string {
	var problems []string
	report := func(n ast.Node, what string) {
		problems = append(problems, fmt.Sprintf("%s: %s", set.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			switch kind := n.Type.(type) {
			case *ast.ArrayType:
				if isName(kind.Elt, "Category") && len(n.Elts) >= 3 {
					report(n, "a list of categories: use backends.Stronger")
				}
			case *ast.MapType:
				if isName(kind.Key, "Category") && isNumber(kind.Value) {
					report(n, "a rank for categories: use backends.Stronger")
				}
			default:
				if isName(n.Type, "Result") && len(n.Elts) > 0 {
					report(n, "a result that does not come from backends.Answer")
				}
			}
		case *ast.FuncDecl:
			if ranks(n) {
				report(n, n.Name.Name+" gives categories numbers: use backends.Stronger")
			}
		}
		return true
	})
	return problems
}

// ranks reports whether f takes a category, returns a number, and has a switch with
// categories in it.
func ranks(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 || !isNumber(f.Type.Results.List[0].Type) || f.Body == nil {
		return false
	}
	takes := slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool { return isName(p.Type, "Category") })
	named := 0
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(categories, s.Sel.Name) {
			named++
		}
		return true
	})
	return takes && named >= 2
}

func isName(e ast.Expr, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == name && fmt.Sprint(s.X) == "backends"
}

func isNumber(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && (strings.HasPrefix(id.Name, "int") || strings.HasPrefix(id.Name, "uint") || id.Name == "float64")
}
