package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// member is an engine of a fan.
type member struct {
	optional bool
	takes    time.Duration
	reports  backends.Category
	fails    bool
	deaf     bool // ignores the end of its context
	delay    time.Duration
}

func (m member) engine(name string) *engine.Engine {
	scan := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		var end <-chan struct{}
		if !m.deaf {
			end = ctx.Done()
		}
		select {
		case <-time.After(m.takes):
		case <-end:
			return backends.Result{}, ctx.Err()
		}
		if m.fails {
			return backends.Result{}, errors.New("broken")
		}
		return backends.Result{Category: m.reports, Code: 2}, nil
	})
	return engine.New(engine.Config{
		Name: name, Kind: "fake", Required: !m.optional, Timeout: time.Minute, MaxDelay: m.delay,
		Nodes: []engine.Node{{Address: name, Backend: scan}}, Log: zerolog.Nop(),
	})
}

// TestMaxDelay checks how long an answer waits for each engine, and that a late engine is a
// failure. Every engine has a timeout of a minute.
func TestMaxDelay(t *testing.T) {
	const never = time.Hour
	tests := []struct {
		name    string
		members []member
		wait    bool // first_virus = "wait"
		within  time.Duration
		want    backends.Category
		after   time.Duration
		late    []int // engines that fail because of max_delay
		cancel  []int // engines cancelled because the verdict was settled
	}{
		{name: "all in time", members: []member{{takes: 2 * time.Second, reports: backends.OK}, {optional: true, takes: 3 * time.Second, reports: backends.OK}},
			want: backends.OK, after: 3 * time.Second},
		{name: "late", members: []member{{takes: 2 * time.Second, reports: backends.OK}, {optional: true, takes: never}},
			want: backends.OK, after: 8 * time.Second, late: []int{1}},
		{name: "first_virus = wait", wait: true, members: []member{{takes: 2 * time.Second, reports: backends.Virus}, {optional: true, takes: never}},
			want: backends.Virus, after: 8 * time.Second, late: []int{1}},
		{name: "first_virus = answer", members: []member{{takes: 2 * time.Second, reports: backends.Virus}, {optional: true, takes: never}},
			want: backends.Virus, after: 2 * time.Second, cancel: []int{1}},
		{name: "a finding just in time", members: []member{{takes: 2 * time.Second, reports: backends.OK}, {optional: true, takes: 7 * time.Second, reports: backends.Virus}},
			want: backends.Virus, after: 7 * time.Second},
		{name: "different delays", members: []member{{reports: backends.OK}, {optional: true, takes: never, delay: time.Second}, {optional: true, takes: never, delay: 3 * time.Second}},
			want: backends.OK, after: 3 * time.Second, late: []int{1, 2}},
		{name: "a required engine has its full timeout", members: []member{{takes: 20 * time.Second, reports: backends.OK}, {optional: true, takes: 19 * time.Second, reports: backends.Suspicious}},
			want: backends.Suspicious, after: 20 * time.Second},
		{name: "several required engines", members: []member{{takes: time.Second, reports: backends.OK}, {takes: 20 * time.Second, reports: backends.OK}, {optional: true, takes: 21 * time.Second, reports: backends.Virus}},
			want: backends.Virus, after: 21 * time.Second},
		{name: "the optional engine is first", members: []member{{takes: 20 * time.Second, reports: backends.OK}, {optional: true, reports: backends.OK}},
			want: backends.OK, after: 20 * time.Second},
		{name: "the required engine times out", members: []member{{takes: never}, {optional: true, takes: never}},
			want: backends.Interrupted, after: time.Minute},
		{name: "the required engine fails", members: []member{{fails: true}, {optional: true, takes: 4 * time.Second, reports: backends.OK}},
			want: backends.SWErr, after: 4 * time.Second},
		{name: "the required engine fails, the optional one is late", members: []member{{fails: true}, {optional: true, takes: never}},
			want: backends.SWErr, after: 6 * time.Second, late: []int{1}},
		{name: "none required", members: []member{{optional: true, takes: time.Second, reports: backends.OK}, {optional: true, takes: never}},
			want: backends.OK, after: 7 * time.Second, late: []int{1}},
		{name: "none required, a failure is not an answer", members: []member{{optional: true, fails: true}, {optional: true, takes: 30 * time.Second, reports: backends.OK}},
			want: backends.OK, after: 30 * time.Second},
		{name: "none required, none answers", members: []member{{optional: true, fails: true}, {optional: true, takes: never}},
			want: backends.SWErr, after: time.Minute},
		{name: "late and deaf", members: []member{{reports: backends.OK}, {optional: true, takes: 2 * time.Minute, deaf: true}},
			want: backends.OK, after: 6*time.Second + 50*time.Millisecond, late: []int{1}},
		{name: "the client's time ends first", within: 5 * time.Second, members: []member{{takes: 2 * time.Second, reports: backends.OK}, {optional: true, takes: never}},
			want: backends.OK, after: 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ups []*engine.Engine
				for i, m := range tt.members {
					u := m.engine(string(rune('a' + i)))
					defer u.Close()
					ups = append(ups, u)
				}
				p := policy.Default()
				p.AnswerFirst = !tt.wait
				ctx, cancel := context.WithCancel(t.Context())
				if tt.within > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), tt.within)
				}
				defer cancel()
				o := testObject(t)
				begin := time.Now()
				reports := fanOut(ctx, ups, p, o, false)
				if took := time.Since(begin); took != tt.after {
					t.Errorf("took %v, want %v", took, tt.after)
				}
				o.Release()
				if v := p.Merge(reports); v.Category != tt.want {
					t.Errorf("category %s, want %s: %+v", v.Category, tt.want, reports)
				}
				wantLate(t, reports, tt.late, tt.cancel)
				time.Sleep(2 * time.Minute) // until deaf engines return
			})
		})
	}
}

