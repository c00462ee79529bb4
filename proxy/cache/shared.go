package cache

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/client"
	"polyclam/proxy/lograte"
)

const (
	// The prefixes have the version of all that the store keeps.
	entryPrefix   = "1:e:"
	failurePrefix = "1:f:"
	generationKey = "1:generation"

	// maxFailureRecords is how many records of failures are read for one object.
	maxFailureRecords = 32
	// failureTime is how long a record of a failure may take to be written after its scan
	// has gone on.
	failureTime = 2 * time.Second
)

// shared is the part of a cache that uses the store. Its goroutines are watch, which looks
// whether the store answers, and write.
type shared struct {
	store   Store
	signer  *signer
	breaker *breaker
	budget  time.Duration
	now     func() time.Time
	log     zerolog.Logger
	lines   *lograte.Limiter
	forget  func() // drop what is in memory: another host has flushed

	// generation grows with each flush of all hosts. Entries of earlier ones do not count.
	generation atomic.Uint64
	engines    engines       // their reloads
	soon       chan struct{} // makes watch read what is common to all results

	queue  chan Value
	ctx    context.Context // ends when the cache is closed and its queue is empty
	cancel context.CancelFunc
	ending chan struct{} // closed by close
	wrote  sync.WaitGroup

	// refusal is why the store did not accept the last results, although it answers.
	refusal atomic.Pointer[StoreError]

	hits, misses, added, late, failed, skipped, forged, dropped atomic.Uint64
}

// noClient is the client of log lines that are not about a client.
var noClient client.Key

// logInterval is how often one kind of line is logged.
const logInterval = 10 * time.Minute

func newShared(c Config, now func() time.Time, forget func()) *shared {
	s := &shared{
		store: c.Store, signer: newSigner(c.Secret, now), breaker: newBreaker(c.Budget, now), budget: c.Budget, now: now,
		log: c.Log.With().Str("address", c.Store.Address()).Logger(), lines: lograte.New(logInterval, now), forget: forget,
		queue: make(chan Value, maxQueue), soon: make(chan struct{}, 1), ending: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.watch()
	s.wrote.Go(s.write)
	return s
}

func entryKey(k Key) string   { return entryPrefix + base64.RawURLEncoding.EncodeToString(k[:]) }
func failureKey(k Key) string { return failurePrefix + base64.RawURLEncoding.EncodeToString(k[:]) }

// lookup finds entries and counts failures. It takes no longer than the budget.
func (s *shared) lookup(ctx context.Context, keys, objects []Key) (found []*sealed, failures []int) {
	found, failures = make([]*sealed, len(keys)), make([]int, len(objects))
	names := make([]string, 0, len(keys)+len(objects))
	for _, k := range keys {
		names = append(names, entryKey(k))
	}
	for _, k := range objects {
		names = append(names, failureKey(k))
	}
	limit := maxSealed + 1 // a longer value has no valid signature
	if len(objects) > 0 {
		limit = max(limit, maxFailureRecords*failureSize)
	}
	values, ok := ask(ctx, s, s.budget, func(ctx context.Context) ([][]byte, error) { return s.store.Get(ctx, names, limit) })
	if !ok || len(values) != len(names) {
		return found, failures
	}
	for i, k := range keys {
		found[i] = s.open(k, values[i])
	}
	for i, k := range objects {
		n, bad := s.signer.countFailures(k, values[len(keys)+i])
		failures[i] = n
		s.reject(bad)
	}
	return found, failures
}

// open returns the entry in a value, or nil.
func (s *shared) open(k Key, value []byte) *sealed {
	if len(value) > 0 {
		e, isGenuine := s.signer.openEntry(k, value)
		if !isGenuine {
			s.reject(1)
		}
		if e != nil && e.generation >= s.generation.Load() {
			s.hits.Add(1)
			return e
		}
	}
	s.misses.Add(1)
	return nil
}

func (s *shared) reject(n int) {
	if n == 0 {
		return
	}
	s.forged.Add(uint64(n))
	if _, ok := s.lines.Allow(noClient, "forged"); ok {
		s.log.Warn().Uint64("rejected", s.forged.Load()).
			Str("hint", "write the same key_file on all hosts; if they have it, find out who else can write to the store").
			Msg("shared cache has values that are not genuine, they are ignored")
	}
}

func (s *shared) add(k Key, data []byte, expires time.Time) {
	v := Value{Key: entryKey(k), Data: s.signer.sealEntry(k, data, expires, s.generation.Load()), TTL: expires.Sub(s.now())}
	select {
	case s.queue <- v:
	default:
		s.dropped.Add(1)
	}
}

// addFailure waits for the store no longer than the budget, but lets the record be written
// after that.
func (s *shared) addFailure(ctx context.Context, k Key, ttl time.Duration) {
	record := s.signer.failure(k, ttl)
	refused, _ := ask(ctx, s, failureTime, func(ctx context.Context) (refused error, err error) {
		err = s.store.Append(ctx, failureKey(k), record, ttl)
		if isRefused(err) { // it still answers questions
			return err, nil
		}
		return nil, err
	})
	if refused != nil {
		s.refused(refused, 1)
	}
}

// ask asks the store a question, which may take as long as limit. It waits for the answer no
// longer than the budget by its own clock, after a wait for its turn, and not if the store
// does not answer anyway. ok says that there is an answer.
func ask[T any](ctx context.Context, s *shared, limit time.Duration, question func(context.Context) (T, error)) (answer T, ok bool) {
	opened, ok := s.breaker.begin(ctx)
	if !ok {
		s.skipped.Add(1)
		return answer, false
	}
	// The question has ended when its goroutine has, and its outcome is counted.
	var half atomic.Bool
	end := func() {
		if half.Swap(true) {
			s.breaker.end()
		}
	}
	defer end()
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	go func() {
		defer end()
		ctx, cancel := context.WithTimeout(s.ctx, limit)
		defer cancel()
		answer, err := question(ctx)
		if !isLate(err) {
			s.breaker.sign()
		}
		done <- result{answer, err}
	}()
	timeout := time.NewTimer(s.budget)
	defer timeout.Stop()
	select {
	case r := <-done:
		if r.err == nil {
			s.breaker.succeed()
		} else {
			s.fail(r.err)
		}
		return r.answer, r.err == nil || !isLate(r.err)
	case <-timeout.C:
		s.fail(errLate(s.budget))
	case <-opened:
		s.skipped.Add(1)
	case <-ctx.Done(): // its client has gone
	}
	return answer, false
}

func errLate(budget time.Duration) error {
	return &StoreError{
		Reason: "no answer within " + budget.String(), Late: true,
		Hint: "look whether it is overloaded, stopped or far away; budget in [cache] is how long scans wait for it",
	}
}

func isLate(err error) bool {
	var e *StoreError
	return errors.As(err, &e) && e.Late
}

// fail counts a failure of a question.
func (s *shared) fail(err error) {
	if isLate(err) {
		s.late.Add(1)
	} else {
		s.failed.Add(1)
	}
	if s.breaker.fail(err) {
		if suppressed, ok := s.lines.Allow(noClient, "down "+err.Error()); ok {
			s.warn(err).Int("suppressed", suppressed).Msg("shared cache is not used until it answers, scans continue without it")
		}
	}
}

// warn begins a line about a failure.
func (s *shared) warn(err error) *zerolog.Event {
	reason, hint := textOf(err)
	line := s.log.Warn().Str("error", reason)
	if hint != "" {
		line.Str("hint", hint)
	}
	return line
}

// textOf returns what is wrong with the store, and what to do.
func textOf(err error) (reason, hint string) {
	var e *StoreError
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &e):
		return e.Reason, e.Hint
	}
	return err.Error(), ""
}

