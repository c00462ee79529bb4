package command

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	leastOutput = 4 << 10
	mostOutput  = 16 << 20
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
			errs = append(errs, fmt.Errorf("version_argv: %s has no place in it, there is no file when the version is asked", placeholder))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(c.Env[name], 0) {
			errs = append(errs, fmt.Errorf("env: %q = %q cannot be a variable of the environment", name, c.Env[name]))
		}
	}
	if c.Per != perFile && c.Per != perDirectory {
		errs = append(errs, fmt.Errorf("per = %q: want %q or %q", c.Per, perFile, perDirectory))
	}
	switch {
	case c.Copy != copyNone && c.Copy != copyLink && c.Copy != copyFull:
		errs = append(errs, fmt.Errorf("copy = %q: want %q, %q or %q", c.Copy, copyNone, copyLink, copyFull))
	case c.Copy == copyNone && c.Per == perDirectory:
		errs = append(errs, fmt.Errorf("copy = %q: a directory of its own needs a file of its own; want %q or %q", c.Copy, copyLink, copyFull))
	}
	if c.MaxOutput < leastOutput || c.MaxOutput > mostOutput {
		errs = append(errs, fmt.Errorf("max_output = %d: want 4KiB to 16MiB", int64(c.MaxOutput)))
	}
	return errors.Join(errs...)
}

var otherPlaceholder = regexp.MustCompile(`\{[a-z_]+\}`)

func (c *Config) checkArgv() []error {
	if len(c.Argv) == 0 {
		return []error{fmt.Errorf("want preset = \"...\", one of: %s; or argv = [\"/path/of/program\", ..., %q]", strings.Join(presetNames(), ", "), placeholder)}
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
		errs = append(errs, fmt.Errorf("argv: want an argument with %s in it, where the path of the file goes", placeholder))
	}
	for _, a := range slices.Concat(c.Argv[1:], c.ExtraArgs) {
		if other := otherPlaceholder.FindString(strings.ReplaceAll(a, placeholder, "")); other != "" {
			errs = append(errs, fmt.Errorf("argument %q: %s is unknown; want %s", a, other, placeholder))
		}
		if strings.ContainsRune(a, 0) {
			errs = append(errs, fmt.Errorf("argument %q has a NUL in it", a))
		}
	}
	if slices.ContainsFunc(c.ExtraArgs, hasPath) {
		errs = append(errs, fmt.Errorf("extra_args: %s has its place in argv", placeholder))
	}
	return errs
}

// checkProgram requires an absolute path or a bare name. Any other path would let the
// working directory, or the object, choose the program.
func checkProgram(key, program string) error {
	switch {
	case program == "" || strings.ContainsRune(program, 0) || hasPath(program):
		return fmt.Errorf("%s: %q is not a program", key, program)
	case strings.Contains(program, "/") && !filepath.IsAbs(program):
		return fmt.Errorf("%s: program %q: want an absolute path, or a name without a slash to be looked for in PATH", key, program)
	}
	return nil
}

func hasPath(arg string) bool { return strings.Contains(arg, placeholder) }

// nearest is the word of a list that was probably meant, or nothing.
func nearest(word string, list []string) string {
	word = strings.ToLower(word)
	best, least := "", len(word)/2+1
	for _, w := range list {
		if d := distance(word, w); d < least {
			best, least = w, d
		}
	}
	if i := slices.IndexFunc(list, func(w string) bool { return strings.Contains(w, word) }); best == "" && len(word) > 2 && i >= 0 {
		return list[i]
	}
	return best
}

// distance is the number of letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left, diagonal := i+1, row[0]
		row[0] = left
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, left, row[j+1])
			}
			diagonal, left, row[j+1] = row[j+1], d, d
		}
	}
	return row[len(b)]
}
