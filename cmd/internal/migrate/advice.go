package migrate

import (
	"fmt"
	"math"
	"strings"
)

// An advice is a change of clamd.conf without which clamd says OK for what it did not
// scan.
type advice struct {
	text  string
	lines []string // of clamd.conf, as they should be
}

// Advice returns what should be changed in clamd.conf, and why, a sentence or two for
// each change.
func (m *Machine) Advice() []string {
	var out []string
	for _, a := range m.advice() {
		out = append(out, a.text)
	}
	return out
}

func (m *Machine) advice() (list []advice) {
	if m.clamd == nil {
		return nil
	}
	if o, on := m.clamd.conf.enabled("HeuristicScanPrecedence"); on {
		list = append(list, advice{
			text: m.clamd.conf.source(o) + ": clamd stops at the first heuristic match, so that an encrypted member of an archive hides a virus beside it." +
				" HeuristicScanPrecedence no changes that; until then polyclam takes what this clamd calls encrypted or over a limit for suspicious.",
			lines: []string{"HeuristicScanPrecedence no"},
		})
	}
	if a, ok := m.sizeAdvice(); ok {
		list = append(list, a)
	}
	return list
}

// sizeLimits are the options by which clamd leaves objects unscanned, with their
// defaults in clamd 1.4.6 and how much more than an object each has to be: an archive
// is scanned, and then what is in it.
var sizeLimits = []struct {
	key    string
	usual  int64
	factor int64
}{
	{"MaxFileSize", 100 << 20, 1},
	{"MaxScanSize", 400 << 20, 4},
}

// sizeAdvice is about limits of clamd's that are below what polyclam gives it.
func (m *Machine) sizeAdvice() (a advice, ok bool) {
	if _, on := m.clamd.conf.enabled("AlertExceedsMax"); on {
		return a, false // clamd says so of each object, and polyclam calls it partial
	}
	largest := m.maxSize()
	var low []string
	for _, l := range sizeLimits {
		n, o, given := m.clamd.conf.size(l.key)
		where := ""
		switch {
		case given:
			where = m.clamd.conf.source(o)
		case l.usual < largest:
			n, where = l.usual, fmt.Sprintf("%s has no %s, and the default is %s", m.clamd.conf.path, l.key, confSize(l.usual))
		}
		enough := largest
		if l.factor > 1 {
			enough++ // what is in the object counts too
		}
		if where == "" || n >= enough {
			continue
		}
		low = append(low, where)
		a.lines = append(a.lines, l.key+" "+confSize(min(largest*l.factor, math.MaxUint32)))
	}
	if len(low) == 0 {
		return a, false
	}
	a.text = fmt.Sprintf("%s: clamd says OK without a scan to what is over its limits, and polyclam gives it objects of up to %s (max_size). %s in clamd.conf changes that,"+
		" or AlertExceedsMax yes, which makes such objects partial, or a smaller max_size.", strings.Join(low, "; "), confSize(largest), strings.Join(a.lines, " and "))
	return a, true
}

// confSize is a size as clamd.conf has it.
func confSize(n int64) string {
	if n > 0 && n&(1<<20-1) == 0 {
		return fmt.Sprintf("%dM", n>>20)
	}
	return fmt.Sprint(n)
}

// adviceSteps carry the advice out in the configuration that clamd is going to have.
func (m *Machine) adviceSteps() (list []step) {
	file := m.EngineConf()
	if file == "" {
		file = m.clamd.conf.path
	}
	for _, a := range m.advice() {
		s := step{text: "Change these settings of clamd, unless they are intended: " + a.text}
		for _, line := range a.lines {
			key, _, _ := strings.Cut(line, " ")
			// clamd takes the first line with a key, and the first line of all is ours.
			s.shell = append(s.shell, fmt.Sprintf("sed -i '/^[[:blank:]]*%s[[:blank:]]/d' %s", key, file), fmt.Sprintf("printf '\\n%s\\n' >>%s", line, file))
		}
		list = append(list, s)
	}
	return list
}
