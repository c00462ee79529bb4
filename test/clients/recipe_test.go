package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// recipes is the folder of the recipes.
const recipes = "../../docs/clients"

// A block is a piece of configuration or code in a recipe, between fences with a
// language and a name: "```toml listener". A block of the language "text" shows a
// program's output and has no name.
type block struct {
	language, name, text string
	line                 int
}

// snippet returns a block of a recipe, word for word.
func snippet(t testing.TB, file, name string) string {
	t.Helper()
	blocks, err := readRecipe(filepath.Join(recipes, file))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(blocks, func(b block) bool { return b.name == name })
	if i < 0 {
		t.Fatalf("docs/clients/%s has no block %q", file, name)
	}
	return blocks[i].text
}

func readRecipe(path string) ([]block, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseRecipe(string(content))
}

func parseRecipe(content string) (blocks []block, err error) {
	var open *block
	for i, line := range strings.Split(content, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			language, name, _ := strings.Cut(strings.TrimSpace(info), " ")
			if (language == "text") != (name == "") || language == "" {
				return nil, fmt.Errorf("line %d: a block is \"```LANGUAGE NAME\" or \"```text\", not %q", i+1, line)
			}
			if name != "" && slices.ContainsFunc(blocks, func(b block) bool { return b.name == name }) {
				return nil, fmt.Errorf("line %d: a second block %q", i+1, name)
			}
			open = &block{language, name, "", i + 1}
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: a block without an end", open.line)
	}
	return blocks, nil
}

func TestParseRecipe(t *testing.T) {
	got, err := parseRecipe("a\n```toml listener\nx = 1\n\ny\n```\nb\n```text\nsays\n```\n")
	want := []block{{"toml", "listener", "x = 1\n\ny\n", 2}, {"text", "", "says\n", 8}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"```\nx\n```\n", "```toml\nx\n```\n", "```text name\nx\n```\n", "```toml a\nx\n", "```toml a\n```\n```conf a\n```\n"} {
		if got, err := parseRecipe(bad); err == nil {
			t.Errorf("%q = %v, want an error", bad, got)
		}
	}
}

// use finds, in the source, the calls and fields by which a test takes a block.
var use = regexp.MustCompile(`(?:snippet\(\w+, |recipe: *)"([a-z-]+\.md)",[^\n]*?"([a-z0-9-]+)"`)

// TestRecipes checks that the tests run exactly the blocks in the recipes: no block is
// unused, and each recipe's [[listener]] is in use.
func TestRecipes(t *testing.T) {
	used := map[string]bool{}
	sources, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range sources {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range use.FindAllStringSubmatch(string(source), -1) {
			used[m[1]+" "+m[2]] = true
		}
	}
	files, err := filepath.Glob(filepath.Join(recipes, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range files {
		file := filepath.Base(path)
		if file == "README.md" {
			continue
		}
		blocks, err := readRecipe(path)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, b := range blocks {
			if b.name == "" {
				continue
			}
			count++
			if !used[file+" "+b.name] {
				t.Errorf("docs/clients/%s:%d: no test uses the block %q", file, b.line, b.name)
			}
			delete(used, file+" "+b.name)
		}
	}
	for missing := range used {
		t.Errorf("no recipe has the block %q that a test uses", missing)
	}
	t.Logf("count: %d blocks in %d recipes of docs/clients, each used by a test", count, len(files)-1)
}
