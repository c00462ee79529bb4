package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version returns the version that the Go toolchain recorded in this build.
func Version() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return fmt.Sprintf("%s (%s)", version, runtime.Version())
}
