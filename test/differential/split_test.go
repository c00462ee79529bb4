package differential

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

// splitBases are dialogues of one write that mean the same in two packets, wherever
// they are split.
func splitBases(f *fixture) []string {
	eicarShort := f.path("eicar")
	return []string{
		"zPING\x00", "nPING\n", "zVERSION\x00", "nBOGUS\n", "zEND\x00", "zSCAN " + eicarShort + "\x00", "nCONTSCAN " + eicarShort + "\n",
		"zINSTREAM\x00" + stream(eicar), "nINSTREAM\n" + chunked(clean, 3), "zINSTREAM\x00" + end,
		"zIDSESSION\x00nPING\nzINSTREAM\x00" + chunked(eicar, 30) + "zEND\x00", "nIDSESSION\nzSCAN " + eicarShort + "\x00nINSTREAM\n" + stream("x") + "nPING\nnEND\n",
	}
}

// TestSplits splits some dialogues at every byte. They do not count as dialogues.
func TestSplits(t *testing.T) {
	clamdtest.Require(t)
	f := newFixture(t)
	sides := worlds[""].open(t)
	runs := 0
	for i, base := range splitBases(f) {
		t.Run(fmt.Sprintf("%d %.20q", i, strings.ReplaceAll(base, f.dir, "F")), func(t *testing.T) {
			whole := dialogue{steps: []step{send(base)}, norm: all(fdNumber, sorted)}
			want := whole.ask(sides, f.dir)
			if want.err != nil {
				t.Fatal(want.err)
			}
			checkSplits(t, base, want.clamd, sides, f)
		})
		runs += len(base) - 1
	}
	t.Logf("%d runs on each side", runs)
}

func checkSplits(t *testing.T, base string, want []outcome, sides *sides, f *fixture) {
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for at := 1; at < len(base); at++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d := dialogue{steps: []step{pieces(base[:at], base[at:])}, norm: all(fdNumber, sorted)}
			a := d.ask(sides, f.dir)
			switch {
			case a.err != nil:
				t.Errorf("cut at %d: %v", at, a.err)
			case a.polyclam != want[0] && a.polyclam != a.clamd[len(a.clamd)-1]:
				t.Errorf("cut at %d: polyclam %v\nclamd %v\nuncut %v", at, a.polyclam, a.clamd, want)
			}
		})
	}
	wg.Wait()
}
