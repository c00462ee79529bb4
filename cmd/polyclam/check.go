package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/backends/registry"
	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/protocol/extended"
)

func (t *tool) checkCommand() *cobra.Command {
	var o trialOptions
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration and test every engine in it",
		Long: `All mistakes in the file are reported together. If there are none, this tool tests
every node of every engine, with the rights of its own user: run it as polyclamd's user.
Each node scans a clean text, the EICAR test file, an encrypted archive, archives that
contain EICAR beside an encrypted file or too deeply nested, and an archive of max_size
bytes. SCANS UP TO is the largest object in which the engine found EICAR. REPORTS is
what the engine reported for the test files, CAN REPORT what its backend can report at
most. If polyclamd is running with these engines, the nodes that it does not use are
listed.

Exit status, the first that applies:

	2  the configuration is wrong
	1  an engine cannot distinguish the clean text from the test file, or the
	   running polyclamd does not use it
	4  an engine reports ok for something that it did not scan
	0  all engines are good
`,
		Example: `  polyclam check
  polyclam check --size-check=false new.toml`,
		Args: func(_ *cobra.Command, args []string) error { return t.checkArgs(o, args) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: t.exiting(func(args []string) (int, error) {
			if len(args) == 1 {
				t.config = args[0]
			}
			return t.check(o)
		}),
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long an engine may take for one object")
	flags.BoolVar(&o.sizes, "size-check", true, "test with an archive of max_size bytes, and smaller ones if it is not scanned; clamd takes a second for 300 MiB")
	cmd.RegisterFlagCompletionFunc("timeout", cobra.NoFileCompletions)
	return cmd
}

func (t *tool) checkArgs(o trialOptions, args []string) error {
	switch {
	case len(args) > 1:
		return cli.Usagef("unexpected argument %q", args[1])
	case len(args) == 1 && t.config != "":
		return cli.Usagef("the configuration is given twice, by --config and as %q", args[0])
	case o.timeout <= 0:
		return cli.Usagef("--timeout %v: want a duration above zero, as in \"30s\"", o.timeout)
	}
	return nil
}

func (t *tool) check(o trialOptions) (int, error) {
	file, err := cli.Load(t.config)
	if err != nil {
		return 0, err
	}
	for _, w := range file.Warnings {
		printLines(t.stderr, "warning: "+w.String())
	}
	trials, err := tryAll(file, o, func(text string) { printLines(t.stderr, "warning: "+text) })
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file.Name, err)
	}
	return t.showTrials(file, trials)
}

func (t *tool) showTrials(file *config.File, trials []trial) (int, error) {
	var b strings.Builder
	b.WriteString(printable(file.Name) + ": ok\n\n")
	tab := newTable("ENGINE", "BACKEND", "NODE", "CLEAN", "EICAR", "ENCRYPTED", "SCANS UP TO", "TIME", "REPORTS", "CAN REPORT", "VERSION")
	status := exitOK
	for i := range trials {
		tr := &trials[i]
		status = worse(status, tr.exit())
		tab.add(tr.engine, tr.backend, tr.node, tr.answers[sampleClean].word(), tr.answers[sampleEICAR].word(),
			tr.answers[sampleEncrypted].word(), tr.size.cell(), seconds(tr.slowest().Seconds()), tr.reports(), canReport(tr.backend), tr.version)
	}
	tab.write(&b, "")
	unused := t.unused(trials)
	if len(unused) > 0 {
		status = worse(status, exitFound)
	}
	for _, h := range append(hints(trials), unused...) {
		b.WriteString("\n" + printable(h) + "\n")
	}
	return status, t.write(b.String())
}

// unused lists the nodes that the running polyclamd does not use, with its reasons: it
// detects loops, and its user may lack permissions that this one has. If no polyclamd runs,
// the list is empty.
func (t *tool) unused(trials []trial) (out []string) {
	var records []extended.Record
	s, err := t.reach("polyclamd", func(ctx context.Context, s *server) (err error) {
		records, err = s.client.XStatus(ctx)
		return err
	})
	if err != nil {
		return nil
	}
	for _, n := range readStatus(records).Nodes {
		known := slices.ContainsFunc(trials, func(tr trial) bool { return tr.engine == n.Engine && tr.node == n.Address })
		if known && !n.healthy() {
			out = append(out, fmt.Sprintf("%s: the polyclamd at %s does not use it: it is %s: %s", n.name(), s, n.State, n.reason()))
		}
	}
	return out
}

// canReport lists the categories that a backend can report, from the table in the
// documentation.
func canReport(backend string) string {
	row, _ := registry.Lookup(backend)
	var out []string
	for _, c := range row.Abilities.Categories() {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}
