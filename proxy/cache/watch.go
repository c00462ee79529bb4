package cache

import (
	"context"
	"time"
)

const (
	// watchInterval is how often a store that answers is asked for its generation.
	watchInterval = 5 * time.Second
	// A store that does not answer is tried after firstRetry, and less and less often, but
	// at least every lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
	// calmTime is how long the store must have answered before the next failure is tried
	// after firstRetry again.
	calmTime = time.Minute
	// probeTime is how long a probe may take, with the time to connect.
	probeTime = 5 * time.Second
)

// watch lets the breaker close when the store answers, and reads its generation. It ends with
// the cache.
func (s *shared) watch() {
	retry := firstRetry
	var up time.Time // since when; zero: it is not
	wait := time.Duration(0)
	for {
		isOpen, opened, _, _ := s.breaker.state()
		if isOpen {
			opened = nil // it would be ready now
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-opened:
			if s.now().Sub(up) >= calmTime {
				retry = firstRetry
			}
			wait = retry
			timer.Stop()
			continue
		case <-s.ending:
			timer.Stop()
			return
		}
		err := s.probe(isOpen)
		switch {
		case err == nil && isOpen:
			s.breaker.close()
			up, wait = s.now(), watchInterval
			s.log.Info().Msg("shared cache is used")
		case !isOpen: // lookups find out whether it still answers
			wait = watchInterval
		default:
			s.down(err)
			wait, retry = retry, min(2*retry, lastRetry)
		}
	}
}

// down says why the store is not used yet.
func (s *shared) down(err error) {
	s.breaker.keepOpen(err)
	if suppressed, ok := s.lines.Allow(noClient, "down "+err.Error()); ok {
		s.warn(err).Int("suppressed", suppressed).Msg("shared cache is not used until it answers, scans continue without it")
	}
}

// probe reads the generation. If the store was not used, it must answer within the budget,
// not counting the time to connect.
func (s *shared) probe(wasDown bool) error {
	if err := s.readGeneration(probeTime); err != nil || !wasDown {
		return err
	}
	begin := s.now()
	err := s.readGeneration(probeTime)
	if err == nil && s.now().Sub(begin) > s.budget {
		err = errLate(s.budget)
	}
	return err
}

// readGeneration takes over the store's generation. If that is lost or lower, the store gets
// the one that is in use.
func (s *shared) readGeneration(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	values, err := s.store.Get(ctx, []string{generationKey}, maxSealed)
	if err != nil {
		return err
	}
	read, ok := uint64(0), true
	if len(values) == 1 && len(values[0]) > 0 {
		if read, ok = s.signer.openGeneration(values[0]); !ok {
			s.reject(1)
		}
	}
	if s.raise(read) {
		s.forget()
	}
	if current := s.generation.Load(); read < current {
		s.queueGeneration(current)
	}
	return nil
}

// raise makes a generation the one in use, unless a higher one is.
func (s *shared) raise(to uint64) bool {
	for {
		current := s.generation.Load()
		if to <= current {
			return false
		}
		if s.generation.CompareAndSwap(current, to) {
			return true
		}
	}
}

func (s *shared) generationValue(generation uint64) Value {
	return Value{Key: generationKey, Data: s.signer.sealGeneration(generation), TTL: maxTTL}
}

func (s *shared) queueGeneration(generation uint64) {
	select {
	case s.queue <- s.generationValue(generation):
	default: // next time
	}
}

// flush begins a new generation on all hosts. Generations are times, so two hosts need not
// agree on a number; a wrong clock does no harm.
func (s *shared) flush(ctx context.Context) error {
	next := max(uint64(s.now().UnixMilli()), s.generation.Load()+1)
	s.raise(next)
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := s.store.Put(ctx, []Value{s.generationValue(s.generation.Load())})
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errLate(writeTime)
	}
	if err != nil {
		s.queueGeneration(s.generation.Load()) // once it answers
	}
	return err
}
