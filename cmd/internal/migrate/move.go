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

// engineConf returns clamd.conf with clamd's new address, and the other changes of
// [Machine.changes].
func (m *Machine) engineConf() []byte {
	d := m.clamd
	var b bytes.Buffer
	fmt.Fprintf(&b, "%sthe configuration of the clamd\n# that polyclam asks, %s with another address. clamd.conf itself is for\n"+
		"# clamdscan, clamdtop, clamonacc and freshclam, which find polyclam with it.\n", engineConfHead, printableText(d.conf.path))
	network, place, _ := strings.Cut(d.engine, ":")
	changes := m.changes()
	replaced := map[string]bool{"LocalSocket": true, "TCPSocket": true, "TCPAddr": true}
	for _, c := range changes {
		replaced[c.key] = true
	}
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
		case replaced[key]:
			b.WriteString("#")
			b.Write(line)
		default:
			b.Write(line)
		}
	}
	if len(changes) == 0 && done {
		return b.Bytes()
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteString("\n")
	}
	if !done { // the address is that of a unit
		if network == "unix" {
			fmt.Fprintf(&b, "LocalSocket %s\n", confValue(place))
		} else {
			fmt.Fprintf(&b, "TCPSocket %s\nTCPAddr 127.0.0.1\n", place[strings.LastIndexByte(place, ':')+1:])
		}
		if len(changes) == 0 {
			return b.Bytes()
		}
	}
	b.WriteString("\n# Changed by \"polyclam init\":\n")
	for _, c := range changes {
		fmt.Fprintf(&b, "# %s\n", printableText(c.why))
		if c.value != "" {
			fmt.Fprintf(&b, "%s %s\n", c.key, confValue(c.value))
		}
	}
	return b.Bytes()
}

// change is a difference between clamd.conf and clamd's new configuration.
type change struct {
	key, value string // no value: the key is commented out
	why        string
}

// changes returns the differences other than the address.
func (m *Machine) changes() (list []change) {
	for _, a := range m.advice() {
		for _, line := range a.lines {
			key, value, _ := strings.Cut(line, " ")
			list = append(list, change{key, value, a.why})
		}
	}
	if t, _ := m.temporary(); t.dir != "" && m.mountsTemporary() {
		list = append(list, change{"TemporaryDirectory", t.dir, t.comment() + " The drop-in of clamd's unit mounts it."})
	}
	if o, ok := m.clamd.conf.find("VirusEvent"); ok && m.takesOver("[on_find]") {
		list = append(list, change{o.key, "", "VirusEvent: polyclam runs it, see [on_find] in its configuration."})
	}
	return list
}

// mountsTemporary reports whether the scripts mount the file system for clamd's temporary
// files, or have done so. clamd says OK to everything if its TemporaryDirectory is missing.
func (m *Machine) mountsTemporary() bool {
	if m.Scriptable() != nil {
		return false
	}
	return m.scripted || m.root.exists("/etc/systemd/system/"+m.engineUnit()+".d/"+dropIn)
}

// takesOver reports whether polyclam's configuration has this table.
func (m *Machine) takesOver(table string) bool {
	text, _, err := m.Config()
	return err == nil && strings.Contains(text, "\n"+table+"\n")
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
	backup, err := WriteFile(m.root.host(target), m.engineConf(), Like(info), true)
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
