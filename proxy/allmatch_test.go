package proxy

import (
	"context"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

type action = policy.Action

// allMatcher is an engine that continues after the first match.
type allMatcher struct{}

func (allMatcher) Scan(context.Context, backends.Object) (backends.Result, error) {
	return backends.Found(1, "A"), nil
}

func (allMatcher) ScanAll(context.Context, backends.Object) (backends.Result, error) {
	return backends.Found(1, "A", "B", "A"), nil
}
