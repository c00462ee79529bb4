package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// fault is a way in which any scanner may fail.
type fault struct {
	name, script string
	timeout      time.Duration
	// want returns the expected result after a sample of the preset.
	want func(tab *table, s *Sample) string
}

// faults are scripts. $SAY and $EXIT are the output and exit status of a sample; say prints
// the output with the path filled in. $MUCH is far more than max_output.
var faults = []fault{
	{"hangs", `say; sleep 1000`, 100 * time.Millisecond,
		func(*table, *Sample) string { return "interrupted" }},
	{"leaves a grandchild with the pipe", `sleep 1000 & say; exit $EXIT`, time.Minute,
		func(_ *table, s *Sample) string { return string(s.Category) }},
	{"prints far too much", `head -c $MUCH /dev/zero; exit $EXIT`, 5 * time.Minute,
		func(tab *table, s *Sample) string {
			if c := tab.outcomes(s.Exit)[0].category; !c.IsFailure() && c != backends.OK {
				return string(c) + "+swerr" // by the exit status alone
			}
			return "swerr"
		}},
	{"killed by a signal", `kill -SEGV $$`, time.Minute,
		func(*table, *Sample) string { return "interrupted" }},
	{"silent, unknown status", `exit 99`, time.Minute,
		func(tab *table, _ *Sample) string {
			var all []string
			for _, o := range tab.outcomes(99) {
				all = append(all, string(o.category))
			}
			if len(all) > 1 {
				return "virus+swerr" // a mask: infected, suspicious, not scanned, internal error
			}
			return all[0]
		}},
}

const say = `f="$1"; [ ! -d "$f" ] || f=$(echo "$f"/*)
say() { printf %s "$SAY" | sed "s|@PATH@|$f|g; s|@NAME@|${f##*/}|g"; }
`

// TestFaults runs each fault with the table of each preset, and logs the result and the
// time.
func TestFaults(t *testing.T) {
	var mu sync.Mutex
	lines := map[string]string{}
	t.Run("presets", func(t *testing.T) {
		g := backendtest.Together(t)
		defer g.Wait()
		for i, p := range Presets() {
			much := 4 << 20
			if i == 0 { // the amount does not depend on the preset
				much = 256 << 20
			}
			g.Run(p.Name, func(t *testing.T) {
				for _, f := range faults {
					line := f.play(t, &p, much)
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

// play makes the program of p fail after it printed p's best sample, an ok if there is one.
// much is how many bytes it prints if it prints too much.
func (f *fault) play(t *testing.T, p *Preset, much int) string {
	t.Helper()
	sample := p.Samples[0]
	if i := slices.IndexFunc(p.Samples, func(s Sample) bool { return s.Category == backends.OK }); i >= 0 {
		sample = p.Samples[i]
	}
	path := cmp.Or(sample.Path, "/q/a")
	output := strings.ReplaceAll(strings.ReplaceAll(sample.Output, path, "@PATH@"), "./1/a", "./1/@NAME@")
	var mark string
	b := open(t, func(c *Config) {
		c.Preset = p.Name
		c.Argv = []string{"/bin/sh", "-c", say + f.script, "fake", placeholder}
		mark = marked(c)
		c.Env["SAY"], c.Env["EXIT"], c.Env["MUCH"] = output, itoa(sample.Exit), itoa(much)
	})
	want := f.want(compiled(t, p.Name), &sample)
	ctx, cancel := context.WithTimeout(t.Context(), f.timeout)
	defer cancel()
	began := time.Now()
	r, err := b.Scan(ctx, backendtest.CleanObject(t))
	took := time.Since(began)
	got := said(r, err)
	// Output before the timeout counts too.
	if got != want && !(f.name == "hangs" && got == string(sample.Category)+"+"+want) {
		t.Errorf("%s: %v, want %v: %+v, %v", f.name, got, want, r, err)
	}
	wantGone(t, mark)
	return fmt.Sprintf("%-26s %-34s %-14s %v\n", p.Name, f.name, got, took.Round(time.Millisecond))
}
