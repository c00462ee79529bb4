package prose

import (
	"os"
	"strings"
)

// markdown returns the lines of a Markdown file, without tables and fenced code.
func markdown(path string) ([]line, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []line
	code := false
	for i, l := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(strings.TrimSpace(l), "```"):
			code = !code
		case !code && !strings.HasPrefix(l, "|"):
			lines = append(lines, line{i + 1, l})
		}
	}
	return lines, nil
}

// example returns the comments of an example configuration.
func example(path string) ([]line, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []line
	for i, l := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(l, "#") {
			lines = append(lines, line{i + 1, strings.TrimLeft(l, "# ")})
		}
	}
	return lines, nil
}
