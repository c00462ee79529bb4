package proxy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// logLine waits for the log line with a message, and returns its fields.
func (ts *testServer) logLine(message string) map[string]any {
	ts.t.Helper()
	var found map[string]any
	testkit.Eventually(ts.t, "log line "+message, func() bool {
		for line := range strings.Lines(ts.log.String()) {
			var fields map[string]any
			if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == message {
				found = fields
				return true
			}
		}
		return false
	})
	return found
}

// TestRefusedCommands checks that the log has every refused command and the key that
// allows it.
func TestRefusedCommands(t *testing.T) {
	for _, tt := range []struct{ send, command, object, reason string }{
		{"zSCAN /etc/hosts\x00", "SCAN", "/etc/hosts", "path_commands"},
		{"zRELOAD\x00", "RELOAD", "", "reload_command"},
		{"zSELFCHECK\x00", "SELFCHECK", "", "reload_command"},
		{"zSHUTDOWN\x00", "SHUTDOWN", "", "shutdown_command"},
		{"GET / HTTP/1.1\r\n\r\n", "", "", "HTTP instead of a command"},
		{"zIDSESSION\x00zSCAN /etc/hosts\x00", "SCAN", "/etc/hosts", "path_commands"},
		{"zIDSESSION\x00zCONTSCAN /etc\x00", "CONTSCAN", "/etc", "not allowed inside IDSESSION"},
	} {
		t.Run(tt.send, func(t *testing.T) {
			ts := newServer(t, func(c *Config) { c.Listeners[0].PathCommands, c.Listeners[0].ReloadCommand = false, false }, eicarOnly())
			ts.ask(tt.send)
			line := ts.logLine("command refused")
			object, _ := line["object"].(string)
			if reason, _ := line["reason"].(string); line["command"] != tt.command || object != tt.object || !strings.Contains(reason, tt.reason) {
				t.Errorf("got %v", line)
			}
		})
	}
}

// TestLogLevels checks that everything that is answered with ERROR is a warning.
func TestLogLevels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, testfile.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	engines := func(categories ...backends.Category) (all []testEngine) {
		for i, c := range categories {
			all = append(all, testEngine{name: string(rune('a' + i)), backend: reporting(c)})
		}
		return all
	}
	instream := "zINSTREAM\x00" + stream("x", 1)
	for _, tt := range []struct {
		name    string
		engines []testEngine
		total   int64 // of the spool
		send    string
		message string
		level   string
	}{
		{"clean", engines(backends.OK), 0, instream, "scanned", "info"},
		{"found", engines(backends.Virus), 0, instream, "scanned", "info"},
		{"encrypted", engines(backends.Encrypted), 0, instream, "scanned", "info"},
		{"failed", engines(backends.SWErr), 0, instream, "scanned", "warn"},
		{"failed next to encrypted", engines(backends.Encrypted, backends.Interrupted), 0, instream, "scanned", "warn"},
		{"no room in the spool", engines(backends.OK), 64 << 10, "zINSTREAM\x00" + stream(strings.Repeat("x", 100<<10), 1<<10), "not scanned", "warn"},
		{"no such file", engines(backends.OK), 0, "zSCAN " + file + ".missing\x00", "not scanned", "warn"},
		{"over the limit", engines(backends.OK), 0, "zINSTREAM\x00GET / HTTP/1.1\r\n", "not scanned", "warn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, nil, tt.engines...)
			if tt.total > 0 {
				if err := ts.spool.Configure(spool.Config{Total: tt.total}); err != nil {
					t.Fatal(err)
				}
			}
			ts.ask(tt.send)
			if line := ts.logLine(tt.message); line["level"] != tt.level {
				t.Errorf("got %v, want level %s", line, tt.level)
			}
		})
	}
}

// TestChunkOverLimit checks that the log has the length of the chunk with which a stream
// exceeded its limit: here it is the text "GET ", or a short chunk after others.
func TestChunkOverLimit(t *testing.T) {
	const chunk = 1 << 19
	half := "\x00\x08\x00\x00" + strings.Repeat("x", chunk)
	for _, tt := range []struct {
		name, stream, want string
	}{
		{"text", "GET / HTTP/1.1\r\n", "a chunk of 1195725856 bytes after 0 bytes, and the limit is 1048576 (key stream); " +
			`the bytes of this length are the text "GET ", so the client probably sends no lengths before its chunks`},
		{"short", half + half + "\x00\x00\x00\x01x", "a chunk of 1 bytes after 1048576 bytes, and the limit is 1048576 (key stream)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, nil, eicarOnly())
			ts.ask("zINSTREAM\x00" + tt.stream)
			if line := ts.logLine("not scanned"); line["error"] != tt.want {
				t.Errorf("got %v", line)
			}
		})
	}
}
