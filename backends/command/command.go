// Package command scans with any program that takes a path and answers with an exit
// status and lines of text. The program is started once per object, without a shell, in
// its own process group:
//
//	-> sweep -f -mime -all -archive -ss /var/spool/polyclam/.../polyclam-X
//	<- Password protected file /var/.../polyclam-X/foo.txt    (stdout and stderr)
//	<- exit status 2
//
// The answer table is part of the configuration: the meaning of each exit status, and
// regular expressions for lines of output. [Presets] are the tables of known scanners.
//
// # Exit statuses
//
//	exit status "virus", "swerr", ... that category, whatever the output
//	exit status "?ok", "?swerr", ...  what the lines mean; that category if they mean nothing
//	exit status not in the table      "?swerr", even if ok_regex matches
//	killed by a signal                interrupted
//
// A status in the mask is the sum of its bits; all of them count.
//
// # Lines
//
// Each line of output is matched against the *_regex keys; several may match:
//
//	virus_regex, suspicious_regex     a finding, named by the first group that matches
//	virus_flag_regex                  a virus without a name
//	encrypted_regex, partial_regex    that category
//	error_regex, cannot_execute_regex swerr, cannot-execute
//	ok_regex                          whole lines; without a match nothing is ok
//	ignore_regex                      whole lines that mean nothing
//	a line that no key explains       swerr
//	more output than max_output       swerr
//
// If the file is missing or changed after the run, the program removed or cleaned it, so
// the object is suspicious. If other engines share the file, it is also swerr. Findings
// and failures are reported side by side, see [backends.Answer].
//
// # Processes and forged lines
//
// When the context ends, the whole process group is killed. When the daemon dies, the
// kernel kills the program, and the service manager kills its children with the control
// group.
//
// Lines may contain names that a client chose. A forged line can add a category but never
// remove one: a line that means encrypted does not explain an exit status "?virus", and a
// name weakens a virus only through name_rules or known_names. The line for a clean file
// contains the path of the staged file, which no client knows.
package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
)

// Abilities says what the backend can report. For a preset, see [Preset.Abilities].
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true, Names: true, Version: true, DatabaseAge: true,
	Source: "each preset names its own; for other programs the site's table",
	Tested: "clamscan, clamdscan and yara: real engine; the other presets: recorded and composed bytes",
}

// Backend runs one program per scan. It is safe for concurrent use.
type Backend struct {
	name  string // for errors
	argv  []string
	env   []string
	path  string // PATH for programs without a slash
	per   string
	copy  string
	limit int // bytes of output kept
	table *table
}

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, b.wrap(ended.Context(ctx))
	}
	program, err := lookPath(b.argv[0], b.path)
	if err != nil {
		return backends.Result{}, b.wrap(newStartError(b.argv[0], b.path, "program", err))
	}
	s, err := b.stage(ctx, o)
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	e, err := run(ctx, job{argv: s.fill(program, b.argv), env: b.env, limit: b.limit, after: s.finish})
	if err != nil {
		return backends.Result{}, b.wrap(newStartError(program, b.path, "program", err))
	}
	e.paths = s.paths
	result, err := b.table.evaluate(ctx, e)
	if err != nil {
		err = b.wrap(err)
	}
	return result, err
}

// wrap adds the name of the engine, unless the error is a failure of the program, which
// has it.
func (b *Backend) wrap(err error) error {
	var failure *backends.Failure
	if errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("command %s: %w", b.name, err)
}

func nameOf(preset string, argv []string) string {
	if preset != "" {
		return preset
	}
	return filepath.Base(argv[0])
}

// HasSideEffects implements [backends.SideEffects].
func (b *Backend) HasSideEffects() {}
