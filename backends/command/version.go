package command

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"polyclam/backends"
)

// mostVersion bounds the output that is looked at for a version.
const mostVersion = 64 << 10

// versionTime is how long a program may take to tell its version.
const versionTime = 10 * time.Second

// versioned is a Backend that can tell the version of its program.
type versioned struct {
	*Backend
	version []string
	re      *regexp.Regexp // nil: the first line
}

var _ backends.Versioner = (*versioned)(nil)

// Version implements [backends.Versioner].
func (b *versioned) Version(ctx context.Context) (backends.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	program, err := lookPath(b.version[0], b.path)
	if err != nil {
		return backends.Version{}, b.wrap(unstarted(b.version[0], b.path, "version_argv", err))
	}
	argv := append([]string{program}, b.version[1:]...)
	e, err := run(ctx, order{argv: argv, env: b.env, limit: mostVersion, after: func() alteration { return alteration{} }})
	if err != nil {
		return backends.Version{}, b.wrap(unstarted(program, b.path, "version_argv", err))
	}
	if e.stopped != nil {
		return backends.Version{}, b.wrap(e.stopped)
	}
	v, ok := parseVersion(b.re, e)
	if !ok {
		return backends.Version{}, b.wrap(fmt.Errorf("%s ended with exit status %d and printed no version (keys version_argv, version_regex): %.200q", program, e.code, e.output))
	}
	return v, nil
}

// parseVersion finds the version. Without an expression to know it by, the first
// line must come from a program that was content.
func parseVersion(re *regexp.Regexp, e ending) (backends.Version, bool) {
	text := strings.ReplaceAll(string(e.output), "\r\n", "\n")
	if e.signal != 0 {
		return backends.Version{}, false
	}
	if re == nil {
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		line = oneLine(line)
		return backends.Version{Text: line, Engine: line}, line != "" && e.code == 0
	}
	groups := re.FindStringSubmatch(text)
	if groups == nil {
		return backends.Version{}, false
	}
	v := backends.Version{Text: oneLine(groups[0])}
	for i, group := range re.SubexpNames() {
		switch group {
		case "engine":
			v.Engine = oneLine(groups[i])
		case "database":
			v.Database = oneLine(groups[i])
		case "time":
			v.DatabaseTime = parseTime(oneLine(groups[i]))
		}
	}
	if v.Engine == "" {
		v.Engine = v.Text
	}
	return v, true
}

// timeLayouts are how programs write when their signatures were made: ctime(3),
// as ClamAV does, and the date alone, as Sophos does.
var timeLayouts = []string{time.ANSIC, "2 January 2006", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02"}

// parseTime takes times to be those of this machine, as the programs do.
func parseTime(text string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

// oneLine makes one line of text, with single blanks. ANSIC's day has two.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 200)]
}
