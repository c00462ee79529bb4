package proxy

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
	"polyclam/proxy/spool"
)

// scanned counts a scan and writes its log line: the client, the object, every engine's result and
// the verdict. It runs after the reply and does not wait for the hash of a large object:
// that line is written later, when the hash is ready.
func (r *request) scanned(name string, o *spool.Object, v policy.Verdict, elapsed time.Duration) {
	if cancelledByClient(v) {
		r.notScanned(lapseGone, name, "client gone", nil)
		return
	}
	r.s.counts.add(r.cmd.Verb, v, o.Size(), elapsed)
	srv := r.s.srv
	if r.cfg.OnFind.Wants(v.Category) {
		srv.onFind.Found(r.cfg.OnFind, r.event(name, o, v))
	}
	if !srv.log.WithLevel(scanLevel(v)).Enabled() {
		return
	}
	who, key := r.s.client(), r.s.key // now: the connection may be closed when the line is written
	h, ok := hash{}, true
	if r.cfg.HashObjects {
		h, ok = srv.hashes.quick(srv.ctx, o, r.cfg.Limits.Stream)
	}
	if !ok && !srv.hashes.begin(key) {
		h, ok = hash{leftOut: leftOutBusy}, true
	}
	if ok {
		r.scanLine(who, name, o.Size(), h, v, elapsed)
		return
	}
	o.Retain()
	srv.wg.Go(func() {
		defer r.rescue(nil)
		defer srv.hashes.end(key)
		defer o.Release()
		h := srv.hashes.sum(client.NewContext(srv.ctx, key), o)
		r.scanLine(who, name, o.Size(), h, v, elapsed)
	})
}

// scanLevel is the level of a scan's log line: a warning if a failure decided the verdict.
func scanLevel(v policy.Verdict) zerolog.Level {
	if v.Category.IsFailure() || v.Cause.IsFailure() {
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

func (r *request) scanLine(who, name string, size int64, h hash, v policy.Verdict, elapsed time.Duration) {
	e := r.describe(r.s.srv.log.WithLevel(scanLevel(v)), who, name).Int64("size", size)
	if h.sum != "" {
		e = e.Str("sha256", h.sum)
	}
	if h.leftOut != "" {
		e = e.Str("sha256_left_out", h.leftOut)
	}
	e = e.Str("category", string(v.Category)).Str("action", string(v.Action)).Int("code", v.Code)
	if v.Engine != "" {
		e = e.Str("engine", v.Engine)
	}
	if v.ActionBy != "" && v.Category != backends.OK {
		e = e.Str("action_by", v.ActionBy)
	}
	if reason := r.lst.Policy.Reason(v); reason != "" {
		e = e.Str("reason", printable.Escape(reason, 2*maxLoggedName))
	}
	if len(v.Names) > 0 {
		e = e.Strs("names", escapeAll(v.Names))
	}
	engines := zerolog.Dict()
	for _, report := range v.Reports {
		engines = engines.Dict(printable.Escape(report.Engine, maxLoggedName), engineFields(report))
	}
	e.Float64("ms", milliseconds(elapsed)).Dict("engines", engines).Msg("scanned")
}

// engineFields are the log fields for one engine.
func engineFields(report policy.Judged) *zerolog.Event {
	d := zerolog.Dict().Str("category", string(report.Category))
	if report.Cancelled {
		return d.Bool("cancelled", true)
	}
	d = d.Float64("ms", milliseconds(report.Elapsed))
	if len(report.Names) > 0 {
		d = d.Strs("names", escapeAll(report.Names))
	}
	if !report.Category.IsFailure() && report.Failure != "" {
		d = d.Str("failure", string(report.Failure))
	}
	d = passedFields(d, report.Ruled)
	if report.Result.Detail != "" {
		d = d.Str("detail", printable.Escape(report.Result.Detail, maxLoggedName))
	}
	if report.Err != nil {
		d = d.Str("error", printable.Escape(report.Err.Error(), 2*maxLoggedName))
	}
	if report.Node != "" {
		d = d.Str("node", report.Node)
	}
	if !report.Counts {
		d = d.Bool("counts", false)
	}
	return d
}

// passedFields adds the findings that a rule maps to ok, and the rules.
func passedFields(d *zerolog.Event, ruled []policy.Ruled) *zerolog.Event {
	var names, rules []string
	for _, r := range ruled {
		if r.Passed() {
			names, rules = append(names, r.Name), append(rules, r.Rule)
		}
	}
	if len(names) == 0 {
		return d
	}
	return d.Strs("passed", escapeAll(names)).Strs("rule", escapeAll(rules))
}

// cancelledByClient reports whether v comes from a scan whose client has gone.
func cancelledByClient(v policy.Verdict) bool {
	for _, report := range v.Reports {
		if errors.Is(report.Err, errGone) {
			return true
		}
	}
	return false
}

// notScanned counts an object that no engine received, and writes its log line.
func (r *request) notScanned(why lapse, name, reason string, err error) {
	r.s.srv.tally.notScanned[why].Add(1)
	e := r.about(r.s.srv.log.WithLevel(why.level(err)), name).Str("reason", printable.Escape(reason, maxLoggedName))
	if err != nil {
		e = e.Str("error", printable.Escape(err.Error(), 2*maxLoggedName))
	}
	e.Msg("not scanned")
}

// about adds the fields that every log line about an object has.
func (r *request) about(e *zerolog.Event, name string) *zerolog.Event {
	return r.describe(e, r.s.client(), name)
}

func (r *request) describe(e *zerolog.Event, who, name string) *zerolog.Event {
	return r.fields(e, who).Str("object", printable.Escape(name, maxLoggedPath))
}

func (r *request) fields(e *zerolog.Event, who string) *zerolog.Event {
	return e.Str("id", r.logID.String()).Str("client", who).Str("listener", r.s.address).Str("command", string(r.cmd.Verb))
}

// traceFields adds the field that identifies the request in the log of conversations.
func (r *request) traceFields(e *zerolog.Event) *zerolog.Event { return e.Str("id", r.logID.String()) }

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
