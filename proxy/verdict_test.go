package proxy

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
	"polyclam/test/testkit"
)

// TestFirstVirusOfAny checks that with first_virus = "answer" a slow engine does not delay
// FOUND, whatever the order of the engines.
func TestFirstVirusOfAny(t *testing.T) {
	virus := backendtest.Says(backends.Found(1, "V"))
	hang := &backendtest.Fake{Hang: true}
	for _, engines := range [][]testEngine{
		{{name: "slow", backend: hang}, {name: "finder", backend: virus}},
		{{name: "slow", backend: hang}, {name: "finder", backend: virus}, {name: "slower", backend: hang}},
		{{name: "finder", backend: virus}, {name: "slow", backend: hang, optional: true}},
	} {
		ts := newServer(t, nil, engines...)
		got := strings.Split(ts.ask("nXINSTREAM\n"+stream("content", 7)), "\n")
		if got[0] != "stream: V FOUND" || !strings.Contains(strings.Join(got, "\n"), "engine=slow category=interrupted") {
			t.Errorf("got %q", got)
		}
	}
}

// TestCauses checks that the cause with which a scan is cancelled says why, and names the
// key.
func TestCauses(t *testing.T) {
	causes, begun := make(chan error, 2), make(chan struct{}, 2)
	waits := backends.Func(func(ctx context.Context, _ backends.Object) (backends.Result, error) {
		begun <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return backends.Result{}, errors.New("read: use of closed network connection")
	})
	ts := newServer(t, func(c *Config) { c.Listeners[0].Profile.AnswerWithin = 500 * time.Millisecond }, testEngine{name: "a", backend: waits})
	got := ts.ask("nXINSTREAM\n" + stream("content", 7))
	if cause := <-causes; cause.Error() != "no answer within 500ms (key answer_within)" || !errors.Is(cause, context.DeadlineExceeded) {
		t.Errorf("cause %q", cause)
	}
	if !strings.Contains(got, `category=interrupted`) || !strings.Contains(got, "no answer within 500ms (key answer_within)") {
		t.Errorf("got %q", got)
	}
	<-begun
	finds := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		<-begun
		return backends.Found(1, "V"), nil
	})
	ts = newServer(t, nil, testEngine{name: "a", backend: waits}, testEngine{name: "b", backend: finds})
	ts.ask("nINSTREAM\n" + stream("content", 7))
	if cause := <-causes; cause.Error() != "the verdict was settled already" || backends.CategoryOf(cause) != backends.Interrupted {
		t.Errorf("cause %q", cause)
	}
}

// TestStoppingCause checks the cause with which Shutdown cancels scans after its grace.
func TestStoppingCause(t *testing.T) {
	begun, cause := make(chan struct{}), make(chan error, 1)
	ts := newServer(t, nil, testEngine{name: "a", backend: backends.Func(func(ctx context.Context, _ backends.Object) (backends.Result, error) {
		close(begun)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return backends.Result{}, ctx.Err()
	})})
	nc := ts.dial()
	if _, err := io.WriteString(nc, "nINSTREAM\n"+stream("content", 7)); err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ts.Shutdown(ctx)
	if err := <-cause; err.Error() != "polyclamd is stopping" {
		t.Errorf("cause %q", err)
	}
}

// TestBothAreShown checks that the status line, the records and the log show both the finding
// and the failure of a report, and the engine that demanded the action.
func TestBothAreShown(t *testing.T) {
	both := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		return backends.Result{Category: backends.Encrypted, Code: 2, Detail: "a.txt is locked"}, &backends.Failure{Category: backends.SWErr, Text: "virus data missing"}
	})
	ts := newServer(t, nil, testEngine{name: "a", backend: reporting(backends.Encrypted)}, testEngine{name: "b", backend: both})
	got := strings.Split(ts.ask("nXINSTREAM\n"+stream("content", 7)), "\n")
	if got[0] != "stream: Encrypted content, b scan failed ERROR" ||
		!strings.Contains(got[2], `failure=swerr msg="a.txt is locked; virus data missing"`) ||
		!strings.Contains(got[3], "engine=a action_by=b") {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
	for _, want := range []string{
		`"engine":"a","action_by":"b"`,
		`"b":{"category":"encrypted"`, `"failure":"swerr","detail":"a.txt is locked","error":"virus data missing"`,
	} {
		if !strings.Contains(ts.log.String(), want) {
			t.Errorf("no %s in %s", want, ts.log)
		}
	}
}

