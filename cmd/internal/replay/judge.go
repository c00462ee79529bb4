package replay

import (
	"context"
	"slices"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/printable"
)

// maxLoggedName is how many bytes of a name the log has.
const maxLoggedName = 256

// A Judge judges scans by the policies of a configuration.
type Judge struct {
	listeners map[string]*judgeListener // by the address of the socket, as the log has it
}

// judgeListener is a listener of the configuration.
type judgeListener struct {
	policy  *policy.Policy
	engines []judgeEngine // those whose results count for it
}

// judgeEngine is an engine of the configuration.
type judgeEngine struct {
	name, logged string // logged: as the log has it
	required     bool
	hasRules     bool
}

// NewJudge returns a judge with the policies of f. The names in the addresses of listeners are
// looked up, because the log has the address of the socket; one that cannot be looked up is
// only known by its name.
func NewJudge(ctx context.Context, f *config.File, r sockaddr.Resolver) *Judge {
	j := &Judge{listeners: map[string]*judgeListener{}}
	for i := range f.Listeners {
		l := &f.Listeners[i]
		// What Settled says must not depend on first_virus = "wait": a verdict that no
		// answer could change is known.
		p := *f.ListenerPolicy(l)
		p.AnswerFirst = true
		listener := &judgeListener{&p, enginesOf(f, l)}
		j.listeners[l.Address] = listener
		addresses, err := sockaddr.Resolve(ctx, r, l.Address)
		if err != nil {
			continue
		}
		for _, a := range addresses {
			j.listeners[a.String()] = listener
		}
	}
	return j
}

// enginesOf returns the engines whose results count for a listener.
func enginesOf(f *config.File, l *config.Listener) (list []judgeEngine) {
	for i := range f.Engines {
		e := &f.Engines[i]
		if e.Mode != engine.On || len(l.Engines) > 0 && !slices.Contains(l.Engines, e.Name) {
			continue
		}
		list = append(list, judgeEngine{
			name: e.Name, logged: printable.Escape(e.Name, maxLoggedName), required: e.Required,
			hasRules: slices.ContainsFunc(f.Rules, func(r config.Rule) bool { return r.Engine == "" || r.Engine == e.Name }),
		})
	}
	return list
}

// A Reason is why a scan cannot be judged.
type Reason struct {
	Text   string
	Detail string // of which listener or engine; may be empty
}

// Error implements error.
func (r Reason) Error() string {
	if r.Detail == "" {
		return r.Text
	}
	return r.Text + ": " + r.Detail
}

// Why scans cannot be judged.
const (
	noListener = "the configuration has no such listener"
	noEngines  = "no engine was asked"
	noResult   = "an engine has no result in the line, and might change the verdict"
	cancelled  = "an engine was cancelled because the verdict was settled, and might change the new one"
	namesCut   = "the log has not all names of an engine with rules"
)

// Judge returns the verdict on a scan. An engine whose results do not count for the listener
// in the configuration is left out. The error is a [Reason].
func (j *Judge) Judge(s *Scan) (Verdict, error) {
	l := j.listeners[s.Listener]
	switch {
	case l == nil:
		return Verdict{}, Reason{noListener, s.Listener}
	case len(s.engines) == 0:
		return Verdict{}, Reason{noEngines, ""}
	}
	reports, pending := make([]policy.Report, len(l.engines)), make([]bool, len(l.engines))
	var open *Reason // why an engine is pending
	for i, e := range l.engines {
		r := s.engines[e.logged]
		switch {
		case r == nil:
			open, pending[i] = orFirst(open, noResult, e.name), true
		case r.Cancelled:
			open, pending[i] = orFirst(open, cancelled, e.name), true
		case r.cut && e.hasRules:
			open, pending[i] = &Reason{namesCut, e.name}, true
		default:
			reports[i] = r.Report
		}
		reports[i].Engine, reports[i].Required = e.name, e.required
	}
	if open != nil && !l.policy.Settled(reports, pending) {
		return Verdict{}, *open
	}
	for i := range reports {
		reports[i].Cancelled = pending[i]
	}
	return verdictOf(l.policy.Merge(reports)), nil
}

func orFirst(first *Reason, text, engine string) *Reason {
	if first != nil {
		return first
	}
	return &Reason{text, engine}
}

func verdictOf(v policy.Verdict) Verdict {
	out := Verdict{Category: v.Category, Action: v.Action, Engine: v.Engine}
	if len(v.Names) > 0 {
		out.Name = printable.Escape(v.Names[0], maxLoggedName)
	}
	return out
}
