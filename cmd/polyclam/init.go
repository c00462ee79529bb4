package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"polyclam/cmd/internal/migrate"
)

var initCommand = command{
	name:  "init",
	short: "Look for clamd and other scanners, and write a configuration that takes clamd's place",
	long: `What was found is told on standard error, the configuration goes to standard output
and nothing is changed: --output writes it to a file, and --move-clamd gives clamd a
configuration of its own, NAME-engine.conf beside clamd.conf, with another place to
listen. clamd.conf itself stays as it is: clamdscan and freshclam find polyclam by it.
What remains to be done is told at the end.

Other engines are switched on if they answer, command-line scanners only by --with.

Exit status: 0 if a configuration was written, or polyclam is in clamd's place already,
2 if not.
`,
	prepare: func(t *tool, flags *pflag.FlagSet) func([]string) (int, error) {
		var m migration
		flags.StringVarP(&m.output, "output", "o", "", "write the configuration to this `file`, which must not exist yet")
		flags.BoolVar(&m.force, "force", false, "replace the file of --output, and keep the old one as FILE.bak")
		flags.BoolVar(&m.move, "move-clamd", false, "write clamd its own configuration, with its new place")
		flags.StringSliceVar(&m.with, "with", nil, "switch on these scanners: `name`s of presets, savdid, sophie, c-icap")
		flags.StringVar(&m.clamdConf, "clamd-conf", "", "the clamd.conf to take over, if it is not in the usual places (`file`)")
		flags.StringVar(&m.root, "root", "", "look below this `directory` as if it were /, for images")
		return func(args []string) (int, error) {
			if err := errors.Join(noArguments(args), m.check()); err != nil {
				return 0, err
			}
			return t.init(&m)
		}
	},
}

// migration is what the command line of init says.
type migration struct {
	output, clamdConf, root string
	force, move             bool
	with                    []string
}

func (m *migration) check() error {
	switch {
	case m.force && m.output == "":
		return badUsage("--force without --output: nothing would be replaced")
	case m.move && m.output == "":
		return badUsage("--move-clamd without --output: clamd is not moved before polyclam has a configuration")
	case m.clamdConf != "" && !filepath.IsAbs(m.clamdConf):
		return badUsage("--clamd-conf %s: want an absolute path", m.clamdConf)
	}
	return nil
}

func (t *tool) init(o *migration) (int, error) {
	machine, err := migrate.Look(migrate.Options{Root: o.root, ClamdConf: o.clamdConf, With: o.with, Config: t.existing(o)})
	if machine != nil {
		t.showFound(machine)
	}
	if err != nil {
		return 0, err
	}
	text, warnings, err := machine.Config()
	if err != nil {
		return 0, err
	}
	if why := machine.Migrated(); why != "" && !o.force {
		return t.initAgain(machine, o, why)
	}
	t.tell(initSummary(machine))
	for _, w := range warnings {
		t.tell("warning: " + w)
	}
	for _, n := range machine.Notes() {
		t.tell("not taken over: " + n)
	}
	for _, a := range machine.Advice() {
		t.tell("clamd: " + a)
	}
	return t.writeInit(machine, o, text)
}

// existing is where polyclam's configuration may be already.
func (t *tool) existing(o *migration) string {
	switch {
	case o.output != "":
		return o.output
	case t.config != "":
		return t.config
	}
	return filepath.Join(o.root, defaultConfig)
}

// initAgain is for a machine that polyclam is on already: only clamd may still
// have to be moved.
func (t *tool) initAgain(machine *migrate.Machine, o *migration, why string) (int, error) {
	t.tell(why + ". Nothing is written; --output FILE --force writes it anew.")
	if !o.move {
		return exitOK, nil
	}
	done, err := machine.MoveClamd()
	if err != nil {
		return 0, err
	}
	t.tell(done)
	return exitOK, nil
}

func (t *tool) writeInit(machine *migrate.Machine, o *migration, text string) (int, error) {
	if o.output == "" {
		t.tell("")
		t.showSteps(machine, migrate.StepsOptions{})
		return exitOK, t.write(text)
	}
	if err := os.MkdirAll(filepath.Dir(o.output), 0o755); err != nil {
		return 0, err
	}
	backup, err := migrate.WriteFile(o.output, []byte(text), migrate.Plain, o.force)
	switch {
	case errors.Is(err, fs.ErrExist):
		return 0, fmt.Errorf("%s exists; --force replaces it and keeps the old one", o.output)
	case errors.Is(err, migrate.ErrSame):
		t.tell(o.output + " is as it should be already")
	case err != nil:
		return 0, err
	case backup != "":
		t.tell(o.output + " is written; the old one is " + backup)
	default:
		t.tell(o.output + " is written")
	}
	if o.move {
		done, err := machine.MoveClamd()
		if err != nil {
			return 0, fmt.Errorf("clamd is not moved: %w", err)
		}
		t.tell(done)
	}
	t.tell("")
	t.showSteps(machine, migrate.StepsOptions{Output: o.output, Moved: o.move})
	return exitOK, nil
}

// tell prints a text on standard error: standard output is for the configuration.
func (t *tool) tell(text string) { printLines(t.stderr, text) }

func (t *tool) showFound(machine *migrate.Machine) {
	tab := newTable("FOUND", "WHERE", "WHAT IT MEANS", "USED")
	for _, r := range machine.Rows() {
		tab.add(r.What, r.Where, r.Means, r.Used)
	}
	var b strings.Builder
	tab.write(&b, "")
	t.tell(b.String())
}

func initSummary(machine *migrate.Machine) string {
	if machine.HasClamd() {
		return "polyclam takes clamd's place:"
	}
	return "No clamd.conf was found; this is a configuration to begin with."
}

func (t *tool) showSteps(machine *migrate.Machine, o migrate.StepsOptions) {
	t.tell("What remains to be done, as root:\n\n" + strings.TrimRight(machine.Steps(o), "\n"))
}