func testObject(t *testing.T) *spool.Object {
	t.Helper()
	s, err := spool.New(spool.Config{Memory: 1 << 10, Total: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if st := s.Stats(); st.Objects != 0 {
			t.Errorf("%d objects are left", st.Objects)
		}
		s.Close()
	})
	return s.Bytes([]byte("object"))
}

// wantLate checks which reports are late, and which were cancelled.
func wantLate(t *testing.T, reports []policy.Report, late, cancelled []int) {
	t.Helper()
	want := make([]string, len(reports))
	for _, i := range late {
		want[i] = "late"
	}
	for _, i := range cancelled {
		want[i] = "cancelled"
	}
	for i, r := range reports {
		got := ""
		switch {
		case r.Cancelled:
			got = "cancelled"
		case r.Err != nil && strings.Contains(r.Err.Error(), "after the other engines (key max_delay)"):
			got = "late"
			if c := backends.CategoryOf(r.Err); c != backends.Interrupted {
				t.Errorf("engine %d: category %s", i, c)
			}
		}
		if got != want[i] {
			t.Errorf("engine %d is %q, want %q: %+v", i, got, want[i], r)
		}
	}
}

// TestFanGivesUp checks that a fan does not wait for a scan that does not return, and ignores
// its report if that arrives later.
func TestFanGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := member{}.engine("a"), member{optional: true}.engine("b")
		f := &fan{
			engines: []*engine.Engine{a, b}, begun: time.Now(), reports: make([]policy.Report, 2),
			pending: []bool{true, true}, answers: make(chan answer, 6),
		}
		why := engine.CalledOff("the client is gone")
		f.giveUp(0, why)
		f.giveUp(1, why)
		f.collect(policy.Default())
		for i, r := range f.reports {
			if r.Err != why || r.Engine != f.engines[i].Name() || r.Required != f.engines[i].Required() || r.Elapsed != returnWithin || f.pending[i] {
				t.Errorf("report %+v", r)
			}
		}
		f.pending[1] = true
		f.answers <- answer{0, policy.Report{Result: backends.Clean(0)}}
		f.answers <- answer{1, policy.Report{Err: why}}
		f.collect(policy.Default())
		if f.reports[0].Err != why {
			t.Error("a report counts after the fan gave up on it")
		}
	})
}

// TestLateEngineReported checks what the reply and the log say about a late engine.
func TestLateEngineReported(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "a", backend: reporting(backends.OK)},
		testEngine{name: "b", backend: &backendtest.Fake{Hang: true}, optional: true, maxDelay: 20 * time.Millisecond})
	got := strings.Split(ts.ask("nXINSTREAM\n"+stream("content", 7)), "\n")
	const why = `no answer within 20ms after the other engines (key max_delay)`
	if len(got) != 6 || got[0] != "stream: OK" || !strings.HasPrefix(got[2], "stream: engine=b category=interrupted action=tempfail ") ||
		!strings.Contains(got[2], why) || !strings.HasSuffix(got[2], " required=no counts=no ENGINE") {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, "log line", func() bool {
		return strings.Contains(ts.log.String(), why) && strings.Contains(ts.log.String(), `"counts":false`)
	})
}
