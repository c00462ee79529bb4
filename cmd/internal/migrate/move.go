package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// engineConfHead begins every configuration that MoveClamd writes.
const engineConfHead = "# Written by \"polyclam init --move-clamd\": "

func isEngineConf(data []byte) bool { return bytes.HasPrefix(data, []byte(engineConfHead)) }

// EngineConf returns the path of clamd's new configuration below the root, next to
// clamd.conf, or "" if clamd needs none.
func (m *Machine) EngineConf() string {
	if m.clamd == nil || m.clamd.moved {
		return ""
	}
	return engineName(m.clamd.conf.real)
}

// engineConf returns clamd.conf with clamd's new address.
func (d *clamd) engineConf() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sthe configuration of the clamd\n# that polyclam asks, %s with another address. clamd.conf itself is for\n"+
		"# clamdscan, clamdtop, clamonacc and freshclam, which find polyclam with it.\n", engineConfHead, printableText(d.conf.path))
	network, place, _ := strings.Cut(d.engine, ":")
	keys := map[int]string{} // by line
	for _, o := range d.conf.options {
		keys[o.line] = o.key
	}
	number, done := 0, false
	for line := range bytes.Lines(d.conf.data) {
		number++
		switch key := keys[number]; {
		case key == "LocalSocket" && network == "unix" && !done:
			fmt.Fprintf(&b, "LocalSocket %s\n", confValue(place))
			done = true
		case key == "TCPSocket" && network == "tcp" && !done:
			fmt.Fprintf(&b, "TCPSocket %s\nTCPAddr 127.0.0.1\n", place[strings.LastIndexByte(place, ':')+1:])
			done = true
		case key == "LocalSocket", key == "TCPSocket", key == "TCPAddr":
			b.WriteString("#")
			b.Write(line)
		default:
			b.Write(line)
		}
	}
	return b.Bytes()
}

// confValue quotes a value for clamd.conf if necessary: clamd trims blanks around a
// value without quotes.
func confValue(s string) string {
	if strings.TrimSpace(s) != s || strings.HasPrefix(s, `"`) {
		return `"` + s + `"`
	}
	return s
}

// MoveClamd writes a separate configuration for clamd, with the mode and the owner of
// clamd.conf, and returns what it did. It has no effect until clamd is started with it,
// see [Machine.Steps].
func (m *Machine) MoveClamd() (string, error) {
	if m.clamd == nil {
		return "", errors.New("there is no clamd.conf, so nothing can be moved")
	}
	if m.clamd.moved {
		return fmt.Sprintf("%s already has clamd's new address; it is unchanged", m.clamd.conf.path), nil
	}
	for _, p := range m.clamd.conf.problems {
		if strings.Contains(p.text, "CR LF") {
			return "", fmt.Errorf("%v; correct the line ends first", p)
		}
	}
	target := m.EngineConf()
	info, err := os.Stat(m.root.host(m.clamd.conf.real))
	if err != nil {
		return "", err
	}
	if old, _, err := m.root.read(target); err == nil && !isEngineConf(old) {
		return "", fmt.Errorf("%s exists and was not written by polyclam; move it out of the way", target)
	}
	backup, err := WriteFile(m.root.host(target), m.clamd.engineConf(), Like(info), true)
	switch {
	case errors.Is(err, ErrSame):
		return fmt.Sprintf("%s is already up to date", target), nil
	case err != nil:
		return "", err
	case backup != "":
		return fmt.Sprintf("wrote %s; the old one is %s", target, path.Base(backup)), nil
	}
	return fmt.Sprintf("wrote %s: %s with clamd's new address", target, m.clamd.conf.path), nil
}
