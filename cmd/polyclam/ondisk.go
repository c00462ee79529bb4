package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/protocol/extended"
	"polyclam/proxy/ops/judge"
)

// onDisk is what the configuration file on the disk means for a running polyclamd.
type onDisk struct {
	trouble string // it is refused, or a reload was; empty: nothing is wrong
	remark  string // it is good, and not in use
}

// lookOnDisk compares the configuration file with what polyclamd reports. s is nil if none
// answers. polyclamd does not see a file that "systemctl reload" refuses, so this tool
// reads it too.
func (t *tool) lookOnDisk(at *server, s *extended.Server, now time.Time) (d onDisk) {
	reported := s != nil && !s.ConfigRefused.IsZero()
	path := t.config
	if path == "" && at != nil && at.network == "unix" { // the same host, at least as a rule
		path = s.Config
	}
	if path == "" && t.address == "" {
		path = cli.DefaultConfig
	}
	var file *config.File
	if path != "" {
		var err error
		var problems config.Problems
		if file, err = config.Load(path); errors.As(err, &problems) {
			d.trouble = fmt.Sprintf("the configuration on disk is refused%s: %s", sinceClock(reported, s, now), problems.First())
			return d
		}
	}
	known := file != nil && s != nil && isSame(path, s.Config) && !s.ConfigTime.IsZero()
	switch {
	case reported && known && file.Modified.Truncate(time.Second).After(s.ConfigRefused): // which has seconds only
		d.trouble = fmt.Sprintf("a reload was refused at %s: %s; %s was changed since then: reload again", clock(s.ConfigRefused, now), s.ConfigProblem, path)
	case reported:
		d.trouble = judge.ConfigTrouble(s, now)
	case known && !file.Modified.Truncate(time.Second).Equal(s.ConfigTime):
		d.remark = path + " was changed after polyclamd loaded it: reload to use it"
	}
	return d
}

// isSame reports whether two paths name the same file.
func isSame(a, b string) bool {
	first, errA := os.Stat(a)
	second, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(first, second)
}

func sinceClock(reported bool, s *extended.Server, now time.Time) string {
	if !reported {
		return ""
	}
	return " since " + clock(s.ConfigRefused, now)
}
