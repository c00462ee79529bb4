package main

import (
	"cmp"
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

--steps and --undo write two shell scripts for machines with systemd. Run as root, the
first does everything that remains: it tries polyclam as its own user on a spare
socket, gives it clamd's addresses and restarts clamd at the new one. It stops at the
first failure, with clamd or polyclam answering, and can be run again. The second goes
back to clamd alone from any state, and removes what init and the first script wrote.

Other daemons are enabled if they answer, command-line scanners only with --with.
Programs whose configuration names clamd's address count as its clients if their units
are enabled or active, or with --client.

Exit status: 0 if a configuration was written or polyclam is already in clamd's place,
2 if not.
`,
		Example: `  polyclam init
  polyclam init --output /etc/polyclam/config.toml --move-clamd --steps /root/polyclam-steps --undo /root/polyclam-undo`,
		Args: func(cmd *cobra.Command, args []string) error {
			return errors.Join(noArguments(cmd, args), o.check())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.init(&o) }),
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.output, "output", "o", "", "write the configuration to this `file`, which must not exist yet")
	flags.BoolVar(&o.force, "force", false, "replace files that exist, and keep the old ones as FILE.bak")
	flags.BoolVar(&o.move, "move-clamd", false, "write a configuration for clamd with another socket")
	flags.StringVar(&o.steps, "steps", "", "write the remaining steps as a shell script to this `file`")
	flags.StringVar(&o.undo, "undo", "", "write the way back as a shell script to this `file`")
	flags.StringSliceVar(&o.with, "with", nil, "enable these scanners: `name`s of presets, savdid, sophie, c-icap")
	flags.StringSliceVar(&o.clients, "client", nil, "take these programs for clients although their units are neither enabled nor active: `name`s")
	flags.StringVar(&o.clamdConf, "clamd-conf", "", "use this clamd.conf `file`, if it is not in a usual place")
	flags.StringVar(&o.root, "root", "", "use this `directory` instead of /, for images")
	cmd.MarkFlagFilename("output", "toml")
	cmd.MarkFlagFilename("clamd-conf", "conf")
	cmd.MarkFlagDirname("root")
	cmd.RegisterFlagCompletionFunc("with", cli.CompleteOnce(func() []string { return append(presetNames(), "savdid", "sophie", "c-icap") }))
	cmd.RegisterFlagCompletionFunc("client", cli.CompleteOnce(migrate.ClientNames))
	return cmd
}

// initOptions are the flags of init.
type initOptions struct {
	output, clamdConf, root string
	steps, undo             string
	force, move             bool
	with, clients           []string
}

func (o *initOptions) check() error {
	switch {
	case o.force && o.output == "":
		return cli.Usagef("--force without --output: there is no file to replace")
	case o.move && o.output == "":
		return cli.Usagef("--move-clamd without --output: clamd can be moved only when polyclam has a configuration")
	case (o.steps == "") != (o.undo == ""):
		return cli.Usagef("--steps and --undo belong together: do not take the steps without a way back")
	case o.steps != "" && !o.move:
		return cli.Usagef("--steps without --move-clamd: the steps start clamd with the configuration that --move-clamd writes")
	case o.steps != "" && filepath.Clean(o.steps) == filepath.Clean(o.undo):
		return cli.Usagef("--steps and --undo are the same file")
	case o.steps != "" && filepath.Clean(o.output) != filepath.Join(cmp.Or(o.root, "/"), cli.DefaultConfig):
		return cli.Usagef("--steps with --output %s: the service reads %s", o.output, cli.DefaultConfig)
	case o.clamdConf != "" && !filepath.IsAbs(o.clamdConf):
		return cli.Usagef("--clamd-conf %s: want an absolute path", o.clamdConf)
	}
	return nil
}

func (t *tool) init(o *initOptions) (int, error) {
	machine, err := migrate.Look(migrate.Options{Root: o.root, ClamdConf: o.clamdConf, With: o.with, Clients: o.clients, Config: t.currentConfig(o)})
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
	if err := checkScripts(machine, o); err != nil {
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
	for _, h := range machine.Hints() {
		t.note("clients: " + h)
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
	t.note(why + ". The configuration stays as it is; --output FILE --force writes it again.")
	if !o.move {
		return exitOK, nil
	}
	done, err := machine.MoveClamd()
	if err != nil {
		return 0, err
	}
	t.note(done)
	if o.steps == "" {
		return exitOK, nil
	}
	text, _, err := machine.Config()
	if err != nil {
		return 0, err
	}
	if err := t.writeScripts(machine, o, text); err != nil {
		return 0, err
	}
	t.note("")
	t.showSteps(machine, migrate.StepsOptions{Output: o.output, Moved: true, Steps: o.steps, Undo: o.undo})
	return exitOK, nil
}

// checkScripts reports what would keep the scripts from being written, before anything
// is written.
func checkScripts(machine *migrate.Machine, o *initOptions) error {
	if o.steps == "" {
		return nil
	}
	if err := machine.PlanScripts(); err != nil {
		return fmt.Errorf("--steps: %w", err)
	}
	for _, file := range []string{o.steps, o.undo} {
		if _, err := os.Lstat(file); err == nil && !o.force {
			return fmt.Errorf("%s exists; --force replaces it and keeps the old one", file)
		}
	}
	return nil
}

// writeScripts writes the steps and the way back, the latter first.
func (t *tool) writeScripts(machine *migrate.Machine, o *initOptions, config string) error {
	undoPath, err := filepath.Abs(o.undo)
	if err != nil {
		return err
	}
	steps, undo, err := machine.Scripts(migrate.ScriptOptions{Output: cli.DefaultConfig, Config: config, Undo: undoPath})
	if err != nil {
		return err
	}
	for _, s := range []struct {
		path string
		text []byte
	}{{o.undo, undo}, {o.steps, steps}} {
		backup, err := migrate.WriteFile(s.path, s.text, migrate.Access{Mode: 0o700, UID: -1, GID: -1}, o.force)
		switch {
		case errors.Is(err, migrate.ErrSame):
			t.note(s.path + " is already up to date")
		case err != nil:
			return err
		case backup != "":
			t.note(s.path + " is written; the old one is " + backup)
		default:
			t.note(s.path + " is written")
		}
	}
	return nil
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
	if o.steps != "" {
		if err := t.writeScripts(machine, o, text); err != nil {
			return 0, err
		}
	}
	t.note("")
	t.showSteps(machine, migrate.StepsOptions{Output: o.output, Moved: o.move, Steps: o.steps, Undo: o.undo})
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
		return "What polyclam would do: " + machine.Summary()
	}
	return "No clamd.conf was found; this configuration is a starting point."
}

func (t *tool) showSteps(machine *migrate.Machine, o migrate.StepsOptions) {
	t.note("Remaining steps, as root:\n\n" + strings.TrimRight(machine.Steps(o), "\n"))
}
