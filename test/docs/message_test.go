package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sources parses the Go files of a folder, tests excluded.
func sources(t testing.TB, folder string, visit func(f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil {
			visit(f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// placeholders are the verbs of fmt.
var placeholders = regexp.MustCompile(`%[-+# 0-9.*]*[a-zA-Z]`)

// TestQuotedMessages wants every message in the first column of the page on
// troubleshooting to be in the source.
func TestQuotedMessages(t *testing.T) {
	var text strings.Builder
	for _, folder := range []string{"cmd", "proxy", "backends", "protocol"} {
		sources(t, folder, func(f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, _ := strconv.Unquote(lit.Value)
					text.WriteString(placeholders.ReplaceAllString(s, "\x00") + "\n")
				}
				return true
			})
		})
	}
	fromTheSystem := map[string]bool{"bind": true, "no such file or directory": true, "permission denied": true, "connection refused": true, "Permission denied": true, "No such file or directory": true}
	count := 0
	for _, m := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(pageOf(t, "docs/troubleshooting.md").text, -1) {
		for _, quoted := range code.FindAllString(m[1], -1) {
			count++
			for fragment := range strings.SplitSeq(strings.Trim(quoted, "`"), "...") {
				for part := range strings.SplitSeq(fragment, ": ") {
					part = strings.Trim(strings.TrimSuffix(strings.TrimSpace(part), " ERROR"), `";,. `)
					if len(part) > 3 && !fromTheSystem[part] && !strings.Contains(text.String(), part) {
						t.Errorf("no program says %q, of %s", part, quoted)
					}
				}
			}
		}
	}
	if count < 60 {
		t.Errorf("compared %d messages only", count)
	}
}

// informative are messages that ask nothing of an operator.
var informative = map[string]bool{
	"reload in progress, another will follow": true, "backend close": true, "connection": true,
	"connections are accepted again": true, "engine": true, "node reloaded": true, "node up": true, "listener closed": true,
	"draining before the stop": true, "http": true, "listening": true, "reload command": true, "needs at most": true, "new connections are not refused": true, "not scanned": true, "reloaded": true,
	"scanned": true, "shutdown command": true, "stopped": true, "stopping": true, "stopping during startup": true,
}

// TestLoggedMessages wants every warning and error of the log on the page on
// troubleshooting.
func TestLoggedMessages(t *testing.T) {
	text := pageOf(t, "docs/troubleshooting.md").text
	count := 0
	for _, folder := range []string{"cmd/polyclamd", "proxy"} {
		sources(t, folder, func(f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 1 {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				lit, isLit := call.Args[0].(*ast.BasicLit)
				if !ok || !isLit || method.Sel.Name != "Msg" {
					return true
				}
				count++
				message, _ := strconv.Unquote(lit.Value)
				if !informative[message] && !strings.Contains(text, "`"+message+"`") {
					t.Errorf("docs/troubleshooting.md does not explain the message %q", message)
				}
				return true
			})
		})
	}
	if count < 30 {
		t.Errorf("found %d messages only", count)
	}
}
