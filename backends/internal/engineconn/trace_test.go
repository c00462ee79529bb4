package engineconn

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestTrace(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	for _, steps := range []string{
		"connected, answered, asked, answered, kept the connection",
		"reused a connection, asked, answered, kept the connection",
	} {
		var record backendtest.Recorder
		if _, err := c.Scan(backends.WithTrace(t.Context(), record.Trace()), ask); err != nil {
			t.Fatal(err)
		}
		if got := record.Steps(); got != steps {
			t.Errorf("got  %s\nwant %s", got, steps)
		}
	}
	c.Close()
	var record backendtest.Recorder
	_, err := asker(t, backendtest.Missing(t)).Scan(backends.WithTrace(t.Context(), record.Trace()), ask)
	if err == nil || record.Steps() != backends.TraceNotConnected {
		t.Errorf("%v: %s", err, record.Text())
	}
}
