package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"

	"polyclam/proxy/engine"
)

// reloadEngines makes the engines reload their signatures, in the background. One that
// is already loading reloads once more afterwards, so that it misses nothing.
func (s *Server) reloadEngines(engines []*engine.Engine) {
	for _, e := range engines {
		s.reloading.Add(1)
		go func() {
			defer s.reloading.Add(-1)
			if err := e.Reload(s.ctx); err != nil && s.ctx.Err() == nil {
				s.log.Warn().Err(err).Str("engine", e.Name()).Msg("engine reload")
			}
		}()
	}
}

// selfCheck asks all engines whether their signatures are up to date. It returns false
// if one of them is loading newer ones. The error names those that did not answer.
func (s *Server) selfCheck(ctx context.Context, engines []*engine.Engine) (upToDate bool, err error) {
	if s.reloading.Load() > 0 {
		return false, nil
	}
	answers := make([]bool, len(engines))
	errs := make([]error, len(engines))
	var wg sync.WaitGroup
	for i, e := range engines {
		wg.Go(func() { answers[i], errs[i] = e.SelfCheck(ctx) })
	}
	wg.Wait()
	return !slices.Contains(answers, false), errors.Join(errs...)
}
