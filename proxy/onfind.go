package proxy

import (
	"polyclam/proxy/hook"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// event describes a verdict for the program of [on_find].
func (r *request) event(name string, o *spool.Object, v policy.Verdict) hook.Event {
	e := hook.Event{
		ID:       r.logID.String(),
		Object:   name,
		Name:     r.lst.Profile.Name(v),
		Category: v.Category,
		Action:   string(v.Action),
		Engine:   v.Engine,
		Client:   r.s.client(),
		Listener: r.s.address,
		Command:  string(r.cmd.Verb),
		Size:     o.Size(),
	}
	for _, report := range v.Reports {
		if !report.Cancelled {
			e.Engines = append(e.Engines, report.Engine+"="+string(report.Category))
		}
	}
	return e
}
