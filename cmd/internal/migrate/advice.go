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
}

// Advice returns a sentence or two for each change that clamd.conf needs, with the
// reason.
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
			text: m.clamd.conf.source(o) + ": clamd stops at the first heuristic match, so an encrypted member of an archive hides a virus beside it." +
				" HeuristicScanPrecedence no changes that; until then polyclam counts what this clamd calls encrypted or over a limit as suspicious.",
			lines: []string{"HeuristicScanPrecedence no"},
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
	a.text = fmt.Sprintf("%s: clamd says OK to objects over its limits without scanning them, and polyclam sends it objects of up to %s (max_size). To change that, write %s in clamd.conf,"+
		" or AlertExceedsMax yes, which makes such objects partial, or lower max_size.", strings.Join(low, "; "), size.FormatClamd(largest), strings.Join(a.lines, " and "))
	return a, true
}

// adviceSteps returns the commands that apply the advice to clamd's new configuration.
func (m *Machine) adviceSteps() (list []step) {
	file := m.EngineConf()
	if file == "" {
		file = m.clamd.conf.path
	}
	for _, a := range m.advice() {
		s := step{text: "Change these settings of clamd, unless you want them: " + a.text}
		for _, line := range a.lines {
			key, _, _ := strings.Cut(line, " ")
			// clamd reads the first line with a key; the first line of the file is polyclam's.
			s.shell = append(s.shell, fmt.Sprintf("sed -i '/^[[:blank:]]*%s[[:blank:]]/d' %s", key, file), fmt.Sprintf("printf '\\n%s\\n' >>%s", line, file))
		}
		list = append(list, s)
	}
	return list
}
