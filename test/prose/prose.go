// Package prose counts words that trip a native reader up, in the comments, the messages
// and the documentation of a source tree.
//
// The list is of words that this project once used far more often than other projects
// do. A hit is not always wrong ("go tell" is the name of nothing else); what counts is
// the rate, and five well-written Go projects stay below [Limit].
package prose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limit is the highest rate of hits per 10,000 words that the tree may have: that of the
// best of the five projects the list was calibrated with (3 to 11).
const Limit = 3.0

// words are what to look for.
var words = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`tell`, `tells`, `told`, `telling`, // say, report
	`somebody`, `nobody`, `whoever`, // name the one who acts
	`anew`,                  // again
	`of ours`, `of its own`, // our, its
	`stands`,                // is
	`a content`, `contents`, // an object, objects
	`at once`,     // immediately; together
	`amounts? to`, // is, means
	`behind`,      // after
	`want more than`, `for good`, `by itself`, `so that it be`,
	`lets? (?:it|them) be`,
}, "|") + `)\b`)

var word = regexp.MustCompile(`[A-Za-z']+`)

// A Hit is a line with one of the words.
type Hit struct {
	File string // relative to the root of the tree
	Line int
	Word string // in lower case
	Text string // the line
}

// Count is what [Tree] finds.
type Count struct {
	Words int
	Hits  []Hit
}

// Rate is the number of hits per 10,000 words.
func (c Count) Rate() float64 { return 1e4 * float64(len(c.Hits)) / float64(max(1, c.Words)) }

// Tree counts in the tree at root: comments of Go files, messages (strings of several
// words) of those that are not tests, Markdown without tables and code, and the comments
// of the example configuration. Directories called testdata and hidden ones are left out.
func Tree(root string) (Count, error) {
	var c Count
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (name == "testdata" || name == "node_modules" || name == "bin" || name[0] == '.') {
				return fs.SkipDir
			}
			return nil
		}
		lines, err := prose(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		c.add(filepath.ToSlash(rel), lines)
		return nil
	})
	return c, err
}

func (c *Count) add(file string, lines []line) {
	for _, l := range lines {
		c.Words += len(word.FindAllString(l.text, -1))
		for _, hit := range words.FindAllString(l.text, -1) {
			c.Hits = append(c.Hits, Hit{file, l.number, strings.ToLower(hit), strings.TrimSpace(l.text)})
		}
	}
}

// line is a line of prose in a file.
type line struct {
	number int
	text   string
}

// prose returns the lines of the file that people read, and none for other kinds of file.
func prose(path string) ([]line, error) {
	switch {
	case strings.HasSuffix(path, ".go"):
		return goProse(path, nil)
	case strings.HasSuffix(path, ".md"):
		return markdown(path)
	case strings.HasSuffix(path, ".example"):
		return example(path)
	}
	return nil, nil
}

// goProse returns the comments and the messages of a Go file. With src nil it reads the
// file.
func goProse(path string, src any) ([]line, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "//go:") {
				continue
			}
			first := fset.Position(comment.Pos()).Line
			for i, text := range strings.Split(comment.Text, "\n") {
				lines = append(lines, line{first + i, text})
			}
		}
	}
	if strings.HasSuffix(path, "_test.go") {
		return lines, nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil || strings.Count(strings.TrimSpace(text), " ") < 2 {
			return true
		}
		for _, l := range strings.Split(text, "\n") {
			lines = append(lines, line{fset.Position(literal.Pos()).Line, l})
		}
		return true
	})
	slices.SortStableFunc(lines, func(a, b line) int { return a.number - b.number })
	return lines, nil
}
