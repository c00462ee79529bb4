package cache

import (
	"context"
	"time"
)

// A Store keeps values for several hosts, such as Redis. It is safe for concurrent use. Its
// methods return soon after ctx ends, but the cache does not rely on that.
//
// An error is a *[StoreError] if the reason is known.
type Store interface {
	// Address is the store's address as an operator wrote it.
	Address() string
	// Get returns at most the last limit bytes of each value, however long it is, with one
	// question. A value that does not exist is nil. If only some could be read, it returns
	// these and an error.
	Get(ctx context.Context, keys []string, limit int) ([][]byte, error)
	// Put stores values. If it could store only some, it returns how many, and an error.
	Put(ctx context.Context, values []Value) (stored int, err error)
	// Append adds bytes to the end of a value, which may not exist yet, so that none of
	// several concurrent calls gets lost. The value is then kept for ttl.
	Append(ctx context.Context, key string, data []byte, ttl time.Duration) error
	// Close ends the connections. Calls under way fail.
	Close()
}

// A Value is what a [Store] keeps for TTL under a key.
type Value struct {
	Key  string
	Data []byte
	TTL  time.Duration
}

// A StoreError is a failure of the store in an operator's words.
type StoreError struct {
	Reason string // what is wrong
	Hint   string // what to do
	// Late says that there was no answer in time.
	Late bool
	// Refused says that the store answers, but does not do what it was asked.
	Refused bool
}

// Error returns the reason.
func (e *StoreError) Error() string { return e.Reason }
