package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"

	"polyclam/cmd/internal/logbuf"
)

// maxJournalLine is the most bytes in one line for the journal. The journal splits lines that
// are longer than LineMax= of journald.conf, by default 48K: the parts after the first would
// lose the priority, and no part would be JSON.
const maxJournalLine = 40 << 10

// isJournal reports whether w is standard error and systemd's journal reads it.
func isJournal(w io.Writer) bool {
	if w != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// textLines returns a writer to w for plain text whose lines have a priority, if w is the
// journal.
func textLines(w io.Writer, p journal.Priority) io.Writer {
	if isJournal(w) {
		return prioritized{w, p}
	}
	return w
}

// prioritized begins each line with its priority, in the form of sd-daemon(3). Each Write
// is one or more whole lines.
type prioritized struct {
	io.Writer
	priority journal.Priority
}

// Write implements io.Writer.
func (w prioritized) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+len("<6>"))
	for line := range bytes.Lines(p) {
		out = append(out, '<', '0'+byte(w.priority), '>')
		out = append(out, line...)
	}
	if _, err := w.Writer.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// journalLevels are the log's writers for the journal, one for each priority.
type journalLevels [journal.PriDebug + 1]io.Writer

func newJournalLevels(format func(io.Writer) io.Writer, b *logbuf.Buffer) zerolog.LevelWriter {
	var l journalLevels
	for p := range l {
		out := io.Writer(b)
		switch p := journal.Priority(p); {
		case p <= journal.PriWarning:
			out = b.Important()
		case p == journal.PriDebug:
			out = b.Expendable()
		}
		l[p] = format(prioritized{out, journal.Priority(p)})
	}
	return l
}

// Write implements io.Writer.
func (l journalLevels) Write(p []byte) (int, error) { return l.WriteLevel(zerolog.NoLevel, p) }

// WriteLevel implements [zerolog.LevelWriter].
func (l journalLevels) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	out := l[priority(level, p)]
	if len(p) <= maxJournalLine {
		return out.Write(p)
	}
	if _, err := out.Write(shorten(p, maxJournalLine)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// finding is part of the log line of a scan that ended in quarantine. No foreign text can
// contain it, because JSON escapes the quotes in a string.
var finding = []byte(`"action":"quarantine"`)

// priority is the journal's priority of a line. A finding is a notice, not a warning: the
// daemon did its work. "journalctl -p notice" shows findings and problems without the lines
// of all the clean objects.
func priority(level zerolog.Level, line []byte) journal.Priority {
	switch {
	case level <= zerolog.DebugLevel:
		return journal.PriDebug
	case level == zerolog.WarnLevel:
		return journal.PriWarning
	case level == zerolog.ErrorLevel:
		return journal.PriErr
	case level == zerolog.FatalLevel, level == zerolog.PanicLevel:
		return journal.PriCrit
	case bytes.Contains(line, finding):
		return journal.PriNotice
	}
	return journal.PriInfo
}

// shorten returns a JSON line with its long strings and lists cut, so that it has at most
// limit bytes. It is for the rare line with the longest of all names.
func shorten(line []byte, limit int) []byte {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if d.Decode(&fields) == nil {
		fields["shortened"] = true
		for most := 4096; most > 0; most /= 4 {
			if short := encode(cut(fields, most)); len(short) <= limit {
				return short
			}
		}
	}
	return encode(map[string]any{
		"level": fields[zerolog.LevelFieldName], "time": fields[zerolog.TimestampFieldName], "id": fields["id"],
		"message": "log line too long", "bytes": len(line),
	})
}

// encode returns v as a JSON line.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // v comes from JSON
	return b.Bytes()
}

// cut returns v with at most this many bytes of each string and elements of each list. The
// fields of the line itself stay.
func cut(v any, most int) any {
	switch v := v.(type) {
	case string:
		if len(v) > most+len("...") {
			return string(bytes.ToValidUTF8([]byte(v[:most]), nil)) + "..."
		}
	case []any:
		short := slices.Clone(v[:min(len(v), most)])
		for i := range short {
			short[i] = cut(short[i], most)
		}
		return short
	case map[string]any:
		short := make(map[string]any, len(v))
		for key, value := range v {
			if key == zerolog.LevelFieldName || key == zerolog.TimestampFieldName || key == zerolog.MessageFieldName || key == "id" {
				short[key] = value
				continue
			}
			short[key] = cut(value, most)
		}
		return short
	}
	return v
}
