package command

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
)

const (
	leastOutput = 4 << 10
	maxOutput   = 16 << 20
)

// check reports everything wrong with the keys, except for the answer table, which
// compile checks.
func (c *Config) check() error {
	errs := c.checkArgv()
	if len(c.VersionArgv) > 0 {
		if err := checkProgram("version_argv", c.VersionArgv[0]); err != nil {
			errs = append(errs, err)
		}
		if slices.ContainsFunc(c.VersionArgv, hasPath) {
			errs = append(errs, backends.KeyErrorf("version_argv", "delete %s: there is no file when the version is asked", placeholder))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(c.Env[name], 0) {
			errs = append(errs, backends.KeyErrorf("env", "%q = %q cannot be a variable of the environment", name, c.Env[name]))
		}
	}
	errs = append(errs, backends.OneOf("per", c.Per, perFile, perDirectory), backends.OneOf("copy", c.Copy, copyNone, copyLink, copyFull))
	if c.Copy == copyNone && c.Per == perDirectory {
		errs = append(errs, backends.KeyErrorf("copy", "must be %q or %q, not %q: a directory with only the object needs its own file", copyLink, copyFull, c.Copy))
	}
	if c.MaxOutput < leastOutput || c.MaxOutput > maxOutput {
		errs = append(errs, backends.KeyErrorf("max_output", "must be between \"4KiB\" and \"16MiB\", not %d", c.MaxOutput))
	}
	return errors.Join(errs...)
}

var otherPlaceholder = regexp.MustCompile(`\{[a-z_]+\}`)

func (c *Config) checkArgv() []error {
	if len(c.Argv) == 0 {
		return []error{fmt.Errorf("the engine has no program; write preset = \"...\", one of %s, or argv = [\"/path/of/program\", ..., %q]", strings.Join(presetNames(), ", "), placeholder)}
	}
	var errs []error
	key := "argv"
	if c.Program != "" {
		key = "program"
	}
	if err := checkProgram(key, c.Argv[0]); err != nil {
		errs = append(errs, err)
	}
	if !slices.ContainsFunc(c.Argv[1:], hasPath) {
		errs = append(errs, backends.KeyErrorf("argv", "must have an argument with %s, where the path of the file goes", placeholder))
	}
	errs = append(errs, checkArguments("argv", c.Argv[1:])...)
	errs = append(errs, checkArguments("extra_args", c.ExtraArgs)...)
	if slices.ContainsFunc(c.ExtraArgs, hasPath) {
		errs = append(errs, backends.KeyErrorf("extra_args", "%s belongs in argv", placeholder))
	}
	return errs
}

func checkArguments(key string, args []string) (errs []error) {
	for _, a := range args {
		if other := otherPlaceholder.FindString(strings.ReplaceAll(a, placeholder, "")); other != "" {
			errs = append(errs, backends.KeyErrorf(key, "%q: %s is unknown; write %s", a, other, placeholder))
		}
		if strings.ContainsRune(a, 0) {
			errs = append(errs, backends.KeyErrorf(key, "%q contains a NUL", a))
		}
	}
	return errs
}

// checkProgram requires an absolute path or a bare name. With any other path, the working
// directory, or even the object, could choose the program.
func checkProgram(key, program string) error {
	switch {
	case program == "" || strings.ContainsRune(program, 0) || hasPath(program):
		return backends.KeyErrorf(key, "%q is not a program", program)
	case strings.Contains(program, "/") && !filepath.IsAbs(program):
		return backends.KeyErrorf(key, "%q must be an absolute path, or a name without a slash to be found in PATH", program)
	}
	return nil
}

func hasPath(arg string) bool { return strings.Contains(arg, placeholder) }