func isRefused(err error) bool {
	var e *StoreError
	return errors.As(err, &e) && e.Refused
}

// refused counts n writes that the store did not accept, although it answers.
func (s *shared) refused(err error, n int) {
	var e *StoreError
	errors.As(err, &e)
	s.failed.Add(uint64(n))
	s.refusal.Store(e)
	if suppressed, ok := s.lines.Allow(noClient, "write "+e.Reason); ok {
		s.warn(err).Int("suppressed", suppressed).Msg("shared cache does not accept results, scans continue")
	}
}

func (s *shared) stats() *SharedStats {
	stats := &SharedStats{
		Address: s.store.Address(), State: "up",
		Hits: s.hits.Load(), Misses: s.misses.Load(), Added: s.added.Load(), Late: s.late.Load(), Failed: s.failed.Load(),
		Skipped: s.skipped.Load(), Forged: s.forged.Load(), Dropped: s.dropped.Load(),
	}
	isOpen, _, _, reason := s.breaker.state()
	switch refusal := s.refusal.Load(); {
	case isOpen:
		stats.State = "down"
		stats.Reason, stats.Hint = textOf(reason)
	case refusal != nil:
		stats.Reason, stats.Hint = refusal.Reason, refusal.Hint
		stats.Reason = "it does not accept results: " + stats.Reason
	}
	return stats
}

// closeTime is how long close waits until everything is written.
const closeTime = time.Second

func (s *shared) close() {
	close(s.ending)
	done := make(chan struct{})
	go func() {
		s.wrote.Wait()
		close(done)
	}()
	timeout := time.NewTimer(closeTime)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
	}
	s.cancel()
	go s.store.Close() // it may wait for a server that does not answer
}
