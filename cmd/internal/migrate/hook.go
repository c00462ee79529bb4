package migrate

import (
	"fmt"
	"strings"
)

// hook is clamd's VirusEvent as polyclam's [on_find]. clamd's own configuration must not
// have it any more, or both run it.
type hook struct {
	from       string
	program    string
	arguments  []string
	categories []string
}

// hookConfig returns the hook for VirusEvent, and false if there is none.
func (m *Machine) hookConfig() (h hook, ok bool) {
	if m.clamd == nil || m.clamd.moved {
		return h, false
	}
	o, ok := m.clamd.conf.find("VirusEvent")
	if !ok || !isText(o.value) {
		return h, false
	}
	h = hook{
		from: m.clamd.conf.source(o),
		// clamd 1.4.6 passes VirusEvent to a shell.
		program: "/bin/sh", arguments: []string{"-c", hookCommand(o.value)},
		categories: []string{"virus", "suspicious"},
	}
	for _, a := range alerts {
		for _, key := range a.keys {
			if _, on := m.clamd.conf.enabled(key); on {
				h.categories = append(h.categories, a.category)
				break
			}
		}
	}
	return h, true
}

// hookCommand replaces clamd's %v by the variable with the name, so that the shell never
// reads the name as a command.
func hookCommand(command string) string {
	const name = "${CLAM_VIRUSEVENT_VIRUSNAME}"
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case strings.HasPrefix(command[i:], "%v"):
			switch quote {
			case '"':
				b.WriteString(name)
			case '\'':
				b.WriteString(`'"` + name + `"'`)
			default:
				b.WriteString(`"` + name + `"`)
			}
			i++
			continue
		case c == '\\' && quote != '\'' && i+1 < len(command) && command[i+1] != '%':
			b.WriteByte(c)
			i++
			c = command[i]
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (m *Machine) writeHook(w *writer) {
	h, ok := m.hookConfig()
	if !ok {
		if m.clamd != nil {
			if o, given := m.clamd.conf.find("VirusEvent"); given {
				m.note("%s: clamd still runs it, with the name of a descriptor instead of a path; see [on_find]", m.clamd.conf.source(o))
			}
		}
		return
	}
	w.line("")
	w.comment("%s", h.from)
	w.comment("polyclamd runs it as its own user, in the sandbox of its unit: check that it may do what it does. clamd itself does not run it any more.")
	w.line("[on_find]")
	w.key("program", quote(h.program))
	w.key("arguments", quoteList(h.arguments))
	w.key("categories", quoteList(h.categories))
}

// quoteList returns a TOML list of strings.
func quoteList(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, quote(s))
	}
	return fmt.Sprintf("[%s]", strings.Join(quoted, ", "))
}
