package icap

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestTraceHidesEcho checks that an answer that contains the object does not reach the
// trace.
func TestTraceHidesEcho(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": says(echo("", whole))})
	var record backendtest.Recorder
	ctx := backends.WithTrace(t.Context(), record.Trace())
	if _, err := open(t, f.address()).Scan(ctx, backendtest.Bytes(t, []byte(hello))); err != nil {
		t.Fatal(err)
	}
	text := record.Text()
	if strings.Contains(text, hello) || !strings.Contains(text, "bytes of the object>") || !strings.Contains(text, "answered: ICAP/1.0 200 OK") {
		t.Errorf("%s", text)
	}
}
