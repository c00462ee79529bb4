package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/proxy/count"
	"polyclam/test/testkit"
)

// statusAt is an answer to /status, n seconds after the start, when n objects a second were
// scanned.
func statusAt(n int, more string) string {
	start := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	times := count.Value{}
	times.Counts[3] = uint64(n) // 5 to 10 ms
	latency, _ := json.Marshal(times)
	return fmt.Sprintf(`{"Time":%q,"Started":%q,"Server":{"version":"1.2.3 (x)","connections":3,"scans":1,"spool_used":1048576},"Ready":{"ready":true},
"Scans":[{"Category":"ok","Count":%d},{"Category":"virus","Count":1}],
"Engines":[{"name":"clamav","mode":"on","waiting":2,"slots":10,"nodes":[{"address":"unix:/a","state":"up","in_flight":4,"counters":{"scans":%d,"failures":0}},
{"address":"unix:/b\u001b[31m\u202e","state":"down","in_flight":0,"counters":{"scans":0,"failures":%d}}]},
{"name":"inspect","mode":"observe","slots":5,"nodes":[{"address":"","state":"up","in_flight":0,"counters":{"scans":7,"failures":0}}]}],
"Latency":[{"engine":"clamav","node":"unix:/a","times":%s}]%s}`, start.Add(time.Duration(n)*time.Second).Format(time.RFC3339), start.Format(time.RFC3339), n*10, n*10, n, latency, more)
}

func tableAt(t *testing.T, before, now string) *topTable {
	t.Helper()
	var a, b topStatus
	if err := json.Unmarshal([]byte(before), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(now), &b); err != nil {
		t.Fatal(err)
	}
	return compare(&a, &b)
}

func TestTopTable(t *testing.T) {
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name          string
		view          topView
		columns, rows int
		want          string
	}{
		{"wide", topView{}, 0, 0, `polyclamd 1.2.3, up 20 seconds, ready
scans/s 10.0  failures/s 1.0  ok 10.0  virus 0.0
3 connections, 1 scan in progress, spool 1 MiB, over 10s

ENGINE   NODE                         STATE        SCANS/S  FAILED/S  SLOTS  WAITING     P50     P95  SIGNATURES
clamav   unix:/a                      up              10.0       0.0    4/5        2  7.5 ms  9.8 ms  -
clamav   unix:/b\x1b[31m\xe2\x80\xae  down             0.0       1.0    0/5        2       -       -  -
inspect  -                            up, observe      0.0       0.0    0/5        0       -       -  -`},
		{"narrow", topView{sort: 'f'}, 44, 8, `polyclamd 1.2.3, up 20 seconds, ready
scans/s 10.0  failures/s 1.0  ok 10.0  vi...
3 connections, 1 scan in progress, spool ...

ENGINE   STATE        SCANS/S  FAILED/S*
clamav   down             0.0        1.0
2 more lines
q quit  s f i w l a n sort  r reverse  / ...`},
		{"filter", topView{filter: "INSP", reverse: true, sort: 'n', utf8: true}, 30, 24, `polyclamd 1.2.3, up 20 second…
scans/s 10.0  failures/s 1.0 …
3 connections, 1 scan in prog…

ENGINE↑  STATE        SCANS/S
inspect  up, observe      0.0
filter: INSP
q quit  s f i w l a n sort  r…`},
		{"addresses", topView{utf8: true}, 58, 24, `polyclamd 1.2.3, up 20 seconds, ready
scans/s 10.0  failures/s 1.0  ok 10.0  virus 0.0
3 connections, 1 scan in progress, spool 1 MiB, over 10s

ENGINE   NODE               STATE        SCANS/S  FAILED/S
clamav   unix:/a            up              10.0       0.0
clamav   …[31m\xe2\x80\xae  down             0.0       1.0
inspect  -                  up, observe      0.0       0.0
q quit  s f i w l a n sort  r reverse  / filter`},
		{"tiny", topView{}, 5, 2, "1...\nq ..."},
	} {
		got := strings.Join(c.view.lines(tableAt(t, statusAt(10, ""), statusAt(20, "")), c.columns, c.rows, now), "\n")
		if c.name == "tiny" {
			got = strconv.Itoa(strings.Count(got, "\n"))
			c.want = "1"
		}
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		for _, line := range strings.Split(got, "\n") {
			if n := len([]rune(line)); c.columns > 0 && n > c.columns {
				t.Errorf("%s: a line of %d characters: %q", c.name, n, line)
			}
		}
	}
}

