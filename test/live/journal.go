package live

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// An Entry is a line of the journal.
type Entry struct {
	Time       time.Time
	Unit       string // of systemd; empty for the kernel
	Identifier string // the program
	Priority   int    // as in syslog: 3 is an error, 4 a warning, 6 information
	Message    string
}

// Journal returns entries of the journal, oldest first. The arguments are journalctl's,
// for example "-u", "polyclamd", "-p", "warning".
func (m *Machine) Journal(args ...string) []Entry {
	m.t.Helper()
	r := m.enter("", append([]string{"journalctl", "--no-pager", "--output=json"}, args...)...)
	if r.Status != 0 {
		m.t.Fatalf("journalctl %q: %v", args, r)
	}
	var entries []Entry
	for line := range strings.Lines(r.Stdout) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			m.t.Fatalf("journalctl: %v in %q", err, line)
		}
		entries = append(entries, entry(fields))
	}
	return entries
}

// entry reads the fields of one entry. journalctl writes a text that is not UTF-8 as a
// list of numbers.
func entry(fields map[string]any) Entry {
	text := func(name string) string {
		switch v := fields[name].(type) {
		case string:
			return v
		case []any:
			var b strings.Builder
			for _, n := range v {
				if f, ok := n.(float64); ok {
					b.WriteByte(byte(f))
				}
			}
			return b.String()
		}
		return ""
	}
	number := func(name string) int64 { n, _ := strconv.ParseInt(text(name), 10, 64); return n }
	return Entry{
		Time: time.UnixMicro(number("__REALTIME_TIMESTAMP")), Unit: text("_SYSTEMD_UNIT"), Identifier: text("SYSLOG_IDENTIFIER"),
		Priority: int(number("PRIORITY")), Message: text("MESSAGE"),
	}
}
