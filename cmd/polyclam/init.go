package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/migrate"
)

func (t *tool) initCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Find clamd and other scanners, and write a configuration that replaces clamd",
		Long: `Standard error shows what was found and the steps that remain. The configuration goes
to standard output, and nothing is changed. --output writes it to a file, and
--move-clamd gives clamd a separate configuration, NAME-engine.conf next to
clamd.conf, with another socket. clamd.conf itself does not change: clamdscan and
freshclam use it to find polyclam.

Other daemons are enabled if they answer, command-line scanners only with --with.

Exit status: 0 if a configuration was written or polyclam is already in clamd's place,
2 if not.
`,
		Example: `  polyclam init
  polyclam init --output /etc/polyclam/config.toml --move-clamd`,
		Args: func(cmd *cobra.Command, args []string) error {
			return errors.Join(noArguments(cmd, args), o.check())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.init(&o) }),
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "", "write the configuration to this `file`, which must not exist yet")
	flags.BoolVar(&o.force, "force", false, "replace the file of --output, and keep the old one as FILE.bak")
	flags.BoolVar(&o.move, "move-clamd", false, "write a configuration for clamd with another socket")
	flags.StringSliceVar(&o.with, "with", nil, "enable these scanners: `name`s of presets, savdid, sophie, c-icap")
	flags.StringVar(&o.clamdConf, "clamd-conf", "", "use this clamd.conf `file`, if it is not in a usual place")
	flags.StringVar(&o.root, "root", "", "use this `directory` instead of /, for images")
	cmd.MarkFlagFilename("output", "toml")
	cmd.MarkFlagFilename("clamd-conf", "conf")
	cmd.MarkFlagDirname("root")
	cmd.RegisterFlagCompletionFunc("with", cli.CompleteOnce(func() []string { return append(presetNames(), "savdid", "sophie", "c-icap") }))
	return cmd
}

// initOptions are the flags of init.
type initOptions struct {
	output, clamdConf, root string
	force, move             bool
	with                    []string
}

func (o *initOptions) check() error {
	switch {
	case o.force && o.output == "":
		return cli.Usagef("--force without --output: there is no file to replace")
	case o.move && o.output == "":
		return cli.Usagef("--move-clamd without --output: clamd can be moved only when polyclam has a configuration")
	case o.clamdConf != "" && !filepath.IsAbs(o.clamdConf):
		return cli.Usagef("--clamd-conf %s: want an absolute path", o.clamdConf)
	}
	return nil
}

func (t *tool) init(o *initOptions) (int, error) {
	machine, err := migrate.Look(migrate.Options{Root: o.root, ClamdConf: o.clamdConf, With: o.with, Config: t.currentConfig(o)})
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
	t.note(initSummary(machine))
	for _, w := range warnings {
		t.note("warning: " + w)
	}
	for _, n := range machine.Notes() {
		t.note("not taken over: " + n)
	}
	for _, a := range machine.Advice() {
		t.note("clamd: " + a)
	}
	return t.writeInit(machine, o, text)
}

// currentConfig returns the path where polyclam's configuration may already be.
func (t *tool) currentConfig(o *initOptions) string {
	switch {
	case o.output != "":
		return o.output
	case t.config != "":
		return t.config
	}
	return filepath.Join(o.root, cli.DefaultConfig)
}

// initAgain handles a machine that polyclam already runs on: only clamd may still have to
// be moved.
func (t *tool) initAgain(machine *migrate.Machine, o *initOptions, why string) (int, error) {
	t.note(why + ". Nothing was written; use --output FILE --force to write it again.")
	if !o.move {
		return exitOK, nil
	}
	done, err := machine.MoveClamd()
	if err != nil {
		return 0, err
	}
	t.note(done)
	return exitOK, nil
}

func (t *tool) writeInit(machine *migrate.Machine, o *initOptions, text string) (int, error) {
	if o.output == "" {
		t.note("")
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
		t.note(o.output + " is already up to date")
	case err != nil:
		return 0, err
	case backup != "":
		t.note(o.output + " is written; the old one is " + backup)
	default:
		t.note(o.output + " is written")
	}
	if o.move {
		done, err := machine.MoveClamd()
		if err != nil {
			return 0, fmt.Errorf("clamd is not moved: %w", err)
		}
		t.note(done)
	}
	t.note("")
	t.showSteps(machine, migrate.StepsOptions{Output: o.output, Moved: o.move})
	return exitOK, nil
}

// note prints a text on stderr: stdout is for the configuration.
func (t *tool) note(text string) { printLines(t.stderr, text) }

func (t *tool) showFound(machine *migrate.Machine) {
	tab := newTable("FOUND", "WHERE", "WHAT IT MEANS", "USED")
	for _, r := range machine.Rows() {
		tab.add(r.What, r.Where, r.Means, r.Used)
	}
	var b strings.Builder
	tab.write(&b, "")
	t.note(b.String())
}

func initSummary(machine *migrate.Machine) string {
	if machine.HasClamd() {
		return "polyclam replaces clamd:"
	}
	return "No clamd.conf was found; this configuration is a starting point."
}

func (t *tool) showSteps(machine *migrate.Machine, o migrate.StepsOptions) {
	t.note("Remaining steps, as root:\n\n" + strings.TrimRight(machine.Steps(o), "\n"))
}
