package proxy

import (
	"context"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/upstream"
)

// deadline is the context of one scan: what has not answered within the listener's
// answer_within counts as interrupted.
func (r *request) deadline() (context.Context, context.CancelFunc) {
	within := r.lst.Profile.AnswerWithin
	return context.WithTimeoutCause(r.s.ctx, within, &backends.TimeoutError{After: within, Key: "answer_within"})
}

// scan scans one content, replies and logs.
func (r *request) scan(ctx context.Context, object string, content *spool.Content) {
	v, elapsed := r.judge(ctx, object, content)
	r.answerVerdict(object, v)
	r.done()
	r.scanned(object, content, v, elapsed)
}

// answerVerdict sends the whole reply about one object.
func (r *request) answerVerdict(object string, v policy.Verdict) {
	if r.extended() {
		r.replyRecords(object, v)
		return
	}
	r.reply(r.line(object, v))
}

// judge has every upstream scan content and merges what they found.
func (r *request) judge(ctx context.Context, object string, content *spool.Content) (policy.Verdict, time.Duration) {
	defer r.s.srv.running.begin(string(r.cmd.Verb), object)()
	start := time.Now()
	if upstream.CameBack(content, r.s.address) {
		return ownCheck(), time.Since(start)
	}
	all := r.cmd.Verb == protocol.VerbAllMatchScan
	v := r.lst.Policy.Merge(fanOut(ctx, r.cfg.Upstreams, r.lst.Policy, content, all))
	if v.Category == backends.Encrypted {
		v.Container = container(content)
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
func container(c backends.Content) string {
	var head [8]byte
	n, _ := c.ReadAt(head[:], 0)
	for _, m := range magics {
		if strings.HasPrefix(string(head[:n]), m.bytes) {
			return m.container
		}
	}
	return ""
}

// errSettled is why an upstream is called off when the others have said enough.
const errSettled = upstream.CalledOff("the verdict was settled already")

// answered is what a goroutine of fanOut sends.
type answered struct {
	i      int
	report policy.Report
}

// fanOut asks all upstreams together. Once category and action cannot change, the
// rest are called off and not waited for.
func fanOut(ctx context.Context, ups []*upstream.Upstream, p *policy.Policy, c *spool.Content, all bool) []policy.Report {
	switch len(ups) {
	case 0:
		return nil
	case 1:
		return []policy.Report{ups[0].Scan(ctx, c, all)}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errSettled)
	answers := make(chan answered, len(ups))
	reports := make([]policy.Report, len(ups))
	pending := make([]bool, len(ups))
	for i, u := range ups {
		reports[i] = policy.Report{Upstream: u.Name(), Required: u.Required()}
		pending[i] = true
		c.Retain() // the goroutine may outlive the scan
		go func() {
			defer c.Release()
			answers <- answered{i, u.Scan(ctx, c, all)}
		}()
	}
	for range ups {
		a := <-answers
		reports[a.i], pending[a.i] = a.report, false
		if p.Settled(reports, pending) {
			break
		}
	}
	for i := range reports {
		if pending[i] {
			reports[i].Cancelled, reports[i].Err = true, errSettled
		}
	}
	return reports
}

// incomplete is the verdict of an object of which a part was not scanned for a
// permanent reason; what names it as clamd would.
func incomplete(p *policy.Policy, what string) policy.Verdict {
	return p.Merge([]policy.Report{{Required: true, Result: backends.Found(backends.NoCode, what)}})
}
