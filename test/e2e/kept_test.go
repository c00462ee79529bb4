package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/protocol"
	"polyclam/test/clamdtest"
)

// keptScans is how many scans TestKept makes. POLYCLAM_KEPT_SCANS sets another number:
//
//	POLYCLAM_KEPT_SCANS=100000 go test -count=1 -timeout 60m -v -run TestKept ./test/e2e
func keptScans(t *testing.T) int64 {
	text := os.Getenv("POLYCLAM_KEPT_SCANS")
	if text == "" {
		return 2000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const keptConfig = `
[[listener]]
address = "unix:${DIR}/p.sock"

[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:%s"
%s
`

// mixed returns an object that clamd has not seen, with or without a signature somewhere in
// it, and as long either way.
func mixed(r *rand.Rand, infected bool) []byte {
	n := 200 + r.IntN(3000)
	switch r.IntN(50) {
	case 0:
		n = 300<<10 + r.IntN(100<<10) // received into the file, not into memory
	case 1, 2, 3, 4:
		n = 20<<10 + r.IntN(20<<10)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	if infected {
		copy(b[r.IntN(n-len(clamdtest.One)):], clamdtest.One)
	}
	return b
}

// TestKept scans clean and infected objects in turn, by 16 clients, so that the memory of
// each object has been that of others before. With kills, clamd dies every now and then; with
// timeouts, scans and clients give up early.
func TestKept(t *testing.T) {
	for _, tt := range []struct {
		name, engine string
		share        int64 // of the scans
		kills, hasty bool
	}{
		{"steady", "", 1, false, false},
		{"kills", "canary_interval = \"1s\"", 10, true, false},
		{"timeouts", "timeout = \"200ms\"\ncanary = false\nmax_scans = 4", 4, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := clamdtest.Start(t, clamdtest.Options{})
			p := clamdtest.StartPolyclam(t, fmt.Sprintf(keptConfig, d.Socket, tt.engine), clamdtest.Options{HideLog: true})
			k := &keptTest{t: t, socket: p.Socket, hasty: tt.hasty, patient: tt.kills}
			k.left.Store(keptScans(t) / tt.share)
			stop := make(chan struct{})
			var killer sync.WaitGroup
			if tt.kills {
				killer.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(2 * time.Second):
							d.Restart()
						}
					}
				})
			}
			var clients sync.WaitGroup
			for i := range 16 {
				clients.Go(func() { k.client(uint64(i)) })
			}
			clients.Wait()
			close(stop)
			killer.Wait()
			t.Logf("%d clean, %d found, %d failed or given up, %d wrong", k.clean.Load(), k.found.Load(), k.failed.Load(), k.wrong.Load())
			if k.clean.Load() == 0 || k.found.Load() == 0 || !tt.kills && !tt.hasty && k.failed.Load() > 0 {
				t.Error("this proves nothing")
			}
		})
	}
}

type keptTest struct {
	t       *testing.T
	socket  string
	hasty   bool // clients give up early
	patient bool // they try again after a failure

	left                        atomic.Int64
	clean, found, failed, wrong atomic.Int64
}

func (k *keptTest) client(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	c := &protocol.Client{Network: "unix", Address: k.socket}
	for i := 0; k.left.Add(-1) >= 0; i++ {
		infected := i%2 == 1
		ctx, cancel := context.WithTimeout(k.t.Context(), hang)
		if k.hasty && r.IntN(3) == 0 {
			ctx, cancel = context.WithTimeout(k.t.Context(), time.Duration(r.IntN(40000))*time.Microsecond)
		}
		reply, err := c.Instream(ctx, bytes.NewReader(mixed(r, infected)))
		cancel()
		text := reply.Text
		switch {
		case err != nil:
			k.failed.Add(1)
			if k.patient && k.t.Context().Err() == nil { // clamd is down: what counts is what it answers
				k.left.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		case reply.Found() && strings.HasPrefix(text, "Polyclam.Test.One") && infected:
			k.found.Add(1)
		case !reply.Found() && !infected:
			k.clean.Add(1)
		default:
			k.wrong.Add(1)
			k.t.Errorf("infected %v: %+v", infected, reply)
		}
	}
}
