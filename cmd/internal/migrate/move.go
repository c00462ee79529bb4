package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// engineConfHead begins a configuration that MoveClamd wrote.
const engineConfHead = "# Written by \"polyclam init --move-clamd\": "

func isEngineConf(data []byte) bool { return bytes.HasPrefix(data, []byte(engineConfHead)) }

// EngineConf is the place of clamd's own configuration, below the root: beside
// clamd.conf. It is empty if clamd needs none.
func (m *Machine) EngineConf() string {
	if m.clamd == nil || m.clamd.moved {
		return ""
	}
	return engineName(m.clamd.conf.real)
}

// engineConf is clamd.conf with the lines changed that say where to listen.
func (d *clamd) engineConf() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sthe configuration of the clamd\n# behind polyclam, %s with another place to listen. clamd.conf itself is for\n"+
		"# clamdscan, clamdtop, clamonacc and freshclam: they find polyclam by it.\n", engineConfHead, printableText(d.conf.path))
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

// confValue writes a value for clamd.conf: clamd takes away blanks at its ends
// unless it is in quotes.
func confValue(s string) string {
	if strings.TrimSpace(s) != s || strings.HasPrefix(s, `"`) {
		return `"` + s + `"`
	}
	return s
}

// MoveClamd writes clamd a configuration of its own, with the mode and the owner
// of clamd.conf, and says what it has done. Nobody reads it before clamd is
// started with it, see [Machine.Steps].
func (m *Machine) MoveClamd() (string, error) {
	if m.clamd == nil {
		return "", errors.New("there is no clamd.conf, so nothing can be moved")
	}
	if m.clamd.moved {
		return fmt.Sprintf("%s names clamd's new place already; it stays as it is", m.clamd.conf.path), nil
	}
	for _, p := range m.clamd.conf.problems {
		if strings.Contains(p.text, "CR LF") {
			return "", fmt.Errorf("%v; clamd is not moved with such a file", p)
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
		return fmt.Sprintf("%s is as it should be already", target), nil
	case err != nil:
		return "", err
	case backup != "":
		return fmt.Sprintf("%s is written; the old one is %s", target, path.Base(backup)), nil
	}
	return fmt.Sprintf("%s is written: %s with clamd's new place", target, m.clamd.conf.path), nil
}
