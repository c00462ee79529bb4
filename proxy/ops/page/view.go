package page

import (
	"cmp"
	"html/template"
	"time"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/count"
	"polyclam/proxy/ops/human"
	"polyclam/proxy/ops/judge"
	"polyclam/proxy/printable"
	"polyclam/proxy/record"
)

// Classes of the style.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
)

// A view is what the template shows. Its texts are safe to show: foreign ones are escaped.
type view struct {
	Host, Version, Uptime string
	Clock, Stamp          string // when this was the state
	State, Sentence       string
	Icon                  template.URL
	Notes                 []note
	Engines               []engineView
	Verdicts              verdictsView
	Cache                 cacheView
	Scans                 *scansView // nil: not shown
	Resources             []resource
	Losses                []loss
}

// A note is a line below the sentence.
type note struct{ Text, Class string }

// maxNotes is how many notes are shown.
const maxNotes = 12

// view returns what there is to show.
func (p *Page) view(s *proxy.Snapshot, scans []*record.Scan) *view {
	var nodes []judge.Node
	for _, n := range s.Nodes() {
		nodes = append(nodes, judge.Node{Node: n})
	}
	c := judge.Of(nodes, judge.ConfigTrouble(&s.Server, s.Time), s.Time)
	v := &view{
		Host:      shown(p.host, maxName).Text,
		Version:   "version " + shown(cmp.Or(s.Server.Version, "unknown"), maxName).Text,
		Uptime:    human.Age(s.Time.Sub(s.Started)),
		Clock:     s.Time.Format("15:04:05 MST"),
		Stamp:     s.Time.Format(time.RFC3339),
		State:     c.State,
		Sentence:  printable.Escape(c.Sentence, maxSentence),
		Icon:      icons[c.State],
		Notes:     notes(s, nodes),
		Engines:   p.engines(s, nodes),
		Cache:     newCacheView(s),
		Resources: resources(s),
		Losses:    losses(s),
	}
	v.Verdicts = newVerdicts(s, &p.history)
	if p.options.Scans {
		v.Scans = newScans(scans, s.Time)
	}
	return v
}

// icons are the icons of the browser's tab, by state.
var icons = map[string]template.URL{
	judge.OK:       icon("2e9e57", "M4 8l3 3 5-6"),
	judge.Degraded: icon("d98e04", "M8 4v5M8 11v1"),
	judge.Failing:  icon("d0222d", "M5 5l6 6M11 5l-6 6"),
}

func icon(color, path string) template.URL {
	return template.URL("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%23" +
		color + "'/%3E%3Cpath d='" + path + "' stroke='white' stroke-width='2' fill='none'/%3E%3C/svg%3E")
}

// notes returns what an operator should know besides the sentence: what load balancers see,
// why nodes are not used and what helps, and what to change.
func notes(s *proxy.Snapshot, nodes []judge.Node) (list []note) {
	say := func(text, class string) { list = append(list, note{printable.Escape(text, maxNote), class}) }
	if s.Ready.Draining {
		say("draining: load balancers are asked to send no new clients", warn)
	}
	if !s.Ready.Ready {
		for _, reason := range s.Ready.Reasons {
			say("not ready for load balancers: "+reason, bad)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if why := n.Why(); why != "" {
			say(n.Name()+" "+n.Explain(), "")
		}
	}
	for i := range nodes {
		n := &nodes[i]
		for _, text := range n.Remarks() {
			say(n.Name()+": "+text, "")
		}
	}
	for _, text := range judge.ModeRemarks(nodes) {
		say(text, "")
	}
	if text := cacheNote(s); text != "" {
		say(text, warn)
	}
	if more := len(list) - maxNotes; more > 0 {
		list = append(list[:maxNotes], note{Text: "and " + human.Plural(int64(more), "more note") + ", see polyclam status"})
	}
	return list
}

// verdictsView is the part with the verdicts.
type verdictsView struct {
	Charts      []chart
	Rows        []verdictRow
	Hour, Total string
}

type verdictRow struct {
	Category, Hour, Total string
	Zero                  bool // there were none
}

func newVerdicts(s *proxy.Snapshot, h *history) (v verdictsView) {
	minutes, newest := h.hour()
	if newest.IsZero() {
		newest = s.Time
	}
	newest = newest.In(s.Time.Location())
	v.Charts = []chart{
		newChart("All objects", &minutes, func(backends.Category) bool { return true }, newest),
		newChart("Without ok", &minutes, func(c backends.Category) bool { return c != backends.OK }, newest),
	}
	var hour, total count.ByCategory
	for _, m := range minutes {
		for i, n := range m {
			hour[i] += n
		}
	}
	for _, c := range s.Scans {
		total.Add(c.Category, c.Count)
	}
	for category, n := range total.All() {
		v.Rows = append(v.Rows, verdictRow{string(category), number(hour.Of(category)), number(n), n == 0})
	}
	v.Hour, v.Total = number(hour.Total()), number(total.Total())
	return v
}
