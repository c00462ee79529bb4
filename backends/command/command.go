// Package command scans with any program that is started for each content, takes a
// path and answers with an exit status and lines of text.
//
// The dialogue is one run of the program, without a shell, in a process group of
// its own:
//
//	-> sweep -f -mime -all -archive -ss /var/spool/polyclam/.../polyclam-X
//	<- Password protected file /var/.../polyclam-X/foo.txt    (stdout and stderr)
//	<- exit status 2
//
// The answer table of a program is its configuration: what each exit status means,
// and regular expressions for the lines. [Presets] are the tables of the known
// scanners. From a table and a run the answer is made like this:
//
//	exit status "virus", "swerr", ... that category, whatever is printed
//	exit status "?ok", "?swerr", ...  what the lines say; that category if they say nothing
//	exit status not in the table      "?swerr", and ok_regex does not help
//	a line that no key explains       swerr
//	no line that ok_regex wants       swerr instead of ok
//	killed by a signal                interrupted
//	more output than max_output       swerr
//	the file is gone or changed       suspicious: the program removed or cleaned it;
//	                                  swerr as well if other engines share the file
//
// Findings and failures are kept side by side, see [backends.Answer].
//
// When the context ends, the whole process group is killed. When the daemon dies,
// the kernel kills the program; what that has started in turn is left to the service
// manager, which kills the control group.
//
// The lines hold names of a client's choice. A forged line can add a category, never
// take one away: an exit status "?virus" is not explained by a line that says
// encrypted, and a name weakens "virus" only by name_rules or known_names. The line for
// a clean file holds the path of the staged file, which no client knows.
package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"polyclam/backends"
)

// Abilities are those of the backend; a preset's own are at [Preset.Abilities].
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true, Names: true, Version: true, DatabaseAge: true,
	Source: "each preset names its own; for other programs the site's table",
	Tested: "clamscan, clamdscan and yara: real engine; the other presets: recorded and composed bytes",
}

// Backend starts one program for each scan. Safe for concurrent use.
type Backend struct {
	name  string // for errors
	argv  []string
	env   []string
	path  string // where programs without a slash are looked for
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
		return backends.Result{}, b.wrap(ended(ctx))
	}
	program, err := lookPath(b.argv[0], b.path)
	if err != nil {
		return backends.Result{}, b.wrap(unstarted(b.argv[0], b.path, "program", err))
	}
	s, err := b.stage(ctx, o)
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	e, err := run(ctx, order{argv: s.fill(program, b.argv), env: b.env, limit: b.limit, after: s.finish})
	if err != nil {
		return backends.Result{}, b.wrap(unstarted(program, b.path, "program", err))
	}
	e.paths = s.paths
	result, err := b.table.evaluate(ctx, e)
	if err != nil {
		err = b.wrap(err)
	}
	return result, err
}

// wrap names the engine. An engine's own word is left as it is.
func (b *Backend) wrap(err error) error {
	var failure *backends.Failure
	if errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("command %s: %w", b.name, err)
}

// ended is the error of a context that is done.
func ended(ctx context.Context) error {
	done, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, done) {
		return cause
	}
	return fmt.Errorf("%w: %w", done, cause)
}

func nameOf(preset string, argv []string) string {
	if preset != "" {
		return preset
	}
	return filepath.Base(argv[0])
}

// HasSideEffects implements [backends.SideEffects].
func (b *Backend) HasSideEffects() {}
