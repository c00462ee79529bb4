package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A swarm is many clients as goroutines: more than there can be threads. It costs more
// processor time than a team, but the same on every way.
type swarm struct {
	requests []*request
}

func newSwarm(body string, size int64, clients int) *swarm {
	s := &swarm{}
	for i := range clients {
		s.requests = append(s.requests, newRequest(body, size, uint64(i+1)))
	}
	return s
}

// afterFailure is how long a client waits before its next scan when one has failed.
const afterFailure = 10 * time.Millisecond

// run makes the clients scan until the time is over, at least once. Client i asks the
// sockets of targets[i % len(targets)], one after the other; that counts as one scan. Scans
// that fail do not count: an overloaded way may refuse some. failed is their share.
func (s *swarm) run(ctx context.Context, targets [][]string, length time.Duration) (result slice, failed float64, err error) {
	var wg sync.WaitGroup
	took := make([][]time.Duration, len(s.requests))
	failures := make([]int, len(s.requests))
	begin := time.Now()
	for i, r := range s.requests {
		wg.Go(func() {
			for {
				one := time.Now()
				if scanAll(ctx, targets[i%len(targets)], r) == nil {
					took[i] = append(took[i], time.Since(one))
				} else {
					failures[i]++
					time.Sleep(afterFailure)
				}
				if time.Since(begin) >= length || ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	all := slices.Concat(took...)
	slices.Sort(all)
	lost := 0
	for _, n := range failures {
		lost += n
	}
	result = slice{p50: quantile(all, 0.5), p99: quantile(all, 0.99), scans: len(all), rate: float64(len(all)) / elapsed.Seconds()}
	return result, float64(lost) / float64(lost+len(all)), context.Cause(ctx)
}

// scanAll makes one scan at each of the sockets.
func scanAll(ctx context.Context, sockets []string, r *request) error {
	for _, socket := range sockets {
		if err := scanOn(ctx, socket, r.renew()); err != nil {
			return err
		}
	}
	return nil
}

// scanOn makes one scan. Where the backlog is full, it tries again, as a blocking connect
// would wait.
func scanOn(ctx context.Context, socket string, request []byte) error {
	nc, err := dial(ctx, socket)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := nc.Write(request); err != nil {
		return err
	}
	reply := make([]byte, len(okReply))
	if _, err := io.ReadFull(nc, reply); err != nil {
		return err
	}
	if string(reply) != string(okReply) {
		return fmt.Errorf("answered %q", reply)
	}
	return nil
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	for end := time.Now().Add(hang); ; time.Sleep(time.Millisecond) {
		nc, err := d.DialContext(ctx, "unix", socket)
		if err == nil || !errors.Is(err, unix.EAGAIN) || time.Now().After(end) {
			return nc, err
		}
	}
}

// asGoroutines runs f with as many threads as processors: a swarm's clients wait in the
// runtime's poller, not in system calls.
func asGoroutines(f func() error) error {
	before := runtime.GOMAXPROCS(runtime.NumCPU())
	defer runtime.GOMAXPROCS(before)
	return f()
}