// TestPassedByRule checks that records and log show a finding that a rule maps to ok, and the
// rule.
func TestPassedByRule(t *testing.T) {
	p := policy.Default()
	p.Rules = []policy.Rule{{Name: regexp.MustCompile(`^PUA\.`), Category: backends.OK}}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Policy = p }, testEngine{name: "a", backend: backendtest.Says(backends.Found(1, "PUA.X"))})
	got := ts.ask("nXINSTREAM\n" + stream("content", 7))
	if !strings.HasPrefix(got, "stream: OK\n") || !strings.Contains(got, `passed=PUA.X rule="^PUA\\."`) {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, "the log line", func() bool { return strings.Contains(ts.log.String(), `"scanned"`) })
	if want := `"passed":["PUA.X"],"rule":["^PUA\\\\."]`; !strings.Contains(ts.log.String(), want) {
		t.Errorf("no %s in %s", want, ts.log)
	}
}

// TestOwnControlComesBack checks that a listener answers the clean control of polyclam's own
// health check with an error, even if the policy lets failures pass, and that the node is
// taken out. The control of another polyclam is scanned like any object.
func TestOwnControlComesBack(t *testing.T) {
	lax := policy.Default().WithActions(map[backends.Category]policy.Action{backends.SWErr: policy.OK})
	for name, command := range map[string]func(ts *testServer, object []byte) string{
		"stream": func(ts *testServer, object []byte) string {
			return ts.ask("nINSTREAM\n" + stream(string(object), 100))
		},
		"path": func(ts *testServer, object []byte) string {
			path := filepath.Join(ts.t.TempDir(), "x")
			if err := os.WriteFile(path, object, 0o600); err != nil {
				ts.t.Fatal(err)
			}
			return ts.ask("nSCAN " + path + "\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var ts *testServer
			ready, replies := make(chan struct{}), make(chan string, 10)
			loops := backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
				<-ready
				object := make([]byte, o.Size())
				o.ReadAt(object, 0)
				replies <- command(ts, object)
				return backends.Clean(0), nil
			})
			looping := engine.New(engine.Config{
				Name: "loop", Kind: "fake", Canary: true, Timeout: patience, Nodes: []engine.Node{{Backend: loops}}, Log: zerolog.Nop(),
				Spool: spooltest.New(t, spool.Config{}),
			})
			ts = newServer(t, func(c *Config) {
				c.Listeners[0].Policy = lax
				c.Engines = append(c.Engines, looping)
			}, testEngine{name: "a", backend: backendtest.Says(backends.Clean(0))})
			close(ready)
			if got := <-replies; !strings.HasSuffix(got, " ERROR\n") {
				t.Errorf("the loop got %q", got)
			}
			testkit.Eventually(t, "the node has a reason", func() bool {
				return looping.Status().Nodes[0].Reason == "asks polyclam itself, through the listener unix:"+ts.addr
			})
			status := ts.ask("nXSTATUS\n")
			if !strings.Contains(status, `engine=loop backend=fake required=false state=down reason="asks polyclam itself`) {
				t.Errorf("status %q", status)
			}
			if got := command(ts, testfile.Clean(testfile.NewNonce())); !strings.HasSuffix(got, ": OK\n") {
				t.Errorf("another's control: %q", got)
			}
		})
	}
}
