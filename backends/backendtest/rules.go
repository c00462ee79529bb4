package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
)

// MarkOdd marks an object to which a misbehaving engine gives the raw answer that the
// case is about. It judges every other object honestly, see [Marked].
const MarkOdd = "X-FAKE-ODD"

// Misbehaviour is what a fake engine does wrong. The zero value is an honest engine.
type Misbehaviour struct {
	// Odd is the raw answer to an object with [MarkOdd], in the engine's own protocol.
	Odd string
	// Early makes the engine answer as soon as it has read the first KiB of an object
	// that is larger, by what is in that KiB, and read on afterwards.
	Early bool
	// Repeat makes the engine send every answer about an object a second time, so
	// much later.
	Repeat time.Duration
}

// Rules are the rules for an engine's answer that every backend must keep, for a
// backend whose fake can misbehave.
type Rules struct {
	// Open starts a fake engine that misbehaves so, and opens the backend for it.
	Open func(t *testing.T, m Misbehaviour) backends.Backend
	// Masked are raw answers that say that a part is encrypted (or something else
	// that is no virus) and that the engine failed. Both must be reported.
	Masked map[string]string
	// Failures are raw answers that say that the engine failed, with words such as
	// "password", "limit" or "corrupt" in a name or a free text.
	Failures map[string]string
	// Blocked are raw answers that block the object, with such words in them.
	Blocked map[string]string
	// NoStream is for an engine that reads files itself: it cannot answer early.
	NoStream bool
}

// RunRules checks the rules. test/run adds up the cases that it logs.
func RunRules(t *testing.T, rules Rules) {
	g := Together(t)
	defer g.Wait()
	g.Run("stray", rules.stray) // it mostly waits
	rules.run(t)
}

// run runs all but the stray answers.
func (rules *Rules) run(t *testing.T) {
	cases := len(rules.Masked) + len(rules.Failures) + len(rules.Blocked) + 1
	for name, raw := range rules.Masked {
		t.Run("masked "+name, func(t *testing.T) {
			r, err := rules.odd(t, raw)
			if err == nil {
				t.Errorf("the failure is hidden: %+v", r)
			}
			if r.Category == "" || r.Category == backends.OK {
				t.Errorf("the finding is lost: %+v, %v", r, err)
			}
		})
	}
	for name, raw := range rules.Failures {
		t.Run("failure "+name, func(t *testing.T) {
			if r, err := rules.odd(t, raw); err == nil || r.Category != "" {
				t.Errorf("got %+v, %v; want a failure alone", r, err)
			}
		})
	}
	for name, raw := range rules.Blocked {
		t.Run("blocked "+name, func(t *testing.T) {
			r, err := rules.odd(t, raw)
			if r.Category != backends.Virus && r.Category != backends.Suspicious {
				t.Errorf("got %+v, %v; want virus or suspicious", r, err)
			}
		})
	}
	if !rules.NoStream {
		cases++
		t.Run("early", rules.early)
	}
	t.Logf("rules: %d cases", cases)
}

func (rules *Rules) open(t *testing.T, m Misbehaviour) backends.Backend {
	t.Helper()
	b := rules.Open(t, m)
	closeAfter(t, b)
	return b
}

func (rules *Rules) odd(t *testing.T, raw string) (backends.Result, error) {
	t.Helper()
	r, err, ok := scanWithin(t.Context(), rules.open(t, Misbehaviour{Odd: raw}), Bytes(t, []byte(MarkOdd)))
	if !ok {
		t.Fatal("the scan does not end")
	}
	return r, err
}

// earlySize is more than all buffers between a backend and its engine take.
const earlySize = 24 << 20

// early: what an engine says before it has the whole object is believed only if it is
// bad news.
func (rules *Rules) early(t *testing.T) {
	largeOne.Lock()
	defer largeOne.Unlock()
	b := rules.open(t, Misbehaviour{Early: true})
	filler := bytes.Repeat([]byte("a"), earlySize)
	for _, tt := range []struct {
		head string
		want backends.Category // empty: a failure alone
	}{{"", ""}, {MarkEncrypted, ""}, {MarkPartial, ""}, {MarkError, ""}, {string(EICAR()), backends.Virus}} {
		r, err, ok := scanWithin(t.Context(), b, Bytes(t, append([]byte(tt.head), filler...)))
		switch {
		case !ok:
			t.Fatal("the scan does not end")
		case r.Category != tt.want || tt.want == "" && err == nil:
			t.Errorf("an early answer about %.30q: got %+v, %v; want %q", tt.head, r, err, tt.want)
		}
	}
}

// strayPauses are the pauses between objects; all but the first are also how much later
// an answer is repeated.
var strayPauses = []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}

// strays bounds how many engines repeat their answers at the same time. Scans must not
// take longer than that, or every answer comes twice before it is read.
var strays = make(chan struct{}, 6)

// stray: answers that an engine repeats reach no other object.
func (rules *Rules) stray(t *testing.T) {
	const objects = 300
	largeOne.RLock()
	defer largeOne.RUnlock()
	var wrong, failed atomic.Int64
	var wg sync.WaitGroup
	for _, repeat := range strayPauses[1:] {
		b := rules.open(t, Misbehaviour{Repeat: repeat})
		wg.Go(func() {
			strays <- struct{}{}
			defer func() { <-strays }()
			for i := range objects / (len(strayPauses) - 1) {
				time.Sleep(strayPauses[rand.IntN(len(strayPauses))]) // the repeated answer comes at any moment
				switch strayOutcome(t, b, i) {
				case "failed":
					failed.Add(1)
				case "wrong":
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("table: %d objects, %d with the answer of another, %d failures", objects, wrong.Load(), failed.Load())
	if wrong.Load() > 0 {
		t.Errorf("%d of %d objects have got the answer of another", wrong.Load(), objects)
	}
	if failed.Load() > objects/2 {
		t.Errorf("%d of %d objects failed: the repeated answers are not told apart", failed.Load(), objects)
	}
}

// strayOutcome scans object i, clean and infected in turn.
func strayOutcome(t *testing.T, b backends.Backend, i int) string {
	data, want := fmt.Appendf(nil, "object %d", i), backends.OK
	if i%2 == 1 {
		data, want = append(data, EICAR()...), backends.Virus
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := b.Scan(ctx, Bytes(t, data))
	switch {
	case r.Category == want && (err == nil || want == backends.Virus):
		return "right"
	case r.Category == "":
		return "failed"
	}
	return "wrong"
}
