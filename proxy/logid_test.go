package proxy

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/xid"

	"polyclam/backends"
	"polyclam/proxy/status"
)

// BenchmarkLogID makes the id that every request gets, logged or not.
func BenchmarkLogID(b *testing.B) {
	for b.Loop() {
		_ = xid.New()
	}
}

// TestLogIDs checks that each request has an id of its own, in the order of the requests.
func TestLogIDs(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	for range 3 {
		ts.ask("zINSTREAM\x00" + stream("x", 1))
	}
	ts.ask("zSCAN /missing\x00")
	ts.ask("zNONSENSE\x00")
	ts.logLine("command refused")
	last := ""
	for line := range strings.Lines(ts.log.String()) {
		var fields struct{ ID string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if _, err := xid.FromString(fields.ID); err != nil || fields.ID <= last {
			t.Errorf("id %q follows %q in %s", fields.ID, last, line)
		}
		last = fields.ID
	}
}

// TestLogIDInErrors checks that an error has the id of its log line, on listeners whose
// clients get details.
func TestLogIDInErrors(t *testing.T) {
	for form, want := range map[status.Form]bool{status.Plain: false, status.Extended: true, status.Annotated: true} {
		ts := newServer(t, func(c *Config) { c.Listeners[0].Profile.Form = form }, testEngine{name: "av", backend: reporting(backends.SWErr)})
		reply := ts.ask("zINSTREAM\x00" + stream("x", 1))
		id, _ := ts.logLine("scanned")["id"].(string)
		found := regexp.MustCompile(`/id=([0-9a-v]{20})\) ERROR\x00$`).FindStringSubmatch(reply)
		if got := found != nil && found[1] == id; got != want || id == "" {
			t.Errorf("%s: id %q, reply %q", form, id, reply)
		}
	}
}
