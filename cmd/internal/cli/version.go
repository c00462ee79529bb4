package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// What the Makefile stamps a build with, see contrib/packaging/stamp.
var (
	version string
	commit  string
	date    string // of the commit
)

// Version returns the version of this build, its commit and the date of that.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describe(version, commit, date, info)
}

// describe fills in what the Go toolchain knows about a build without a stamp.
func describe(version, commit, date string, info *debug.BuildInfo) string {
	if version == "" {
		version = "devel"
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.time":
				date = s.Value
			}
		}
	}
	text := version + " ("
	if commit != "" {
		text += "commit " + commit + ", "
	}
	if date != "" {
		text += date + ", "
	}
	return fmt.Sprintf("%s%s)", text, runtime.Version())
}
