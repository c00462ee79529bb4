package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// fault is a way in which a scanner goes wrong, whatever scanner it is.
type fault struct {
	name, script string
	timeout      time.Duration
	want         func(tab *table) backends.Category
}

// faults are composed; a gigabyte is less with -short; $SAY and $EXIT are the output and exit status of a sample of
// the preset.
var faults = []fault{
	{"hangs", `printf %s "$SAY"; sleep 1000`, 100 * time.Millisecond,
		func(*table) backends.Category { return backends.Interrupted }},
	{"leaves a grandchild with the pipe", `sleep 1000 & printf %s "$SAY"; exit $EXIT`, time.Minute, nil},
	{"prints a gigabyte", `head -c $MUCH /dev/zero; exit $EXIT`, time.Minute,
		func(*table) backends.Category { return backends.SWErr }},
	{"killed by a signal", `kill -SEGV $$`, time.Minute,
		func(*table) backends.Category { return backends.Interrupted }},
	{"silent, unknown status", `exit 99`, time.Minute,
		func(*table) backends.Category { return backends.SWErr }},
}

// TestFaults runs each fault under the table of each preset, and logs what came of
// it and how long that took.
func TestFaults(t *testing.T) {
	backendtest.NoLeaks(t)
	var mu sync.Mutex
	lines := map[string]string{}
	t.Run("presets", func(t *testing.T) {
		for _, p := range Presets() {
			t.Run(p.Name, func(t *testing.T) {
				t.Parallel()
				for _, f := range faults {
					line := f.play(t, &p)
					mu.Lock()
					lines[p.Name] += line
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("table: %-26s %-34s %-14s %s", "preset", "fault", "category", "after")
	for _, name := range presetNames() {
		for line := range strings.Lines(lines[name]) {
			t.Log("table: " + strings.TrimSpace(line))
		}
	}
	wantNoZombies(t)
}

// play lets the program of p go wrong after it said what p's best sample says: the
// one that is nearest to ok.
func (f *fault) play(t *testing.T, p *Preset) string {
	t.Helper()
	say := p.Samples[0]
	for _, s := range p.Samples {
		if weight(s.Category) < weight(say.Category) {
			say = s
		}
	}
	var mark string
	b := open(t, func(c *Config) {
		c.Preset = p.Name
		c.Argv = []string{"/bin/sh", "-c", f.script, "fake", placeholder}
		mark = marked(c)
		c.Env["SAY"], c.Env["EXIT"], c.Env["MUCH"] = say.Output, itoa(say.Exit), itoa(1<<30)
		if testing.Short() {
			c.Env["MUCH"] = itoa(64 << 20)
		}
	})
	tab := compiled(t, p.Name)
	want := say.Category
	if f.want != nil {
		want = f.want(tab)
	}
	if o, _ := tab.outcome(say.Exit); f.name == "prints a gigabyte" && weight(o.category) >= weight(backends.Suspicious) {
		want = o.category // by the exit status alone
	}
	if o, listed := tab.outcome(99); f.name == "silent, unknown status" && listed {
		want = o.category
	}
	ctx, cancel := context.WithTimeout(t.Context(), f.timeout)
	defer cancel()
	began := time.Now()
	r, err := b.Scan(ctx, backendtest.CleanContent(t))
	took := time.Since(began)
	if got := outcomeOf(r, err); got != want {
		t.Errorf("%s: %v, want %v: %+v, %v", f.name, got, want, r, err)
	}
	wantGone(t, mark)
	return fmt.Sprintf("%-26s %-34s %-14s %v\n", p.Name, f.name, outcomeOf(r, err), took.Round(time.Millisecond))
}
