package proxy

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/xid"

	"polyclam/backends"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// BenchmarkLogID makes the id that every request gets, logged or not.
func BenchmarkLogID(b *testing.B) {
	for b.Loop() {
		_ = xid.New()
	}
}

// TestLogIDs checks that ids are unique and sort in the order of the requests.
func TestLogIDs(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	last := ""
	for i, send := range []string{"zINSTREAM\x00" + stream("x", 1), "zINSTREAM\x00" + stream("y", 1), "zSCAN /missing\x00", "zNONSENSE\x00"} {
		ts.ask(send)
		var lines []string
		testkit.Eventually(t, "the line", func() bool {
			lines = slices.Collect(strings.Lines(ts.log.String()))
			return len(lines) == i+1
		})
		var fields struct{ ID string }
		if err := json.Unmarshal([]byte(lines[i]), &fields); err != nil {
			t.Fatal(err)
		}
		if _, err := xid.FromString(fields.ID); err != nil || fields.ID <= last {
			t.Errorf("id %q follows %q in %s", fields.ID, last, lines[i])
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
