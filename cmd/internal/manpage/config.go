package manpage

import (
	"regexp"
	"slices"
	"strings"
)

// A line of config.toml.example: a table's header or a key, often commented out.
var (
	tableLine = regexp.MustCompile(`^(#?)(\[+[a-z._-]+\]+)$`)
	keyLine   = regexp.MustCompile(`^#?([A-Za-z0-9_-]+) = (.*)$`)

	backendLine = regexp.MustCompile(`(?m)^backend = .*$`)
)

// Config returns polyclam.toml(5), made from config.toml.example.
func Config(example string) string {
	p := newPage("POLYCLAM.TOML", "5")
	p.heading("NAME")
	p.line(`polyclam.toml \- configuration of polyclamd`)
	p.heading("DESCRIPTION")
	blocks := strings.Split(strings.Trim(example, "\n"), "\n\n")
	topLevel := true
	for i, text := range blocks {
		b := parseBlock(text)
		switch {
		case b.table != "":
			topLevel = false
			p.heading(b.table)
		case topLevel && len(b.keys) > 0 && len(parseBlock(blocks[i-1]).keys) == 0:
			p.heading("TOP-LEVEL KEYS")
		}
		p.block(b)
	}
	p.heading("SEE ALSO")
	p.line("polyclam(1), polyclamd(8)")
	return p.b.String()
}

// block is the part of config.toml.example between two empty lines.
type block struct {
	about   string // in the syntax of doc comments
	table   string // "[[engine]]"; empty: none
	keys    []key
	example string // a whole table that is commented out
}

type key struct{ name, value, standard string }

func parseBlock(text string) block {
	var b block
	standard := ""
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if m := tableLine.FindStringSubmatch(line); m != nil {
			if m[1] == "#" {
				b.example = strings.ReplaceAll(strings.Join(lines[i:], "\n"), "\n#", "\n")[1:]
				return b
			}
			b.table = m[2]
			continue
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			b.keys = append(b.keys, key{m[1], m[2], standard})
			standard = ""
			continue
		}
		comment := strings.TrimPrefix(strings.TrimPrefix(line, "#"), " ")
		if rest, ok := strings.CutPrefix(comment, "Default: "); ok {
			standard = rest
		} else if standard != "" {
			standard += " " + comment
		} else {
			b.about += comment + "\n"
		}
	}
	return b
}

func (p *page) block(b block) {
	if len(b.keys) == 0 {
		if m := backendLine.FindString(b.example); m != "" {
			p.subheading(m)
		}
		p.doc(b.about)
		if b.example != "" {
			p.literal(b.example)
		}
		return
	}
	if b.table != "" {
		p.doc(b.about)
		b.about = ""
	}
	var names []string
	for _, k := range b.keys {
		names = append(names, k.name)
	}
	p.item(slices.Compact(names)...)
	p.fill(b.about)
	for _, k := range b.keys {
		p.line(".br")
		p.fill(k.describe(len(b.keys) > 1))
	}
}

// describe states the default, and adds an example if it has another value.
func (k key) describe(named bool) string {
	var s string
	switch {
	case k.standard == "":
		return "Example: " + k.name + " = " + k.value
	case named:
		s = "Default of " + k.name + ": " + k.standard
	default:
		s = "Default: " + k.standard
	}
	if k.standard != k.value {
		s += strings.TrimSuffix("; example: "+k.name+" = "+k.value, ".")
	}
	return s
}
