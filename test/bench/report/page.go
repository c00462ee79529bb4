package report

import (
	"fmt"
	"os"
	"strings"
)

// A page of the documentation has blocks that programs write:
//
//	<!-- bench:NAME -->
//	...
//	<!-- /bench:NAME -->
func blockMarks(name string) (begin, end string) {
	return "<!-- bench:" + name + " -->\n", "<!-- /bench:" + name + " -->"
}

// ReplaceBlock replaces a block in the text of a page.
func ReplaceBlock(page, name, block string) (string, error) {
	begin, end := blockMarks(name)
	before, rest, ok := strings.Cut(page, begin)
	if ok {
		var after string
		if _, after, ok = strings.Cut(rest, end); ok {
			return before + begin + "\n" + strings.TrimSpace(block) + "\n\n" + end + after, nil
		}
	}
	return "", fmt.Errorf("no block between %q and %q", strings.TrimSpace(begin), end)
}

// WritePage replaces those of the blocks that the page has, and returns their names.
func WritePage(path string, blocks map[string]string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	page := string(text)
	var written []string
	for name, block := range blocks {
		begin, _ := blockMarks(name)
		if !strings.Contains(page, begin) {
			continue
		}
		if page, err = ReplaceBlock(page, name, block); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		written = append(written, name)
	}
	return written, os.WriteFile(path, []byte(page), 0o644)
}
