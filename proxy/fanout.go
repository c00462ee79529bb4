package proxy

import (
	"context"
	"fmt"
	"slices"
	"time"

	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// errSettled is why an engine is called off when the others have said enough.
const errSettled = engine.CalledOff("the verdict was settled already")

// promise is how long after the end of its context a scan may take to return. One that
// takes longer is left to itself.
const promise = 100 * time.Millisecond

// A fan is one object that several engines scan at the same time.
type fan struct {
	ups     []*engine.Engine
	begun   time.Time
	reports []policy.Report
	pending []bool
	cancels []context.CancelCauseFunc // of the engines that are not required
	answers chan answered
	timers  []*time.Timer
}

// answered is the report of one engine.
type answered struct {
	i      int
	report policy.Report
}

// fanOut asks all engines together. Once category and action cannot change, the
// rest are called off and not waited for. An engine that is not required has
// [engine.Engine.MaxDelay] after the others.
func fanOut(ctx context.Context, ups []*engine.Engine, p *policy.Policy, o *spool.Object, all bool) []policy.Report {
	switch len(ups) {
	case 0:
		return nil
	case 1:
		return []policy.Report{ups[0].Scan(ctx, o, all)}
	}
	f := &fan{
		ups: ups, begun: time.Now(), reports: make([]policy.Report, len(ups)),
		pending: make([]bool, len(ups)), cancels: make([]context.CancelCauseFunc, len(ups)),
		answers: make(chan answered, 3*len(ups)), // the report, and two in its place
	}
	scans, cancel := context.WithCancelCause(ctx)
	defer cancel(errSettled)
	defer f.stop()
	for i := range ups {
		f.start(scans, i, o, all)
	}
	defer context.AfterFunc(ctx, func() {
		for i := range ups {
			f.giveUp(i, engine.Ended(ctx))
		}
	})()
	f.collect(p)
	for i := range f.reports {
		if f.pending[i] {
			f.reports[i].Cancelled, f.reports[i].Err = true, errSettled
		}
	}
	return f.reports
}

// start asks one engine. The goroutine may outlive the scan.
func (f *fan) start(ctx context.Context, i int, o *spool.Object, all bool) {
	u := f.ups[i]
	f.reports[i], f.pending[i] = f.blank(i), true
	if !u.Required() {
		ctx, f.cancels[i] = context.WithCancelCause(ctx)
	}
	o.Retain()
	go func() {
		defer o.Release()
		f.answers <- answered{i, u.Scan(ctx, o, all)}
	}()
}

// blank is a report of which nothing is known yet.
func (f *fan) blank(i int) policy.Report {
	return policy.Report{Engine: f.ups[i].Name(), Required: f.ups[i].Required()}
}

// collect takes the reports in until they are all there, or settle the verdict.
func (f *fan) collect(p *policy.Policy) {
	hurried := false
	for slices.Contains(f.pending, true) {
		a := <-f.answers
		if !f.pending[a.i] {
			continue // it was given up
		}
		f.reports[a.i], f.pending[a.i] = a.report, false
		if p.Settled(f.reports, f.pending) {
			return
		}
		if !hurried && f.enough() {
			hurried = true
			f.hurry()
		}
	}
}

// enough reports whether those that are not required have to be quick now: all that are
// required have reported, or one has answered where none is.
func (f *fan) enough() bool {
	required, answer := false, false
	for i, u := range f.ups {
		r := f.reports[i]
		switch {
		case u.Required() && f.pending[i]:
			return false
		case u.Required():
			required = true
		case !f.pending[i] && (r.Err == nil || r.Result.Category != ""):
			answer = true
		}
	}
	return required || answer
}

// hurry sees to it that the engines still pending report soon: they fail if they have
// not answered by then.
func (f *fan) hurry() {
	for i, u := range f.ups {
		if !f.pending[i] {
			continue
		}
		delay := u.MaxDelay()
		late := engine.Overdue(fmt.Sprintf("no answer within %v after the other engines (key max_delay)", delay))
		f.timers = append(f.timers, time.AfterFunc(delay, func() {
			f.cancels[i](late)
			f.giveUp(i, late)
		}))
	}
}

// giveUp puts a failure in the place of a report that does not come.
func (f *fan) giveUp(i int, why error) {
	time.AfterFunc(promise, func() {
		r := f.blank(i)
		r.Err, r.Elapsed = why, time.Since(f.begun)
		f.answers <- answered{i, r}
	})
}

// stop ends what belongs to the scan.
func (f *fan) stop() {
	for _, t := range f.timers {
		t.Stop()
	}
	for _, cancel := range f.cancels {
		if cancel != nil {
			cancel(errSettled)
		}
	}
}
