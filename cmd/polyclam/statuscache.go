package main

import (
	"polyclam/cmd/internal/size"
	"polyclam/protocol/extended"
	"polyclam/proxy/ops/human"
)

// cacheLine says in one line what the cache holds and spares, or "" if there is none.
func cacheLine(c extended.CacheState) string {
	if c == (extended.CacheState{}) {
		return ""
	}
	text := "cache: no memory"
	if c.CacheLimit > 0 {
		text = "cache: " + size.Human(c.CacheUsed) + " of " + size.Human(c.CacheLimit)
	}
	if asked := c.CacheHits + c.CacheMisses; asked > 0 {
		text += ", " + human.Percent(uint64(c.CacheHits), uint64(asked)) + " of the results without a scan"
	}
	switch c.CacheShared {
	case "":
	case "down":
		text += ", shared store down"
		if c.CacheReason == "" {
			text += ": polyclam cache stats shows why"
		}
	default:
		text += ", shared store " + c.CacheShared
	}
	return text
}

// cacheTrouble says what is wrong with the shared store and what to do, or "".
func cacheTrouble(c extended.CacheState) string {
	if c.CacheReason == "" {
		return ""
	}
	text := "shared store: " + c.CacheReason
	if c.CacheHint != "" {
		text += "; " + c.CacheHint
	}
	return text
}
