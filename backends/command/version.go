package command

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"polyclam/backends"
)

// maxVersion limits the output that is searched for a version.
const maxVersion = 64 << 10

// versionTime is how long a program may take to print its version.
const versionTime = 10 * time.Second

// versioned is a Backend that can report the version of its program.
type versioned struct {
	*Backend
	version []string
	re      *regexp.Regexp // if nil, the version is the first line
}

var _ backends.Versioner = (*versioned)(nil)

// Version implements [backends.Versioner].
func (b *versioned) Version(ctx context.Context) (backends.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	program, err := lookPath(b.version[0], b.path)
	if err != nil {
		return backends.Version{}, b.wrap(newStartError(b.version[0], b.path, "version_argv", err))
	}
	argv := append([]string{program}, b.version[1:]...)
	e, err := run(ctx, job{argv: argv, env: b.env, limit: maxVersion, after: func() alteration { return alteration{} }})
	if err != nil {
		return backends.Version{}, b.wrap(newStartError(program, b.path, "version_argv", err))
	}
	if e.stopped != nil {
		return backends.Version{}, b.wrap(e.stopped)
	}
	v, ok := parseVersion(b.re, e)
	if !ok {
		return backends.Version{}, b.wrap(fmt.Errorf("%s ended with exit status %d and printed no version (version_argv, version_regex): %.200q", program, e.code, e.output))
	}
	return v, nil
}

// parseVersion finds the version. Without an expression that is the first line, if the
// program succeeded.
func parseVersion(re *regexp.Regexp, e runResult) (backends.Version, bool) {
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

// timeLayouts are how programs print the time of their signatures: ClamAV as in ctime(3),
// Sophos as a date, and so on.
var timeLayouts = []string{time.ANSIC, "2 January 2006", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02"}

// parseTime assumes the local time zone, as the programs do.
func parseTime(text string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

// oneLine joins text into one line with single blanks. ANSIC's day may have two.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), 200)]
}
