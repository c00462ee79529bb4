package proxy

import (
	"context"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// deadline is the context of one scan: what has not answered within the listener's
// answer_within counts as interrupted.
func (r *request) deadline() (context.Context, context.CancelFunc) {
	within := r.lst.Profile.AnswerWithin
	return context.WithTimeoutCause(r.s.ctx, within, &backends.TimeoutError{After: within, Key: "answer_within"})
}

// scan scans one content, replies and logs.
func (r *request) scan(ctx context.Context, object string, obj *spool.Object) {
	v, elapsed := r.judge(ctx, object, obj)
	r.answerVerdict(object, v)
	r.done()
	r.scanned(object, obj, v, elapsed)
}

// answerVerdict sends the whole reply about one object.
func (r *request) answerVerdict(object string, v policy.Verdict) {
	if r.extended() {
		r.replyRecords(object, v)
		return
	}
	r.reply(r.line(object, v))
}

// judge has every engine scan content and merges what they found.
func (r *request) judge(ctx context.Context, object string, obj *spool.Object) (policy.Verdict, time.Duration) {
	defer r.s.srv.running.begin(string(r.cmd.Verb), object)()
	if r.id == 0 { // in a session its reader notices, see [idSession.away]
		r.s.beginWatch()
		defer r.s.endWatch()
	}
	start := time.Now()
	if engine.CameBack(obj, r.s.address) {
		return ownCheck(), time.Since(start)
	}
	all := r.cmd.Verb == protocol.VerbAllMatchScan
	v := r.lst.Policy.Merge(fanOut(ctx, r.cfg.Engines, r.lst.Policy, obj, all))
	if v.Category == backends.Encrypted {
		v.Container = container(obj)
	}
	return v, time.Since(start)
}

// ownCheck is the verdict for a test object of polyclam's own health checks, which an
// engine has handed on to us. Whatever the policy says of failures: it is one.
func ownCheck() policy.Verdict {
	return policy.Verdict{
		Code: backends.NoCode, Category: backends.SWErr, Action: policy.Tempfail, Cause: backends.SWErr,
		Detail: "a health check of polyclam's own came back: an engine asks polyclam itself",
	}
}

// magics are the first bytes of containers that may be encrypted, and what
// [policy.Verdict] calls them.
var magics = []struct{ bytes, container string }{
	{"PK\x03\x04", "zip"},
	{"Rar!\x1a\x07", "rar"},
	{"7z\xbc\xaf\x27\x1c", "7z"},
	{"%PDF-", "pdf"},
	{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole2"},
}

// container names what the content is by its first bytes, if that is known.
func container(o backends.Object) string {
	var head [8]byte
	n, _ := o.ReadAt(head[:], 0)
	for _, m := range magics {
		if strings.HasPrefix(string(head[:n]), m.bytes) {
			return m.container
		}
	}
	return ""
}

// incomplete is the verdict of an object of which a part was not scanned for a
// permanent reason; what names it as clamd would.
func incomplete(p *policy.Policy, what string) policy.Verdict {
	return p.Merge([]policy.Report{{Required: true, Result: backends.Found(backends.NoCode, what)}})
}
