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
	"polyclam/backends/testfile"
)

// MarkOdd marks the object that a misbehaving engine answers with the raw text of the
// test case. It answers about every other object correctly, see [Marked].
const MarkOdd = "X-FAKE-ODD"

// Misbehaviour says what a fake engine does wrong. The zero value is correct behaviour.
type Misbehaviour struct {
	// Odd is the raw answer to an object with [MarkOdd], in the engine's own protocol.
	Odd string
	// Early makes the engine answer as soon as it has read the first KiB of a larger
	// object, by the markers in that KiB, and then read the rest.
	Early bool
	// Repeat makes the engine send every answer about an object a second time after
	// this delay.
	Repeat time.Duration
}

// Rules describes a backend for [RunRules]. Its fake engine must be able to misbehave.
type Rules struct {
	// Open starts a fake engine that misbehaves, and opens the backend for it.
	Open func(t *testing.T, m Misbehaviour) backends.Backend
	// Masked are raw answers with a failure of the engine and another category that is
	// not a virus, such as an encrypted part. The backend must report both.
	Masked map[string]string
	// Failures are raw answers that report a failure, with a word such as "password",
	// "limit" or "corrupt" in a name or free text.
	Failures map[string]string
	// Blocked are raw answers that contain such a word and block the object.
	Blocked map[string]string
	// NoStream is set for an engine that reads files itself: it cannot answer early.
	NoStream bool
}

// RunRules checks the rules for an engine's answer that every backend must follow: no
// failure is masked, words in free text prove nothing, an early answer is never OK, and
// a stray answer never reaches another object. It logs the number of cases for test/run.
func RunRules(t *testing.T, rules Rules) {
	g := Together(t)
	defer g.Wait()
	g.Run("stray", rules.stray) // mostly waits
	rules.run(t)
}

// run runs all checks except stray.
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
		t.Fatal("the scan does not return")
	}
	return r, err
}

// earlySize is more than fits into all buffers between a backend and its engine.
const earlySize = 24 << 20

// early checks that an answer before the end of the object counts only if it is a virus.
func (rules *Rules) early(t *testing.T) {
	largeOne.Lock()
	defer largeOne.Unlock()
	b := rules.open(t, Misbehaviour{Early: true})
	filler := bytes.Repeat([]byte("a"), earlySize)
	for _, tt := range []struct {
		head string
		want backends.Category // empty: a failure alone
	}{{"", ""}, {MarkEncrypted, ""}, {MarkPartial, ""}, {MarkError, ""}, {string(testfile.EICAR()), backends.Virus}} {
		r, err, ok := scanWithin(t.Context(), b, Bytes(t, append([]byte(tt.head), filler...)))
		switch {
		case !ok:
			t.Fatal("the scan does not return")
		case r.Category != tt.want || tt.want == "" && err == nil:
			t.Errorf("an early answer about %.30q: got %+v, %v; want %q", tt.head, r, err, tt.want)
		}
	}
}

// strayPauses are the pauses between objects. All but the first are also the delays of
// repeated answers.
var strayPauses = []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}

// strays limits how many engines repeat their answers at the same time. With more
// engines, scans take longer than the delays, and every answer arrives twice before it is
// read.
var strays = make(chan struct{}, 6)

// stray checks that a repeated answer never reaches another object.
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
				time.Sleep(strayPauses[rand.IntN(len(strayPauses))]) // so that the repeated answer arrives at any point
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
		t.Errorf("%d of %d objects got the answer for another one", wrong.Load(), objects)
	}
	if failed.Load() > objects/2 {
		t.Errorf("%d of %d objects failed because of repeated answers", failed.Load(), objects)
	}
}

// strayOutcome scans object i; every other one is infected.
func strayOutcome(t *testing.T, b backends.Backend, i int) string {
	data, want := fmt.Appendf(nil, "object %d", i), backends.OK
	if i%2 == 1 {
		data, want = append(data, testfile.EICAR()...), backends.Virus
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
