package balancer

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// scansEnv is the number of scans of a restart, to measure more than the test needs.
const scansEnv = "POLYCLAM_BALANCER_SCANS"

// pair is two polyclamds with a clamd each, and a HAProxy that serves them as one.
type pair struct {
	*haproxy
	daemons [2]*clamdtest.Polyclam
	clamds  [2]*clamdtest.Clamd
	front   string
}

// ways are how HAProxy learns that a server is not ready.
var ways = []struct{ name, listener, haproxy string }{
	{"agent", "", "check inter 2s weight 100 agent-check agent-inter 500ms agent-port %s"},
	{"ping", `not_ready = "close"`, "check inter 500ms fall 2 rise 2"},
}

const daemonConfig = `
drain_delay = "4s"
log.level = "info"
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"
[[listener]]
address = "tcp:127.0.0.1:${PORT}"
%s
[[listener]]
address = "tcp:127.0.0.1:%s"
agent_check = true
[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%s"
canary_interval = "1s"
%s
`

// server names the servers as HAProxy does.
func server(i int) string { return fmt.Sprintf("polyclam/s%d", i) }

// startPair starts them with more lines for each daemon's engine, and what follows it.
func startPair(t *testing.T, listener, options, more string) *pair {
	t.Helper()
	clamdtest.RequireProgram(t, "haproxy")
	p := &pair{front: "127.0.0.1:" + clamdtest.Port(t)}
	text := "listen polyclam\n    bind " + p.front + "\n    retries 0\n    balance leastconn\n    option tcp-check\n    tcp-check send nPING\\n\n    tcp-check expect string PONG\n"
	for i := range p.daemons {
		p.clamds[i] = clamdtest.Start(t, clamdtest.Options{})
		agent := clamdtest.Port(t)
		p.daemons[i] = clamdtest.StartPolyclam(t, fmt.Sprintf(daemonConfig, listener, agent, p.clamds[i].Socket, more), clamdtest.Options{Port: clamdtest.Port(t)})
		line := options
		if listener == "" {
			line = fmt.Sprintf(options, agent)
		}
		text += fmt.Sprintf("    server s%d %s %s\n", i, p.daemons[i].TCP, line)
	}
	p.haproxy = startHAProxy(t, text)
	for i := range p.daemons {
		p.wait(t, server(i), "UP")
	}
	return p
}

// served is how many connections a server has had.
func (p *pair) served(i int) int {
	n, _ := strconv.Atoi(p.rows()[server(i)]["stot"])
	return n
}

// TestEngineLost kills the engine of one of two daemons under load, and starts it again.
// From the moment that HAProxy knows, no scan fails.
func TestEngineLost(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := startPair(t, way.listener, way.haproxy, "")
			l := startLoad(t, p.front)
			l.more(200)
			killed := time.Now()
			p.clamds[0].Kill()
			p.wait(t, server(0), "DOWN")
			known := time.Now()
			l.more(300)
			back := time.Now()
			p.clamds[0].Restart()
			p.wait(t, server(0), "UP")
			used, up := p.served(0), time.Now()
			l.more(300)
			if p.served(0) == used {
				t.Error("the server gets no connection after its return")
			}
			now := time.Now()
			all := l.end()
			t.Logf("measured: engine lost, %s: HAProxy knew after %d ms; ERROR %s; lost %s; up again %d ms after the engine; %d scans",
				way.name, known.Sub(killed).Milliseconds(), span(only(all, attempt.failed), killed), span(only(all, attempt.lost), killed), up.Sub(back).Milliseconds(), len(all))
			bad := func(a attempt) bool { return !a.ok() }
			wantNone(t, "before", between(all, time.Time{}, killed.Add(-time.Second)), bad)
			wantNone(t, "while HAProxy knows", between(all, known, now), bad)
			if way.listener == "" {
				wantNone(t, "lost", all, attempt.lost)
			}
		})
	}
}

// TestRollingRestart restarts two daemons one after the other under load, as an operator
// does: nothing is lost, and nothing fails, although HAProxy does not retry either.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := startPair(t, way.listener, way.haproxy, "")
			p.restartAll(t, "rolling restart, "+way.name, scansOf(1000))
		})
	}
}

// scansOf is the number of scans of a restart; n by default.
func scansOf(n int) int {
	if more, err := strconv.Atoi(os.Getenv(scansEnv)); err == nil {
		return more
	}
	return n
}

// restartAll restarts the daemons in turn, until there have been so many scans.
func (p *pair) restartAll(t *testing.T, what string, scans int) {
	l := startLoad(t, p.front)
	began := time.Now()
	for round := 0; round == 0 || len(l.all()) < scans; round++ {
		for i, d := range p.daemons {
			l.more(100)
			d.Stop()
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
			p.wait(t, server(i), "UP")
			used := p.served(i)
			l.more(100)
			if p.served(i) == used {
				t.Errorf("%s gets no connection after its restart", server(i))
			}
		}
	}
	all := l.end()
	t.Logf("measured: %s: %d scans, %d ERROR, %d lost, in %d s", what, len(all),
		len(only(all, attempt.failed)), len(only(all, attempt.lost)), int(time.Since(began).Seconds()))
	wantNone(t, "rolling restart", all, func(a attempt) bool { return !a.ok() })
}