// TestTopCache has the share of the last interval, not of all time.
func TestTopCache(t *testing.T) {
	at := func(n, hits, misses int) string {
		return strings.Replace(statusAt(n, ""), `"connections":3`, fmt.Sprintf(`"connections":3,"cache_used":1024,"cache_limit":4096,"cache_hits":%d,"cache_misses":%d,"cache_shared":"up"`, hits, misses), 1)
	}
	v := topView{}
	head := strings.Join(v.head(tableAt(t, at(10, 1000, 0), at(20, 1001, 3)), 0), "\n")
	if want := "over 10s\ncache: 1 KiB of 4 KiB, 25 % of the results without a scan, shared store up"; !strings.HasSuffix(head, want) {
		t.Errorf("got\n%s\nwant the end\n%s", head, want)
	}
	if head := strings.Join(v.head(tableAt(t, at(10, 5, 5), at(20, 5, 5)), 0), "\n"); strings.Contains(head, "%") {
		t.Errorf("nothing was asked: %s", head)
	}
}

// TestTopNotReady has the reason in full, and three lines of a long one.
func TestTopNotReady(t *testing.T) {
	v := topView{}
	for text, want := range map[string]string{
		"the required engine clamav is down": "  the required engine|  clamav is down",
		strings.Repeat("word ", 30):          "  word word word word|  word word word word|  word word word wo...",
		"":                                   "",
	} {
		st := topStatus{}
		st.Ready.Reasons = []string{text}
		lines := v.lines(compare(nil, &st), 22, 0, time.Now())
		end := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "scans/s") })
		if got := strings.Join(lines[1:end], "|"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTopAfterRestart has counters that begin again.
func TestTopAfterRestart(t *testing.T) {
	after := strings.ReplaceAll(statusAt(5, ""), "T08:00:00Z", "T09:00:00Z")
	after = strings.ReplaceAll(after, "T08:00:05Z", "T09:00:05Z")
	got := tableAt(t, statusAt(1000, ""), after)
	if got.scans < 10 || got.scans > 10.3 || got.interval != 5*time.Second || !got.rows[0].hasTimes {
		t.Errorf("got %+v", got)
	}
	got = tableAt(t, statusAt(20, ""), strings.ReplaceAll(statusAt(20, ""), `"scans":200`, `"scans":20`))
	if got.interval != 0 || got.scans != 0 || got.rows[0].scans != 0 {
		t.Errorf("no interval: got %+v", got)
	}
}

func TestKeysOf(t *testing.T) {
	for in, want := range map[string]string{"q": "q", "\x1b": "\x1b", "\x1b[A": "", "\x1b[1;5Cs": "s", "\x1bOP": "", "a\xffb": "ab", "\n": "\r", "\x08": "\x7f", "\x1b[": "", "\x01": ""} {
		if got := string(keysOf([]byte(in))); got != want {
			t.Errorf("keysOf(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzTop feeds a view with any answer and any keys: the page keeps to the terminal, and has
// nothing that a terminal interprets.
func FuzzTop(f *testing.F) {
	f.Add([]byte(statusAt(3, "")), []byte("s/abc\rr"), 40, 10)
	f.Add([]byte(`{"Engines":[{"name":"\u001b","nodes":[{"address":"\u202e"}]}]}`), []byte("/\x1b[A\xff"), 1, 1)
	f.Fuzz(func(t *testing.T, text, keys []byte, columns, rows int) {
		var st topStatus
		if json.Unmarshal(text, &st) != nil || columns < 1 || rows < 1 {
			return
		}
		v := topView{problem: string(keys)}
		for _, k := range keysOf(keys) {
			v.key(k)
		}
		lines := v.lines(compare(nil, &st), columns, rows, time.Now())
		if len(lines) > max(rows, 3) {
			t.Errorf("%d lines for %d", len(lines), rows)
		}
		for _, line := range lines {
			if len([]rune(line)) > columns || !isPrintable(line) {
				t.Errorf("a line for %d columns: %q", columns, line)
			}
		}
	})
}

// TestTopOnTerminal runs top on a terminal: keys, resize, a polyclamd that goes and comes
// back, and the terminal afterwards.
func TestTopOnTerminal(t *testing.T) {
	a := newFakeAdmin(t, map[string]string{"/status": statusAt(10, "")})
	c := toolCommand(t, "", "top", "--admin", "unix:"+a.path, "--interval", "100ms")
	c.Env = append(c.Env, "TERM=xterm", "LC_ALL=C")
	p := startPTY(t, c, 120, 30)
	before := *p.termios()
	p.waitFor("clamav")
	a.set("/status", statusAt(20, ""))
	p.waitFor("FAILED/S")
	p.press("f")
	p.waitFor("FAILED/S*")
	p.press("/insp\r")
	p.waitFor("filter: insp")
	if page := p.page(); strings.Contains(page, "clamav") || !strings.Contains(page, "inspect") {
		t.Errorf("the filter is ignored:\n%s", page)
	}
	p.press("\x1b[A\x1b")
	testkit.Eventually(t, "no filter", func() bool { return strings.Contains(p.page(), "clamav") })
	p.resize(40, 10)
	testkit.Eventually(t, "a narrow page", func() bool { return !strings.Contains(p.page(), "SIGNATURES") && strings.Contains(p.page(), "...") })
	p.resize(120, 30)
	a.close()
	os.Remove(a.path)
	p.waitFor("polyclamd does not answer: ")
	if !strings.Contains(p.page(), "clamav") {
		t.Error("the last table is gone")
	}
	a.serve(t)
	testkit.Eventually(t, "polyclamd is back", func() bool { return !strings.Contains(p.page(), "does not answer") })
	if !strings.Contains(p.all(), "\x1b[31m") {
		t.Error("no colours")
	}
	if strings.Contains(p.all(), "\u202e") {
		t.Error("a hostile name is not escaped")
	}
	p.press("q")
	p.wantRestored(exitOK, &before)
}

func TestTopRestoresTerminal(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		a := newFakeAdmin(t, map[string]string{"/status": statusAt(10, "")})
		c := toolCommand(t, "", "top", "--admin", a.path)
		c.Env = append(c.Env, "TERM=xterm", "NO_COLOR=1")
		p := startPTY(t, c, 80, 24)
		before := *p.termios()
		p.waitFor("clamav")
		c.Process.Signal(s)
		p.wantRestored(exitOK, &before)
		if strings.Contains(p.all(), "\x1b[31m") {
			t.Error("colours in spite of NO_COLOR")
		}
	}
}

// TestTopPanics has a panic on another goroutine.
func TestTopPanics(t *testing.T) {
	p := openPTY(t, 80, 24)
	before := *p.termios()
	screen, err := openScreen(p.slave, p.slave)
	if err != nil {
		t.Fatal(err)
	}
	if *p.termios() == before {
		t.Error("the terminal is not changed")
	}
	r := &topRun{options: topOptions{interval: time.Hour}, screen: screen, panics: make(chan any, 1)}
	r.guard(func() { panic("for a test") })
	func() {
		defer func() {
			if got := recover(); got != "for a test" {
				t.Errorf("recovered %v", got)
			}
		}()
		r.loop(t.Context())
	}()
	if after := p.termios(); *after != before {
		t.Errorf("the terminal is %+v, and was %+v", after, before)
	}
	testkit.Eventually(t, "the end of the output", func() bool { return strings.Contains(p.all(), leaveScreen) })
}

// TestTopWithoutTerminal prints tables to a pipe.
func TestTopWithoutTerminal(t *testing.T) {
	a := newFakeAdmin(t, map[string]string{"/status": statusAt(10, "")})
	r := polyclam(t, "", "top", "--admin", a.path, "--interval", "100ms", "--count", "2")
	r.wantStatus(t, exitOK)
	if n := strings.Count(r.stdout, "ENGINE"); n != 2 || strings.Contains(r.stdout, "\x1b") || strings.Contains(r.stdout, "quit") {
		t.Errorf("%d tables:\n%s", n, r.stdout)
	}
	c := toolCommand(t, "", "top", "--admin", a.path, "--interval", "100ms", "--count", "1")
	c.Env = append(c.Env, "TERM=dumb")
	p := startPTY(t, c, 80, 24)
	<-p.exited
	testkit.Eventually(t, "the table", func() bool { return strings.Contains(p.all(), "inspect") })
	if strings.Contains(p.all(), "\x1b") {
		t.Errorf("a dumb terminal gets %q", p.all())
	}
	for _, args := range [][]string{{"--interval", "1ms"}, {"--count", "-1"}, {"--admin", "tcp:a:1"}} {
		polyclam(t, "", append([]string{"top"}, args...)...).wantStatus(t, exitFailed)
	}
}
