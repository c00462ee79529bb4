package migrate

import (
	"fmt"
	"math"
	"strings"

	"polyclam/cmd/internal/size"
)

// An advice is a change to clamd.conf. Without it, clamd says OK about objects that it
// did not scan.
type advice struct {
	text  string
	lines []string // for clamd.conf
	why   string   // in a few words
}

// Advice returns a sentence or two for each change that clamd's configuration needs, with
// the reason.
func (m *Machine) Advice() []string {
	var out []string
	for _, a := range m.advice() {
		lines := strings.Join(a.lines, " and ")
		if conf := m.EngineConf(); conf != "" {
			out = append(out, a.text+" "+conf+", which --move-clamd writes, has "+lines+".")
		} else {
			out = append(out, a.text+" To change that, write "+lines+" in "+m.clamd.conf.path+".")
		}
	}
	return out
}

func (m *Machine) advice() (list []advice) {
	if m.clamd == nil {
		return nil
	}
	if o, on := m.clamd.conf.enabled("HeuristicScanPrecedence"); on {
		list = append(list, advice{
			text: m.clamd.conf.source(o) + ": clamd stops at the first heuristic match, so an encrypted member of an archive hides a virus beside it;" +
				" polyclam counts what such a clamd calls encrypted or over a limit as suspicious.",
			lines: []string{"HeuristicScanPrecedence no"},
			why:   "An encrypted member of an archive must not hide a virus beside it.",
		})
	}
	if a, ok := m.sizeAdvice(); ok {
		list = append(list, a)
	}
	return list
}

// sizeLimits are the options that make clamd skip large objects, with their defaults in
// clamd 1.4.6. Each must be factor times the size of the largest object: clamd scans an
// archive, and then its members.
var sizeLimits = []struct {
	key    string
	usual  int64
	factor int64
}{
	{"MaxFileSize", 100 << 20, 1},
	{"MaxScanSize", 400 << 20, 4},
}

// sizeAdvice returns the advice for clamd limits that are below what polyclam sends.
func (m *Machine) sizeAdvice() (a advice, ok bool) {
	if _, on := m.clamd.conf.enabled("AlertExceedsMax"); on {
		return a, false // clamd reports such objects, and polyclam calls them partial
	}
	largest := m.maxSize()
	var low []string
	for _, l := range sizeLimits {
		n, o, given := m.clamd.conf.bytes(l.key)
		where := ""
		switch {
		case given:
			where = m.clamd.conf.source(o)
		case l.usual < largest:
			n, where = l.usual, fmt.Sprintf("%s has no %s, and the default is %s", m.clamd.conf.path, l.key, size.FormatClamd(l.usual))
		}
		enough := largest
		if l.factor > 1 {
			enough++ // the members count too
		}
		if where == "" || n >= enough {
			continue
		}
		low = append(low, where)
		a.lines = append(a.lines, l.key+" "+size.FormatClamd(min(largest*l.factor, math.MaxUint32)))
	}
	if len(low) == 0 {
		return a, false
	}
	a.text = fmt.Sprintf("%s: clamd says OK to objects over its limits without scanning them, and polyclam sends it objects of up to %s (max_size)."+
		" AlertExceedsMax yes, which makes such objects partial, or a lower max_size avoid that too.", strings.Join(low, "; "), size.FormatClamd(largest))
	a.why = "clamd says OK to objects over its limits without scanning them; these limits cover what polyclam sends."
	return a, true
}
