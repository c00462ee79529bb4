package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"polyclam/backends"
)

const someLine = `{"level":"info","id":"d1","listener":"unix:/s","object":"o","category":"ok","action":"ok","engines":{"a":{"category":"ok","ms":1}},"message":"scanned"}`

// texts returns all lines that may be scans.
func texts(t *testing.T, log string) (list []string, r *Reader) {
	t.Helper()
	r, err := NewReader(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := r.Next()
		if err == io.EOF {
			return list, r
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSuffix(string(text), "\n"))
	}
}

func journalLine(message any) string {
	b, err := json.Marshal(map[string]any{"__REALTIME_TIMESTAMP": "1", "MESSAGE": message, "_PID": "1"})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestReaderForms checks the forms in which a log may come.
func TestReaderForms(t *testing.T) {
	var numbers []int
	for _, c := range []byte(someLine) {
		numbers = append(numbers, int(c))
	}
	for name, line := range map[string]string{
		"own":                     someLine,
		"priority":                "<6>" + someLine,
		"syslog":                  "Nov 28 09:00:00 mx polyclamd[4711]: " + someLine,
		"journal":                 journalLine(someLine),
		"bytes":                   journalLine(numbers),
		"priority in the journal": journalLine("<5>" + someLine),
	} {
		for _, log := range []string{line, line + "\n", "\n" + line + "\nnext\n"} {
			if got, _ := texts(t, log); len(got) != 1 || got[0] != someLine {
				t.Errorf("%s: got %q", name, got)
			}
		}
		var packed bytes.Buffer
		for range 2 { // gzip files may be joined
			w := gzip.NewWriter(&packed)
			io.WriteString(w, line+"\n")
			w.Close()
		}
		if got, _ := texts(t, packed.String()); len(got) != 2 || got[1] != someLine {
			t.Errorf("%s, compressed: got %q", name, got)
		}
	}
}

func TestReaderIgnores(t *testing.T) {
	for _, log := range []string{"", "\n\n", "plain text\n", `"scanned" without an object` + "\n", "{}\n", journalLine("hello") + "\n", journalLine(nil), journalLine([]int{1, 70000}), journalLine(map[string]int{"scanned": 1})} {
		got, r := texts(t, log)
		for _, text := range got {
			if _, err := Parse([]byte(text)); err != ErrOther {
				t.Errorf("%q: %v", text, err)
			}
		}
		if n := strings.Count(log, "\n"); r.Lines() < n {
			t.Errorf("%q: %d lines", log, r.Lines())
		}
	}
}

// endless is a log of one line without an end.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	for i := range p[:n] {
		p[i] = 'x'
	}
	return int(n), nil
}

// TestReaderLongLines checks that a long line is left out, without keeping it in memory.
func TestReaderLongLines(t *testing.T) {
	const size = 200 << 20
	log := io.MultiReader(strings.NewReader(someLine+"\n{"), &endless{size}, strings.NewReader("\n"+someLine+"\n"))
	r, err := NewReader(log)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 2 {
		if text, err := r.Next(); err != nil || !strings.HasPrefix(string(text), someLine) {
			t.Fatalf("got %.100q, %v", text, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("allocated %d bytes for a line of %d", grown, size)
	}
	if _, err := r.Next(); err != io.EOF || r.Long != 1 || r.Lines() != 3 {
		t.Errorf("%v, %d long of %d lines", err, r.Long, r.Lines())
	}
}

func TestReaderDamaged(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	io.WriteString(w, strings.Repeat(someLine+"\n", 1000))
	w.Close()
	for name, data := range map[string][]byte{
		"cut":     packed.Bytes()[:packed.Len()/2],
		"damaged": append(bytes.Clone(packed.Bytes()[:packed.Len()-8]), make([]byte, 8)...),
		"header":  {0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		r, err := NewReader(bytes.NewReader(data))
		for err == nil {
			_, err = r.Next()
		}
		if err == io.EOF || !strings.Contains(err.Error(), "the compressed file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(someLine, old, new, 1) }
	for _, tt := range []struct {
		text string
		want error
	}{
		{someLine, nil},
		{edit("scanned", "not scanned"), ErrOther},
		{edit("scanned", "log line too long"), ErrOther},
		{someLine[:50], ErrOther},
		{`{"message":"scanned"}`, errIncomplete},
		{edit(`"ok"`, `"green"`), errIncomplete},
		{edit(`"object"`, `"shortened":true,"object"`), errIncomplete},
		{edit(`{"category":"ok","ms":1}`, `null`), errIncomplete},
		{edit(`{"category":"ok","ms":1}`, `{"category":"ok","failures":["ok"]}`), errIncomplete},
		{edit(`{"category":"ok","ms":1}`, `{"category":"ok","failures":["green"]}`), errIncomplete},
		{edit(`{"category":"ok","ms":1}`, `{"category":"ok","findings":[{"name":"x"}]}`), errIncomplete},
		{edit(`{"category":"ok","ms":1}`, `{"category":1}`), errIncomplete},
	} {
		if s, err := Parse([]byte(tt.text)); err != tt.want || (s == nil) != (err != nil) {
			t.Errorf("%s: %v, %v, want %v", tt.text, s, err, tt.want)
		}
	}
}

// FuzzLine checks that no line makes the reader or the judge fail, and that a verdict is
// valid.
func FuzzLine(f *testing.F) {
	f.Add(someLine)
	f.Add("<6>" + someLine)
	f.Add(journalLine(someLine))
	f.Add(journalLine([]int{123, 34}))
	f.Add(strings.Replace(someLine, `"ms":1`, `"names":["\\x41\\\\"],"failure":"swerr","findings":[{"category":"virus","name":"A..."}],"findings_left_out":3,"reported":"partial","failures":["swerr","interrupted"]`, 1))
	f.Add(strings.Replace(someLine, `"ms":1`, `"cancelled":true`, 1))
	judge := judgeOf(f, `
[[listener]]
address = "unix:/s"
[[engine]]
name = "a"
backend = "inspect"
[[rule]]
name = '^A'
category = "suspicious"
`)
	f.Fuzz(func(t *testing.T, log string) {
		r, err := NewReader(strings.NewReader(log))
		if err != nil {
			return
		}
		for {
			text, err := r.Next()
			if err != nil {
				return
			}
			s, err := Parse(text)
			if err != nil {
				continue
			}
			v, err := judge.Judge(s)
			if err == nil && (!v.Category.Valid() || !v.Action.Valid()) {
				t.Errorf("%s: %+v", text, v)
			}
			if known := fmt.Sprint(backends.Categories()); !strings.Contains(known, string(s.Verdict.Category)) {
				t.Errorf("%s: %+v", text, s.Verdict)
			}
		}
	})
}
