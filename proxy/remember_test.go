package proxy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy/policy"
	"polyclam/proxy/record"
	"polyclam/test/testkit"
)

// onlyRecord waits for the one record with a key.
func (ts *testServer) onlyRecord(key string) *record.Scan {
	ts.t.Helper()
	var found []*record.Scan
	testkit.Eventually(ts.t, "a record of "+key, func() bool {
		found = ts.Records().Find(key, 10)
		return len(found) > 0
	})
	if len(found) != 1 {
		ts.t.Fatalf("%d records of %s", len(found), key)
	}
	return found[0]
}

// logFrom sets the level of the log until the test ends.
func logFrom(t *testing.T, level zerolog.Level) {
	before := zerolog.GlobalLevel()
	zerolog.SetGlobalLevel(level)
	t.Cleanup(func() { zerolog.SetGlobalLevel(before) })
}

// TestRecord checks what is recorded of a scan by three engines, whatever the log level.
func TestRecord(t *testing.T) {
	ts := newServer(t, func(c *Config) {
		p := policy.Default()
		p.Rules = []policy.Rule{
			{Name: regexp.MustCompile(`^Harmless$`), Category: backends.OK},
			{Name: regexp.MustCompile(`^PUA`), Category: backends.Suspicious},
		}
		c.Listeners[0].Policy = p
	},
		testEngine{name: "a", backend: backendtest.Says(backends.Found(1, "Harmless", "PUA.Tool"))},
		testEngine{name: "b", backend: backendtest.Fails(errors.New("disk full"))},
		testEngine{name: "c", backend: reporting(backends.OK)})
	logFrom(t, zerolog.Disabled)
	ts.ask("zXTAG q1\x00" + scanX)
	s := ts.onlyRecord("q1")
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("x")))
	if s.ID == "" || time.Since(s.Time) > patience || !strings.HasPrefix(s.Client, "unix:uid=") || s.Listener != "unix:"+ts.addr ||
		s.Command != "INSTREAM" || s.Object != "stream" || s.Size != 1 || s.SHA256 != sum || s.NotScanned != "" {
		t.Errorf("got %+v", s)
	}
	if s.Category != backends.Suspicious || s.Action != "quarantine" || s.Engine != "a" || s.ActionBy != "a" || s.Code != 1 ||
		!slices.Equal(s.Names, []string{"PUA.Tool"}) || s.Reply != "stream: PUA.Tool FOUND" || !strings.Contains(s.Reason, `[[rule]] name = "^PUA"`) {
		t.Errorf("got %+v", s)
	}
	want := []record.Ruled{{Name: "Harmless", Category: backends.OK, Rule: "^Harmless$"}, {Name: "PUA.Tool", Category: backends.Suspicious, Rule: "^PUA"}}
	if len(s.Engines) != 3 || !slices.Equal(s.Engines[0].Ruled, want) || s.Engines[1].Category != backends.SWErr ||
		!strings.Contains(s.Engines[1].Error, "disk full") || !s.Engines[2].Counts || s.Engines[2].Category != backends.OK {
		t.Errorf("got %+v", s.Engines)
	}
	if found := ts.Records().Find(sum, 10); len(found) != 1 || found[0] != s {
		t.Errorf("by its hash: %+v", found)
	}
	if ts.log.String() != "" {
		t.Errorf("logged %s", ts.log.String())
	}
}

// TestRecordOK checks that clean objects are recorded too, without the work of a hash that
// no log line needs.
func TestRecordOK(t *testing.T) {
	for level, hashed := range map[zerolog.Level]bool{zerolog.InfoLevel: true, zerolog.WarnLevel: false} {
		ts := newServer(t, nil, eicarOnly())
		logFrom(t, level)
		ts.ask("zXTAG q1\x00" + scanX)
		s := ts.onlyRecord("q1")
		if !s.OK() || s.Reply != "" || len(s.Engines) != 1 || (s.SHA256 != "") != hashed {
			t.Errorf("level %v: got %+v", level, s)
		}
	}
}

// TestRecordLargeObject checks that the hash of a large object follows, and that the record
// does not wait for it.
func TestRecordLargeObject(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "fake", backend: reporting(backends.Virus)})
	content := strings.Repeat("x", 300<<10)
	ts.ask("zXTAG q1\x00zINSTREAM\x00" + stream(content, 64<<10))
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	if s := ts.onlyRecord(sum); s.Tag != "q1" {
		t.Errorf("got %+v", s)
	}
	ts.onlyRecord("q1")
	if line := ts.logLine("scanned"); line["sha256"] != sum || line["tag"] != "q1" {
		t.Errorf("got %v", line)
	}
}

// TestRecordNotScanned checks the records of objects that no engine received.
func TestRecordNotScanned(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, send, object, reason, reply string }{
		{"missing", "zSCAN " + dir + "/missing\x00", dir + "/missing", "File path check failure: No such file or directory.", ""},
		{"hostile name", "zSCAN " + dir + "/a\n\x1b[2J\x00", dir + "/a\n\x1b[2J", "File path check failure: No such file or directory.", ""},
		{"over the limit", "zINSTREAM\x00GET / HTTP/1.1\r\n", "stream", "size limit exceeded", "INSTREAM size limit exceeded. ERROR"},
		{"switched off", "zCONTSCAN " + dir + "\x00", dir, "switched off for this listener (key path_commands)", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, func(c *Config) { c.Listeners[0].PathCommands = tt.name != "switched off" }, eicarOnly())
			ts.ask("zXTAG q1\x00" + tt.send)
			s := ts.onlyRecord("q1")
			if s.Object != tt.object || s.NotScanned != tt.reason || s.Reply != tt.reply || s.OK() || s.Category != "" {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// TestRecordClientGone checks that a scan whose client has gone is recorded as such.
func TestRecordClientGone(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "stuck", backend: &backendtest.Fake{Hang: true}})
	nc := ts.dial()
	io.WriteString(nc, "zXTAG q1\x00"+scanX)
	testkit.Eventually(t, "the scan", func() bool { return len(ts.running.list()) == 1 })
	nc.Close()
	if s := ts.onlyRecord("q1"); s.NotScanned != "client gone" {
		t.Errorf("got %+v", s)
	}
}

// TestRecordWalk checks that every file of a walk is recorded, under one id.
func TestRecordWalk(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a": "clean", "b": string(testfile.EICAR()), "c": "clean"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"CONTSCAN", "MULTISCAN", "XCONTSCAN"} {
		ts := newServer(t, nil, eicarOnly())
		ts.ask("zXTAG q1\x00z" + command + " " + dir + "\x00")
		var got []string
		testkit.Eventually(t, "three records", func() bool {
			got = nil
			for _, s := range ts.Records().Find("q1", 10) {
				got = append(got, filepath.Base(s.Object)+" "+s.Action+" "+s.ID)
			}
			return len(got) == 3
		})
		slices.Sort(got)
		id := got[0][len("a ok "):]
		if want := []string{"a ok " + id, "b quarantine " + id, "c ok " + id}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q", command, got)
		}
	}
}
