package proxy

import (
	"errors"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
	"polyclam/proxy/record"
	"polyclam/proxy/spool"
)

// scanned counts and records a scan and writes its log line: the client, the object, every
// engine's result and the verdict. It runs after the reply and does not wait for the hash of
// a large object: the line is written, and the record completed, when the hash is ready. An
// object that is ok is hashed only for a log line that is written.
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
	rec := r.record(name, o.Size(), v, elapsed)
	level := scanLevel(v)
	logs := level >= srv.log.GetLevel() && level >= zerolog.GlobalLevel()
	h, ok := r.cfg.Hash.known(o)
	if !ok {
		ok = true
		if r.cfg.Hash.wants(v) && (logs || !rec.OK()) {
			h, ok = srv.hashes.quick(srv.ctx, o, r.cfg.Limits.Stream)
		}
	}
	key := r.s.peer.key
	if !ok && !srv.hashes.begin(key) {
		h, ok = hash{leftOut: leftOutBusy}, true
	}
	rec.SHA256 = h.sum
	added := srv.records.Add(key, rec)
	if ok {
		r.scanLine(level, rec, h.leftOut)
		return
	}
	o.Retain()
	srv.wg.Go(func() {
		defer r.rescue(nil)
		defer srv.hashes.end(key)
		defer o.Release()
		h := srv.hashes.sum(client.NewContext(srv.ctx, key), o)
		rec.SHA256 = h.sum
		added.SetSHA256(h.sum)
		r.scanLine(level, rec, h.leftOut)
	})
}

// scanLevel is the level of a scan's log line: a warning if a failure decided the verdict.
func scanLevel(v policy.Verdict) zerolog.Level {
	if v.Category.IsFailure() || v.Cause.IsFailure() {
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

// scanLine writes the log line of a scan. leftOut says why it has no hash.
func (r *request) scanLine(level zerolog.Level, rec *record.Scan, leftOut string) {
	e := r.s.srv.log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	e = r.describe(e, rec.Client, rec.Object).Int64("size", rec.Size)
	if rec.SHA256 != "" {
		e = e.Str("sha256", rec.SHA256)
	}
	if leftOut != "" {
		e = e.Str("sha256_left_out", leftOut)
	}
	e = e.Str("category", string(rec.Category)).Str("action", rec.Action).Int("code", rec.Code)
	if rec.Engine != "" {
		e = e.Str("engine", rec.Engine)
	}
	if rec.ActionBy != "" {
		e = e.Str("action_by", rec.ActionBy)
	}
	if rec.Reason != "" {
		e = e.Str("reason", printable.Escape(rec.Reason, 2*maxLoggedName))
	}
	if len(rec.Names) > 0 {
		e = e.Strs("names", escapeAll(rec.Names))
	}
	engines := zerolog.Dict()
	for i := range rec.Engines {
		engines = engines.Dict(printable.Escape(rec.Engines[i].Engine, maxLoggedName), engineFields(&rec.Engines[i]))
	}
	e.Float64("ms", milliseconds(rec.Elapsed)).Dict("engines", engines).Msg("scanned")
}

// engineFields are the log fields for one engine.
func engineFields(rec *record.Engine) *zerolog.Event {
	d := zerolog.Dict().Str("category", string(rec.Category))
	if rec.Cancelled {
		return d.Bool("cancelled", true)
	}
	d = d.Float64("ms", milliseconds(rec.Elapsed))
	if rec.Cached != "" {
		d = d.Str("cached", rec.Cached).Int64("cached_age_ms", rec.CachedAge.Milliseconds())
	}
	if len(rec.Names) > 0 {
		d = d.Strs("names", escapeAll(rec.Names))
	}
	if rec.Failure != "" {
		d = d.Str("failure", string(rec.Failure))
	}
	d = passedFields(d, rec.Ruled)
	d = reportedFields(d, rec.Reported)
	if rec.Detail != "" {
		d = d.Str("detail", printable.Escape(rec.Detail, maxLoggedName))
	}
	if rec.Error != "" {
		d = d.Str("error", printable.Escape(rec.Error, 2*maxLoggedName))
	}
	if rec.Node != "" {
		d = d.Str("node", rec.Node)
	}
	if !rec.Counts {
		d = d.Bool("counts", false)
	}
	return d
}

// passedFields adds the findings that a rule maps to ok, and the rules.
func passedFields(d *zerolog.Event, ruled []record.Ruled) *zerolog.Event {
	var names, rules []string
	for _, r := range ruled {
		if r.Category == backends.OK {
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

// notScanned counts and records an object that no engine received, and writes its log line.
func (r *request) notScanned(why lapse, name, reason string, err error) {
	r.s.srv.tally.notScanned[why].Add(1)
	r.recordNotScanned(why, name, reason, err)
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
	return r.ids(e).Str("client", who).Str("listener", r.s.address).Str("command", string(r.cmd.Verb))
}

// traceFields adds the field that identifies the request in the log of conversations.
func (r *request) traceFields(e *zerolog.Event) *zerolog.Event { return r.ids(e) }

// ids adds polyclam's id of the request, and the client's own if it handed one over.
func (r *request) ids(e *zerolog.Event) *zerolog.Event {
	e = e.Str("id", r.logID.String())
	if r.tag != "" {
		e = e.Str("tag", printable.Escape(r.tag, maxLoggedName))
	}
	return e
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
