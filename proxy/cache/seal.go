package cache

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
	"time"
)

// Whatever the shared store keeps is signed: others may be able to write there. A signature
// covers the kind of the value, its key and its time, so that a value cannot be used for
// another object, nor after its time.
const (
	sealVersion = 1
	macSize     = sha256.Size

	// clockSkew is how much the clocks of hosts may differ.
	clockSkew = time.Minute
)

// The kinds of signed values.
const (
	kindEntry      = 'e'
	kindFailure    = 'f'
	kindGeneration = 'g'
	kindReload     = 'r'
)

// sealHead is the size of what precedes the entry in a sealed one: the version, when it was
// written, when it expires (milliseconds since 1970), and the generation.
const sealHead = 1 + 3*8

// maxSealed is the size of the largest sealed entry.
const maxSealed = sealHead + maxEntry + macSize

// failureSize is the size of a record of one failure: when it was written, when it expires, a
// random number, and the signature.
const failureSize = 3*8 + macSize

// A signer signs and verifies values. It is safe for concurrent use.
type signer struct {
	now  func() time.Time
	macs sync.Pool // of hash.Hash
}

func newSigner(secret []byte, now func() time.Time) *signer {
	secret = append([]byte(nil), secret...)
	return &signer{now: now, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }}}
}

// mac returns the signature of data.
func (s *signer) mac(kind byte, k Key, data []byte) (sum [macSize]byte) {
	h := s.macs.Get().(hash.Hash)
	h.Reset()
	h.Write([]byte("polyclam shared cache\x00"))
	h.Write([]byte{kind})
	h.Write(k[:])
	h.Write(data)
	h.Sum(sum[:0])
	s.macs.Put(h)
	return sum
}

// sign appends the signature to data.
func (s *signer) sign(kind byte, k Key, data []byte) []byte {
	sum := s.mac(kind, k, data)
	return append(data, sum[:]...)
}

// verify returns data without its signature, or false if that is not genuine.
func (s *signer) verify(kind byte, k Key, data []byte) ([]byte, bool) {
	n := len(data) - macSize
	if n < 0 {
		return nil, false
	}
	sum := s.mac(kind, k, data[:n])
	return data[:n], hmac.Equal(sum[:], data[n:])
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMilli()))
}

// takeTime reads what appendTime wrote.
func takeTime(b []byte) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b))) }

// sealEntry signs an encoded entry.
func (s *signer) sealEntry(k Key, entry []byte, expires time.Time, generation uint64) []byte {
	b := append(make([]byte, 0, sealHead+len(entry)+macSize), sealVersion)
	b = appendTime(appendTime(b, s.now()), expires)
	b = binary.BigEndian.AppendUint64(b, generation)
	return s.sign(kindEntry, k, append(b, entry...))
}

// A sealed is an entry from the shared store.
type sealed struct {
	Entry
	data       string // encoded
	expires    time.Time
	generation uint64
}

// openEntry verifies what sealEntry returned. It returns nil for a value that does not count;
// isGenuine is false if the reason is not one of normal use.
func (s *signer) openEntry(k Key, value []byte) (e *sealed, isGenuine bool) {
	data, ok := s.verify(kindEntry, k, value)
	if !ok {
		return nil, false
	}
	if len(data) < sealHead || data[0] != sealVersion {
		return nil, true // of another version of polyclam
	}
	written, expires := takeTime(data[1:]), takeTime(data[9:])
	if ok, isGenuine := s.inTime(written, expires); !ok {
		return nil, isGenuine
	}
	e = &sealed{data: string(data[sealHead:]), expires: expires, generation: binary.BigEndian.Uint64(data[17:])}
	if e.data == "" || e.data[0] != formatVersion {
		return nil, true
	}
	var err error
	if e.Entry, err = decode(e.data); err != nil {
		return nil, false
	}
	return e, true
}

// inTime reports whether a value counts now. One that is much too old is not genuine: the store
// would have removed it, so it was kept or put back on purpose.
func (s *signer) inTime(written, expires time.Time) (ok, isGenuine bool) {
	now := s.now()
	switch {
	case written.After(now.Add(clockSkew)), expires.After(now.Add(maxTTL + clockSkew)), now.After(expires.Add(clockSkew)):
		return false, false
	}
	return now.Before(expires), true
}

// failure returns the record of one failure.
func (s *signer) failure(k Key, ttl time.Duration) []byte {
	now := s.now()
	b := appendTime(appendTime(make([]byte, 0, failureSize), now), now.Add(ttl))
	var number [8]byte
	rand.Read(number[:]) // never fails
	return s.sign(kindFailure, k, append(b, number[:]...))
}

// countFailures counts the different genuine records at the end of value whose time is not
// over. A copy of a record does not count: it has the same signature. bad are those that are
// not genuine.
func (s *signer) countFailures(k Key, value []byte) (n, bad int) {
	seen := map[string]bool{}
	for ; len(value) >= failureSize; value = value[:len(value)-failureSize] {
		record := value[len(value)-failureSize:]
		data, ok := s.verify(kindFailure, k, record)
		if !ok {
			bad++
			continue
		}
		if ok, _ := s.inTime(takeTime(data), takeTime(data[8:])); ok {
			seen[string(record)] = true
		}
	}
	return len(seen), bad
}

func (s *signer) sealGeneration(generation uint64) []byte {
	return s.sealNumber(kindGeneration, Key{}, generation)
}

func (s *signer) openGeneration(value []byte) (generation uint64, ok bool) {
	return s.openNumber(kindGeneration, Key{}, value)
}

// sealReload signs the number of the last reload of an engine.
func (s *signer) sealReload(engine Key, number uint64) []byte {
	return s.sealNumber(kindReload, engine, number)
}

func (s *signer) openReload(engine Key, value []byte) (number uint64, ok bool) {
	return s.openNumber(kindReload, engine, value)
}

func (s *signer) sealNumber(kind byte, k Key, n uint64) []byte {
	return s.sign(kind, k, binary.BigEndian.AppendUint64(nil, n))
}

func (s *signer) openNumber(kind byte, k Key, value []byte) (n uint64, ok bool) {
	data, ok := s.verify(kind, k, value)
	if !ok || len(data) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(data), true
}
