package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the top of the repository.
const root = "../.."

// A page is one Markdown file.
type page struct {
	name string // relative to root
	text string
}

// A block is a fenced block of a page.
type block struct {
	form, name, text string
	line             int
}

// pages returns every Markdown file of the manual.
func pages(t testing.TB) []page {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "contrib/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	var all []page
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{filepath.ToSlash(relative), string(text)})
	}
	if len(all) < 20 {
		t.Fatalf("found %d pages only", len(all))
	}
	return all
}

// isRecipe reports whether test/clients checks the blocks of the page.
func (p page) isRecipe() bool { return strings.HasPrefix(p.name, "docs/clients/") }

// blocks returns the fenced blocks of the page.
func (p page) blocks(t testing.TB) []block {
	t.Helper()
	var all []block
	var open *block
	for i, line := range strings.Split(p.text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			form, name, _ := strings.Cut(strings.TrimSpace(info), " ")
			open = &block{form, name, "", i + 1}
		case fence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", p.name, open.line)
	}
	return all
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	code    = regexp.MustCompile("`[^`\n]+`")
	link    = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// prose is the page without code.
func (p page) prose() string { return code.ReplaceAllString(fenced.ReplaceAllString(p.text, ""), "") }

// slug is the anchor that GitHub gives a heading.
func slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all = append(all, slug(m[1]))
	}
	return all
}

func TestSlug(t *testing.T) {
	if got := slug("D4 `nINSTREAM\\r\\n` scans, the stream"); got != "d4-ninstreamrn-scans-the-stream" {
		t.Errorf("got %q", got)
	}
}

// TestLinks follows every link within the repository.
func TestLinks(t *testing.T) {
	count := 0
	for _, p := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(p.prose(), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			count++
			path := filepath.Join(root, filepath.Dir(p.name), target)
			if target == "" {
				path = filepath.Join(root, p.name)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: link to %s: %v", p.name, m[1], err)
				continue
			}
			if anchor == "" {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil || !slices.Contains(anchors(string(text)), anchor) {
				t.Errorf("%s: link to %s: no such heading", p.name, m[1])
			}
		}
	}
	if count < 50 {
		t.Errorf("followed %d links only", count)
	}
}

// TestIndex wants every page in the index of its folder.
func TestIndex(t *testing.T) {
	for _, folder := range []string{"docs", "docs/clients"} {
		index, err := os.ReadFile(filepath.Join(root, folder, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(root, folder, "*.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := filepath.Base(file)
			if name != "README.md" && !strings.Contains(string(index), "("+name+")") {
				t.Errorf("%s/README.md does not list %s", folder, name)
			}
		}
	}
}

// TestReadmeIsShort keeps the first page a first page.
func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 160 {
		t.Errorf("README.md has %d lines, want about 150: move some to docs/", n)
	}
}

var inTree = regexp.MustCompile("`((?:\\.ci|backends|cmd|contrib|docs|protocol|proxy|test)/[a-zA-Z0-9_./-]*)`")

// TestPaths wants every path of the repository on the pages to exist.
func TestPaths(t *testing.T) {
	count := 0
	for _, p := range pages(t) {
		for _, m := range inTree.FindAllStringSubmatch(p.text, -1) {
			if strings.HasPrefix(m[1], "backends/acme") {
				continue // what the tutorial adds
			}
			count++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: %s does not exist", p.name, m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("looked at %d paths only", count)
	}
}
