package cache

import (
	"context"
	"time"
)

const (
	maxQueue  = 4096 // values of at most maxSealed bytes
	maxBatch  = 64
	writeTime = time.Second // for one batch
)

// write writes what is in the queue until the cache is closed, and then what is left.
func (s *shared) write() {
	for {
		var first Value
		select {
		case first = <-s.queue:
		case <-s.ending:
			select {
			case first = <-s.queue:
			default:
				return
			}
		}
		if !s.waitUp() {
			return
		}
		s.writeBatch(s.batch(first))
	}
}

// waitUp waits until the store answers. It returns false if the cache is closed first.
func (s *shared) waitUp() bool {
	isOpen, _, closed, _ := s.breaker.state()
	if !isOpen {
		return true
	}
	select {
	case <-closed:
		return true
	case <-s.ending:
		return false
	}
}

// batch adds to first what else is in the queue, as far as one write should have.
func (s *shared) batch(first Value) []Value {
	list := []Value{first}
	for len(list) < maxBatch {
		select {
		case v := <-s.queue:
			list = append(list, v)
		default:
			return list
		}
	}
	return list
}

func (s *shared) writeBatch(list []Value) {
	ctx, cancel := context.WithTimeout(s.ctx, writeTime)
	defer cancel()
	stored, err := s.store.Put(ctx, list)
	s.added.Add(uint64(stored))
	switch {
	case err == nil:
		s.refusal.Store(nil)
	case s.ctx.Err() != nil:
	case isRefused(err):
		s.refused(err, len(list)-stored)
	default:
		s.dropped.Add(uint64(len(list) - stored))
		s.fail(err)
	}
}
