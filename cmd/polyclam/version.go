package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"
)

var versionCommand = command{
	name:  "version",
	short: "Print the version of this tool",
	prepare: func(t *tool, _ *pflag.FlagSet) func([]string) (int, error) {
		return func(args []string) (int, error) {
			if err := noArguments(args); err != nil {
				return 0, err
			}
			_, err := fmt.Fprintln(t.stdout, "polyclam", version())
			return exitOK, err
		}
	},
}

// version is what the toolchain recorded about this build.
func version() string {
	text := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		text = info.Main.Version
	}
	return fmt.Sprintf("%s (%s)", text, runtime.Version())
}
