package engine

import (
	"fmt"
	"time"
)

// staleReminder is how often the log repeats that a node's signatures are old.
const staleReminder = 24 * time.Hour

// signatures records what the log has said about the age of a node's signatures.
type signatures struct {
	stale  bool
	warned time.Time // when the log last said so
}

// isStale reports whether a database is older than limit; 0 is no limit. A database of
// unknown age is not stale.
func isStale(database time.Time, limit time.Duration) bool {
	return limit > 0 && !database.IsZero() && time.Since(database) > limit
}

// checkAge logs that the signatures of n are old, once a day as long as they are, and then
// that they are recent again. It is called with each version that n reports.
func (p *pool) checkAge(n *node, database time.Time) {
	limit := p.config().MaxSignatureAge
	stale := isStale(database, limit)
	p.mu.Lock()
	was := n.signatures
	warn := stale && (!was.stale || time.Since(was.warned) >= staleReminder) && !n.health.Retired()
	n.signatures.stale = stale
	if warn {
		n.signatures.warned = time.Now()
	}
	p.mu.Unlock()
	switch address := bounded(n.address); {
	case warn:
		p.log.Warn().Str("node", address).Str("age", days(time.Since(database))).Time("database_time", database.UTC()).
			Str("max_signature_age", days(limit)).Msg("signatures are old")
	case was.stale && !stale:
		p.log.Info().Str("node", address).Time("database_time", database.UTC()).Msg("signatures are recent again")
	}
}

// days formats an age for the log, in days if there is at least one.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch n := d / day; {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	return d.Round(time.Second).String()
}
