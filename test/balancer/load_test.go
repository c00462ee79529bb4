package balancer

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// clients is how many of them scan at the same time.
const clients = 8

// attempt is one connection with one scan. reply is empty if the scan is lost: there was no
// connection, or it ended without a reply.
type attempt struct {
	began, ended time.Time
	reply        string
	err          error
}

func (a attempt) ok() bool     { return a.reply == clean }
func (a attempt) failed() bool { return strings.HasSuffix(a.reply, " ERROR\x00") }
func (a attempt) lost() bool   { return !a.ok() && !a.failed() }

// load is a number of clients that scan one object after the other, each over a new
// connection, and try nothing twice.
type load struct {
	t      *testing.T
	to     string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

func startLoad(t *testing.T, to string) *load {
	l := &load{t: t, to: to}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for range clients {
		l.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				a := l.scan(fmt.Sprintf("nothing to find in here, %d", i))
				l.mu.Lock()
				l.attempts = append(l.attempts, a)
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) scan(object string) (a attempt) {
	a.began = time.Now()
	defer func() { a.ended = time.Now() }()
	nc, err := net.DialTimeout("tcp", l.to, hang)
	if err != nil {
		a.err = err
		return a
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, a.err = io.WriteString(nc, instream(object)); a.err != nil {
		return a
	}
	b, err := io.ReadAll(nc)
	a.reply, a.err = string(b), err
	return a
}

// more waits for n more scans.
func (l *load) more(n int) {
	l.t.Helper()
	want := len(l.all()) + n
	testkit.Eventually(l.t, fmt.Sprintf("%d more scans", n), func() bool { return len(l.all()) >= want })
}

func (l *load) all() []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.attempts)
}

// end stops the clients and returns all attempts.
func (l *load) end() []attempt {
	l.cancel()
	l.wg.Wait()
	return l.all()
}

// wantNone fails the test if one of the attempts is bad.
func wantNone(t *testing.T, what string, attempts []attempt, bad func(attempt) bool) {
	t.Helper()
	found := only(attempts, bad)
	for _, a := range found[:min(len(found), 5)] {
		t.Errorf("%s: reply %q, %v", what, a.reply, a.err)
	}
	if len(found) > 5 {
		t.Errorf("%s: and %d more", what, len(found)-5)
	}
}

func only(attempts []attempt, is func(attempt) bool) (found []attempt) {
	for _, a := range attempts {
		if is(a) {
			found = append(found, a)
		}
	}
	return found
}

// between returns the attempts that began in a period.
func between(attempts []attempt, from, to time.Time) []attempt {
	return only(attempts, func(a attempt) bool { return a.began.After(from) && a.began.Before(to) })
}

// span says when, after a moment, attempts ended.
func span(attempts []attempt, moment time.Time) string {
	if len(attempts) == 0 {
		return "none"
	}
	first, last := time.Hour, time.Duration(0)
	for _, a := range attempts {
		after := a.ended.Sub(moment)
		first, last = min(first, after), max(last, after)
	}
	return fmt.Sprintf("%d, %d to %d ms later", len(attempts), first.Milliseconds(), last.Milliseconds())
}
