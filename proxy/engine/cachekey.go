package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
)

// keyFormat changes whenever keys or results change their meaning.
const keyFormat = "polyclam result 2"

// objectID is what a result depends on besides the engine.
type objectID struct {
	sum  [sha256.Size]byte
	size int64
	name string // if the engine gets file names
	all  bool   // every match is wanted
}

// resultKey is the key of the result for an object by an engine of that version, see
// versionText, after the reload with that number.
func (c *Config) resultKey(o objectID, version string, reload uint64) cache.Key {
	b := make(parts, 0, 256)
	b.text(keyFormat)
	b.object(o.sum, o.size)
	if b.number(0); o.all {
		b[len(b)-1] = 1
	}
	b.text(o.name)
	b.text(c.Fingerprint)
	b.text(version)
	b.number(reload)
	return sha256.Sum256(b)
}

// engineKey identifies the engine for the cache: it is the same on all hosts that share its
// results.
func (c *Config) engineKey() cache.Key {
	b := make(parts, 0, 128)
	b.text("polyclam engine 1")
	b.text(c.Fingerprint)
	return sha256.Sum256(b)
}

// failureKey is the key under which deaths on an object are counted. Neither the engine's
// version nor the name of the object is part of it.
func (c *Config) failureKey(sum [sha256.Size]byte, size int64) cache.Key {
	b := make(parts, 0, 256)
	b.text("polyclam failures 1")
	b.object(sum, size)
	b.text(c.Fingerprint)
	return sha256.Sum256(b)
}

// versionText identifies the engine's program and signatures. Hosts with other time zones may
// read another time from the same text, so that counts only where nothing else identifies the
// signatures.
func versionText(v backends.Version) string {
	b := make(parts, 0, 128)
	b.text(v.Text)
	b.text(v.Engine)
	b.text(v.Database)
	if v.Database == "" && !v.DatabaseTime.IsZero() {
		b.number(uint64(v.DatabaseTime.Unix()))
	}
	return string(b)
}

// hasDatabase reports whether v shows which signatures the engine uses.
func hasDatabase(v backends.Version) bool { return v.Database != "" || !v.DatabaseTime.IsZero() }

// parts are the parts of a key. A text is preceded by its length, so that no two lists of
// parts are the same bytes.
type parts []byte

func (p *parts) number(n uint64) { *p = binary.BigEndian.AppendUint64(*p, n) }

func (p *parts) text(s string) {
	p.number(uint64(len(s)))
	*p = append(*p, s...)
}

func (p *parts) object(sum [sha256.Size]byte, size int64) {
	*p = append(*p, sum[:]...)
	p.number(uint64(size))
}

// maxAhead is how far the clock of another host may be ahead.
const maxAhead = 5 * time.Second
