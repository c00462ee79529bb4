package proxy

import (
	"polyclam/protocol"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// profile is the listener's profile for the reply to this request: with room for the
// number of a session, and with objects escaped where a line break in a name could
// end a record. The records of polyclam's own verbs are the same in every framing;
// to a plain z command names are clamd's bytes.
func (r *request) profile() status.Profile {
	p := r.lst.Profile
	p.EscapeObjects = r.cmd.Term == '\n' || r.extended()
	if r.id == 0 {
		return p
	}
	n := len(": ")
	for id := r.id; id > 0; id /= 10 {
		n++
	}
	return p.Reserve(n)
}

// line is the status line of a verdict.
func (r *request) line(object string, v policy.Verdict) status.Reply {
	return r.profile().Line(object, v)
}

// allLines are the status lines of a verdict: for ALLMATCHSCAN one for each match.
func (r *request) allLines(object string, v policy.Verdict) []status.Reply {
	if r.cmd.Verb == protocol.VerbAllMatchScan {
		return r.profile().AllMatchLines(object, v)
	}
	return []status.Reply{r.line(object, v)}
}

// replyRecords answers one of polyclam's own verbs: the plain status line, a record
// for each engine, the summary, END.
func (r *request) replyRecords(object string, v policy.Verdict) {
	reply := r.line(object, v)
	if reply.Close {
		r.close()
		return
	}
	lines := []string{reply.Text}
	for _, rec := range status.Records(object, v) {
		lines = append(lines, rec.String())
	}
	r.send(append(lines, "END")...)
}
