package config

import (
	"fmt"
	"strconv"
	"time"

	"polyclam/proxy/engine"
)

// CacheTTL is how long the results of an engine are kept. "auto" is autoTTL.
type CacheTTL time.Duration

// autoTTL keeps the results of engines that report which signatures they have.
const (
	autoTTL = CacheTTL(-1)
	auto    = "auto"
	maxTTL  = CacheTTL(day)
)

// UnmarshalText implements [encoding.TextUnmarshaler].
func (c *CacheTTL) UnmarshalText(text []byte) error {
	if string(text) == auto {
		*c = autoTTL
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if _, isNumber := strconv.Atoi(string(text)); err != nil && isNumber == nil {
		return fmt.Errorf("%q has no unit; write \"%sm\" for minutes, \"%sh\" for hours, or \"auto\"", text, text, text)
	}
	if err != nil {
		return fmt.Errorf("%q is not a duration; write one such as \"10m\" or \"1h\", \"0s\" to keep no results, or \"auto\"", text)
	}
	switch {
	case d < 0:
		return fmt.Errorf("%q is negative; write \"0s\" to keep no results, at most \"24h\", or \"auto\"", text)
	case CacheTTL(d) > maxTTL:
		return fmt.Errorf("%q is too long, because signatures of your own may change meanwhile; write at most \"24h\", or \"auto\"", text)
	}
	*c = CacheTTL(d)
	return nil
}

// Example implements [decode.Exampler].
func (*CacheTTL) Example() string { return "10m" }

// text writes c as the file has it.
func (c CacheTTL) text() string {
	if c == autoTTL {
		return auto
	}
	return durationText(time.Duration(c))
}

// cacheTTL is how long results of the engine are kept, and whether that applies although the
// engine does not report which signatures it has. polyclam reports the version of only one of
// its engines, and looking into an object again costs inspect little.
func (e *Engine) cacheTTL() (ttl time.Duration, unversioned bool) {
	switch {
	case e.CacheTTL != autoTTL:
		return time.Duration(e.CacheTTL), true
	case e.Backend == "polyclam", e.Backend == inspectBackend:
		return 0, false
	}
	return engine.DefaultCacheTTL, false
}

// warnCacheTTL warns about an engine whose results could never be confirmed.
func warnCacheTTL(f *File, r *report) {
	for i, e := range f.Engines {
		if e.CacheTTL > 0 && !e.Canary {
			r.warn(enginePath(i).Key("cache_ttl"), "canary is false, so no health check ever confirms a result, and none is kept; delete one of the two keys")
		}
	}
}
