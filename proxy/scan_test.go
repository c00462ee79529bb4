package proxy

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy/policy"
	"polyclam/test/testkit"
)

// reporting returns an engine that reports a category.
func reporting(c backends.Category) *backendtest.Fake {
	return backendtest.Says(backends.Result{Category: c, Code: 2})
}

func TestFanOut(t *testing.T) {
	virus := backendtest.Says(backends.Found(1, "Some.Virus"))
	hang := &backendtest.Fake{Hang: true}
	fails := backendtest.Fails(errors.New("no"))
	within := func(d time.Duration) func(*Config) {
		return func(c *Config) { c.Listeners[0].Profile.AnswerWithin = d }
	}
	tests := []struct {
		name    string
		change  func(*Config)
		engines []testEngine
		want    string
	}{
		{"none at all", nil, nil, "ERROR"},
		{"both clean", nil, []testEngine{{name: "a", backend: reporting(backends.OK)}, {name: "b", backend: reporting(backends.OK)}}, "OK"},
		{"second finds", nil, []testEngine{{name: "a", backend: reporting(backends.OK)}, {name: "b", backend: virus}}, "FOUND"},
		{"first finds, second hangs", nil, []testEngine{{name: "a", backend: virus}, {name: "b", backend: hang}}, "FOUND"},
		{"second finds, first hangs", nil, []testEngine{{name: "a", backend: hang}, {name: "b", backend: virus}}, "FOUND"},
		{"one hangs", within(50 * time.Millisecond), []testEngine{{name: "a", backend: reporting(backends.OK)}, {name: "b", backend: hang}}, "ERROR"},
		{"one fails", nil, []testEngine{{name: "a", backend: reporting(backends.OK)}, {name: "b", backend: fails}}, "ERROR"},
		{"an optional one fails", nil, []testEngine{{name: "a", backend: reporting(backends.OK)}, {name: "b", backend: fails, optional: true}}, "OK"},
		{"only an optional one, fails", nil, []testEngine{{name: "b", backend: fails, optional: true}}, "ERROR"},
		{"panic", nil, []testEngine{{name: "a", backend: &backendtest.Fake{Panic: "x"}}, {name: "b", backend: reporting(backends.OK)}}, "ERROR"},
		{"no category", nil, []testEngine{{name: "a", backend: backendtest.Says(backends.Result{})}}, "ERROR"},
		{"encrypted", nil, []testEngine{{name: "a", backend: reporting(backends.Encrypted)}, {name: "b", backend: reporting(backends.OK)}}, "OK"},
		{"encrypted and down", nil, []testEngine{{name: "a", backend: reporting(backends.Encrypted)}, {name: "b", backend: fails}}, "ERROR"},
		{"too large for one", nil, []testEngine{{name: "a", backend: fails, maxSize: 1}, {name: "b", backend: reporting(backends.OK)}}, "OK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, tt.change, tt.engines...)
			got := ts.ask("nINSTREAM\n" + stream("content", 7))
			fields := strings.Fields(got)
			if len(fields) == 0 || fields[0] != "stream:" || fields[len(fields)-1] != tt.want {
				t.Errorf("got %q, want %s", got, tt.want)
			}
		})
	}
}

// TestFirstVirusCancels checks that the engines that need not answer any more are cancelled.
func TestFirstVirusCancels(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	finds := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		<-started
		return backends.Found(1, "V"), nil
	})
	waits := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		close(started)
		<-ctx.Done()
		_, err := o.ReadAt(make([]byte, 1), 0) // the object has not been freed
		ended <- err
		return backends.Result{}, ctx.Err()
	})
	ts := newServer(t, nil, testEngine{name: "a", backend: finds}, testEngine{name: "b", backend: waits})
	if got := ts.ask("nINSTREAM\n" + stream("content", 7)); got != "stream: V FOUND\n" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil && err != io.EOF {
		t.Errorf("reading the object of a cancelled scan: %v", err)
	}
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"cancelled":true`) })
}

func TestFirstVirusWait(t *testing.T) {
	wait := *policy.Default()
	wait.AnswerFirst = false
	slow := &backendtest.Fake{Result: backends.Clean(0), Delay: 50 * time.Millisecond}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Policy = &wait },
		testEngine{name: "a", backend: backendtest.Says(backends.Found(1, "V"))}, testEngine{name: "b", backend: slow})
	if got := ts.ask("nINSTREAM\n" + stream("content", 7)); got != "stream: V FOUND\n" {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
	if strings.Contains(ts.log.String(), "cancelled") {
		t.Errorf("the answer did not wait for the second engine: %s", ts.log)
	}
}

// TestPasswordProtectedZIP scans a password-protected ZIP, for which Sophos Sweep exits with 2
// although nothing failed.
func TestPasswordProtectedZIP(t *testing.T) {
	sweep := testEngine{name: "sophos", backend: backendtest.Says(backends.Result{
		Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt"})}
	clamd := testEngine{name: "clamav", backend: backendtest.Says(backends.Clean(0))}
	ts := newServer(t, nil, clamd, sweep)
	if got := ts.ask("zINSTREAM\x00" + stream("zip", 3)); got != "stream: OK\x00" {
		t.Errorf("got %q", got)
	}
	records := strings.Split(ts.ask("zXINSTREAM\x00"+stream("zip", 3)), "\x00")
	const want = "stream: category=encrypted action=ok code=2 engine=sophos engines=2 failed=0 version=1 SUMMARY"
	if len(records) != 6 || records[0] != "stream: OK" || records[3] != want {
		t.Errorf("got %q", records)
	}
	strict := policy.Default().WithActions(map[backends.Category]policy.Action{backends.Encrypted: policy.Quarantine})
	ts = newServer(t, func(c *Config) { c.Listeners[0].Policy = strict }, clamd, sweep)
	if got := ts.ask("zINSTREAM\x00" + stream("zip", 3)); got != "stream: Heuristics.Encrypted.Zip FOUND\x00" {
		t.Errorf("with encrypted = quarantine: got %q", got)
	}
}
