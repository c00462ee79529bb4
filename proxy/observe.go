package proxy

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/xid"
	"github.com/rs/zerolog"

	"polyclam/proxy/client"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
	"polyclam/proxy/spool"
)

const (
	// maxObserved is how many objects scans by observed engines may hold. A client's file
	// takes a descriptor; lateDescriptors in cmd/internal/needs counts them.
	maxObserved = 64
	// observedPart: these objects take at most 1/observedPart of the spool.
	observedPart = 8
)

// observers run the scans by engines whose mode is observe. Such a scan begins when the
// verdict is known, and nothing waits for it. It takes only what is free: a slot of the
// engine, one of maxObserved objects, and a small part of a spool that is not half full.
// Otherwise the engine does not get the object, which is counted. If the daemon stops, the
// scans are called off.
type observers struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	scans   atomic.Int64 // that have an object
	holding atomic.Int64 // bytes of these objects
}

func (o *observers) init() {
	o.ctx, o.cancel = context.WithCancelCause(context.Background())
}

// stop calls the scans off. Those that begin later are called off too.
func (o *observers) stop() { o.cancel(errStopping) }

// hold takes a place for an object that has size bytes of the spool. If it returns true,
// release must follow.
func (o *observers) hold(size int64, sp *spool.Spool) bool {
	if o.scans.Add(1) > maxObserved {
		o.scans.Add(-1)
		return false
	}
	held := o.holding.Add(size)
	if st := sp.Stats(); o.ctx.Err() == nil && (st.Total == 0 || held <= st.Total/observedPart && st.Used <= st.Total/2) {
		return true
	}
	o.release(size)
	return false
}

func (o *observers) release(size int64) {
	o.holding.Add(-size)
	o.scans.Add(-1)
}

// An observation is a scan by an engine whose mode is observe.
type observation struct {
	srv     *Server
	id      xid.ID
	tag     string // the client's own id; empty: none
	key     client.Key
	engine  *engine.Engine
	at      int // the place of its report among those of the verdict
	policy  *policy.Policy
	verdict policy.Verdict
	all     bool
}

// observe has the observed engines of a scan scan the object too. It neither waits nor takes
// a lock. The caller keeps its reference to the object.
func (r *request) observe(engines []observed, o *spool.Object, v policy.Verdict, all bool) {
	if len(engines) == 0 || cancelledByClient(v) {
		return
	}
	srv := r.s.srv
	for _, e := range engines {
		b := &observation{
			srv: srv, id: r.logID, tag: r.tag, key: r.s.peer.key, engine: e.engine, at: e.at, policy: r.lst.Policy, verdict: v, all: all,
		}
		if srv.observers.scans.Load() >= maxObserved { // saves the goroutine
			b.engine.CountObservation(engine.ObservedSkipped)
			continue
		}
		o.Retain()
		srv.observers.wg.Add(1)
		go func() {
			defer srv.observers.wg.Done()
			b.run(o)
		}()
	}
}

// run scans the object, and releases it.
func (b *observation) run(o *spool.Object) {
	outcome := engine.ObservedSkipped
	defer func() {
		if p := recover(); p != nil {
			b.srv.log.Error().Str("id", b.id.String()).Interface("panic", p).Bytes("stack", debug.Stack()).Msg("panic")
		}
		b.engine.CountObservation(outcome)
	}()
	defer o.Release()
	obs, size := &b.srv.observers, o.Spooled()
	if !obs.hold(size, b.srv.spool) {
		return
	}
	ctx := client.NewContext(obs.ctx, b.key)
	if engine.Traces() {
		ctx = engine.WithTraceFields(ctx, func(e *zerolog.Event) *zerolog.Event { return e.Str("id", b.id.String()) })
	}
	view := spool.NewView(ctx, o, func() { obs.release(size) })
	defer view.Release()
	scan, ok := b.engine.Observe(ctx, view, b.all)
	if !ok {
		return
	}
	report := scan()
	if report.Err != nil && obs.ctx.Err() != nil {
		return
	}
	outcome = b.conclude(report)
}

// conclude logs the report, and returns whether it would have changed the verdict.
func (b *observation) conclude(report policy.Report) engine.Observation {
	would, at := b.would(report)
	v := &b.verdict
	outcome := engine.ObservedSame
	if would.Category != v.Category || would.Action != v.Action {
		outcome = engine.ObservedDiffers
	}
	judged := would.Reports[at]
	e := b.srv.log.Info().Str("id", b.id.String())
	if b.tag != "" {
		e = e.Str("tag", printable.Escape(b.tag, maxLoggedName))
	}
	e = e.Str("engine", printable.Escape(report.Engine, maxLoggedName)).
		Str("category", string(judged.Category))
	if len(judged.Names) > 0 {
		e = e.Strs("names", escapeAll(judged.Names))
	}
	e = e.Str("verdict", string(v.Category)).Str("action", string(v.Action)).
		Bool("would_differ", outcome == engine.ObservedDiffers)
	if outcome == engine.ObservedDiffers {
		e = e.Str("would_be", string(would.Category)).Str("would_act", string(would.Action))
	}
	e = e.Float64("ms", milliseconds(report.Elapsed))
	if report.Node != "" {
		e = e.Str("node", report.Node)
	}
	if report.Err != nil {
		e = e.Str("error", printable.Escape(report.Err.Error(), 2*maxLoggedName))
	}
	e.Msg("observed")
	return outcome
}

// would is the verdict if the report had counted, and the place of the report in it.
func (b *observation) would(report policy.Report) (v policy.Verdict, at int) {
	reports := make([]policy.Report, 0, len(b.verdict.Reports)+1)
	for _, j := range b.verdict.Reports {
		reports = append(reports, j.Report)
	}
	at = min(b.at, len(reports))
	return b.policy.Merge(slices.Insert(reports, at, report)), at
}

// wait waits until all scans have ended, at most for the given time. Those of backends that
// hang end on their own.
func (o *observers) wait(patience time.Duration) {
	done := make(chan struct{})
	go func() {
		o.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
	}
}
