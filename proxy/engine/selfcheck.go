package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
)

// SelfCheck asks every node that is a [backends.SelfChecker] whether its signatures are up
// to date. It reports false if one of them is loading newer ones, and true for an engine
// without such nodes. The error is about nodes that did not answer; they do not count.
//
// An engine too old to answer is judged by its version: if it is the last one reported,
// nothing has changed.
func (e *Engine) SelfCheck(ctx context.Context) (upToDate bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	type answer struct {
		upToDate bool
		err      error
	}
	nodes := e.preferred()
	answers := make(chan answer, len(nodes))
	asked := 0
	for _, n := range nodes {
		if _, ok := n.backend.(backends.SelfChecker); !ok {
			continue
		}
		asked++
		go func() {
			a := answer{err: errors.New("backend ended without an answer")}
			defer func() { answers <- a }()
			a.upToDate, a.err = e.selfCheck(ctx, n)
		}()
	}
	upToDate = true
	var errs []error
	for range asked {
		select {
		case a := <-answers:
			errs = append(errs, a.err)
			upToDate = upToDate && (a.upToDate || a.err != nil)
		case <-ctx.Done():
			return upToDate, errors.Join(append(errs, fmt.Errorf("%s: %w", e.cfg.Name, ended(ctx, nil)))...)
		}
	}
	return upToDate, errors.Join(errs...)
}

// selfCheck asks one node.
func (e *Engine) selfCheck(ctx context.Context, n *node) (upToDate bool, err error) {
	err = e.protect(n, func() (err error) {
		upToDate, err = n.backend.(backends.SelfChecker).SelfCheck(e.traced(ctx, n, forSelfCheck))
		return err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		upToDate, err = e.sameVersion(ctx, n)
	}
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", e.cfg.Name, n.address, err)
	}
	if !upToDate {
		e.mu.Lock()
		n.changedUntil(time.Now().Add(loadTime))
		n.dropWaiting()
		e.mu.Unlock()
		e.addReload()
		n.versions.drop()
	}
	return upToDate, nil
}

// sameVersion reports whether n still has the version it last reported, if any.
func (e *Engine) sameVersion(ctx context.Context, n *node) (bool, error) {
	v, ok := n.backend.(backends.Versioner)
	if !ok {
		return false, errors.New("the engine does not report its version")
	}
	last, known, dropped := n.versions.lastGiven()
	var now backends.Version
	err := e.protect(n, func() (err error) {
		now, err = v.Version(e.traced(ctx, n, forVersion))
		return err
	})
	if err != nil {
		return false, err
	}
	n.versions.store(now, dropped)
	return !known || now == last, nil
}
