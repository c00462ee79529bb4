package config

import (
	"errors"
	"os"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxSalvage is how often a file is cut at a syntax error.
const maxSalvage = 50

// Addresses returns the addresses of the listeners in a file that Load refuses, as far as
// they can be read: the operator of a daemon that runs with an older version of the file
// still wants to reach it. After a syntax error only what comes before it is read.
func Addresses(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil || len(data) > maxFile {
		return nil
	}
	return addresses(string(data))
}

func addresses(text string) (found []string) {
	var document struct {
		Listener []map[string]any `toml:"listener"`
	}
	for range maxSalvage {
		document.Listener = nil
		_, err := toml.Decode(text, &document)
		var syntax toml.ParseError
		if !errors.As(err, &syntax) {
			break
		}
		text = head(text, syntax.Position.Line-1)
	}
	for _, l := range document.Listener {
		if address, ok := l["address"].(string); ok {
			found = append(found, address)
		}
	}
	return found
}

// head returns the first n lines.
func head(text string, n int) string {
	end := 0
	for range max(n, 0) {
		i := strings.IndexByte(text[end:], '\n')
		if i < 0 {
			break
		}
		end += i + 1
	}
	if end == len(text) && n > 0 { // the error is after the last line: drop that line
		end = strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n') + 1
	}
	return text[:end]
}
