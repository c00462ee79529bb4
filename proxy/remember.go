package proxy

import (
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/record"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
)

// record describes a scan for the log and for the records of recent scans. It refers to the
// texts of v. It does not have the hash.
func (r *request) record(name string, size int64, v policy.Verdict, elapsed time.Duration) *record.Scan {
	rec := r.newRecord(name)
	rec.Size, rec.Elapsed = size, elapsed
	rec.Category, rec.Action, rec.Code = v.Category, string(v.Action), v.Code
	rec.Engine, rec.Reason, rec.Names = v.Engine, r.lst.Policy.Reason(v), v.Names
	if v.Category != backends.OK {
		rec.ActionBy = v.ActionBy
	}
	if v.Action != policy.OK {
		rec.Reply = heard(r.line(name, v))
	}
	rec.Engines = make([]record.Engine, len(v.Reports))
	for i := range v.Reports {
		rec.Engines[i] = engineRecord(&v.Reports[i])
	}
	return rec
}

func engineRecord(report *policy.Judged) record.Engine {
	rec := record.Engine{
		Engine: report.Engine, Node: report.Node, Category: report.Category, Elapsed: report.Elapsed,
		Counts: report.Counts, Cancelled: report.Cancelled,
	}
	if report.Cancelled {
		return rec
	}
	rec.Cached, rec.CachedAge = report.Cached, max(0, report.CachedAge)
	rec.Names, rec.Detail, rec.Reported = report.Names, report.Result.Detail, reportedBy(report)
	if !report.Category.IsFailure() {
		rec.Failure = report.Failure
	}
	if report.Err != nil {
		rec.Error = report.Err.Error()
	}
	for _, ruled := range report.Ruled {
		rec.Ruled = append(rec.Ruled, record.Ruled{Name: ruled.Name, Category: ruled.Category, Rule: ruled.Rule})
	}
	return rec
}

// recordNotScanned records an object that no engine received.
func (r *request) recordNotScanned(why lapse, name, reason string, err error) {
	rec := r.newRecord(name)
	rec.NotScanned = reason
	if err != nil {
		rec.Error = err.Error()
	}
	switch {
	case errors.Is(err, spool.ErrTooLarge):
		rec.Reply = heard(r.line(name, tooLarge(r.lst.Policy)))
	case why == lapseLimit:
		rec.Reply = heard(r.lst.Profile.SizeLimit())
	}
	r.s.srv.records.Add(r.s.peer.key, rec)
}

// newRecord returns a record of an object of the request.
func (r *request) newRecord(name string) *record.Scan {
	return &record.Scan{
		ID: r.logID.String(), Tag: r.tag, Time: time.Now(),
		Client: r.s.client(), Listener: r.s.address, Command: string(r.cmd.Verb), Object: name,
	}
}

// closedWithoutReply is the reply in a record if there was none.
const closedWithoutReply = "(the connection was closed without a reply)"

// heard is what the client got.
func heard(reply status.Reply) string {
	if reply.Close {
		return closedWithoutReply
	}
	return reply.Text
}
