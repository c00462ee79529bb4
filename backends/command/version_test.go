package command

import (
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/command/commandfake"
)

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		name, preset, output string
		code                 int
		want                 backends.Version
	}{
		{"ClamAV", "clamscan", "ClamAV 1.4.6/27500/Mon Nov  2 08:00:00 2026\n", 0,
			backends.Version{Text: "ClamAV 1.4.6/27500/Mon Nov 2 08:00:00 2026", Engine: "ClamAV 1.4.6", Database: "27500", DatabaseTime: time.Date(2026, 11, 2, 8, 0, 0, 0, time.Local)}},
		{"ClamAV without a database", "clamscan", "ClamAV 1.4.6\n", 0, backends.Version{Text: "ClamAV 1.4.6", Engine: "ClamAV 1.4.6"}},
		{"YARA", "yara", "4.2.3\r\n", 0, backends.Version{Text: "4.2.3", Engine: "4.2.3"}},
		{"first line", "zoner-zavcli", "\n  ZAV   1.0 \nmore\n", 0, backends.Version{Text: "ZAV 1.0", Engine: "ZAV 1.0"}},
	} {
		re := compiled(t, c.preset).version
		if v, ok := parseVersion(re, runResult{output: []byte(c.output), code: c.code}); !ok || v != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.name, v, ok, c.want)
		}
	}
	for _, c := range []struct {
		preset string
		e      runResult
	}{
		{"zoner-zavcli", runResult{}}, {"zoner-zavcli", runResult{output: []byte("usage: ...\n"), code: 1}},
		{"zoner-zavcli", runResult{output: []byte("ZAV 1.0\n"), signal: 9}},
		{"clamscan", runResult{output: []byte("ERROR: no database\n")}},
		{"sophos-sweep", runResult{output: []byte("Product version : 1\n")}},
	} {
		if v, ok := parseVersion(compiled(t, c.preset).version, c.e); ok {
			t.Errorf("%s, %+v: %+v", c.preset, c.e, v)
		}
	}
}

func TestVersionRun(t *testing.T) {
	b := open(t, preset("sophos-sweep", commandfake.Sweep(t))).(backends.Versioner)
	v, err := b.Version(t.Context())
	if err != nil || v.Engine != "5.38.0" || v.Database != "5.43" || !v.DatabaseTime.Equal(time.Date(2017, 8, 22, 0, 0, 0, 0, time.Local)) {
		t.Errorf("%+v, %v", v, err)
	}
	for _, script := range []string{"#!/bin/sh\nexit 0\n", "#!/bin/sh\nhead -c 1000000 /dev/zero\n"} {
		b := open(t, preset("sophos-sweep", commandfake.Script(t, script))).(backends.Versioner)
		if v, err := b.Version(t.Context()); err == nil {
			t.Errorf("%s: %+v", script, v)
		}
	}
	if _, ok := open(t, preset("arcavir", "")).(backends.Versioner); ok {
		t.Error("a version without version_argv")
	}
}
