package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/backends/registry"
	"polyclam/cmd/internal/cli"
)

func (t *tool) checkCommand() *cobra.Command {
	var o trialOptions
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration and test every engine in it",
		Long: `All mistakes in the file are reported together. If there are none, this tool tests
every node of every engine, with the rights of the user who runs it. It also asks the
running polyclamd, whose user may have other rights, and says where the two differ. Each node
scans a clean text, the EICAR test file, an encrypted archive, archives that
contain EICAR beside an encrypted file or too deeply nested, and an archive of max_size
bytes. SCANS UP TO is the largest object in which the engine found EICAR. REPORTS is
what the engine reported for the test files, CAN REPORT what its backend can report at
most. POLYCLAMD is the state of the node in the running polyclamd.

Below the table, check lists what else is wrong and what to do about it: engines that ask
polyclamd itself, old signatures, clients on this machine whose listener has another
profile or whose files polyclamd cannot read, the spool directory, memory, and settings in
clamd.conf that do not fit.

Exit status, the first that applies:

	2  the configuration is wrong
	1  an engine cannot distinguish the clean text from the test file, the running
	   polyclamd does not use it, its signatures are old, or polyclamd's user
	   lacks rights that it needs
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
	o.waiting = startWaiting(t.stderr, o.timeout)
	defer o.waiting.close()
	trials, err := tryAll(file, o, func(text string) { printLines(t.stderr, "warning: "+text) })
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file.Name, err)
	}
	o.waiting.begin("polyclamd", "its status")
	in := t.inspect(file, o)
	o.waiting.close()
	return t.showTrials(in, trials)
}

func (t *tool) showTrials(in *inspection, trials []trial) (int, error) {
	var b strings.Builder
	b.WriteString(printable(in.file.Name) + ": ok\n\n")
	header := []string{"ENGINE", "BACKEND", "NODE", "CLEAN", "EICAR", "ENCRYPTED", "SCANS UP TO", "TIME", "REPORTS", "CAN REPORT", "VERSION"}
	if in.daemon != nil {
		header = append(header, "POLYCLAMD")
	}
	tab := newTable(header...)
	status := exitOK
	for i := range trials {
		tr := &trials[i]
		status = worse(status, in.exitOf(tr))
		row := []string{tr.engine, tr.backend, tr.node, tr.answers[sampleClean].word(), tr.answers[sampleEICAR].word(),
			tr.answers[sampleEncrypted].word(), tr.size.cell(), seconds(tr.slowest().Seconds()), tr.reports(), canReport(tr.backend), tr.version}
		if in.daemon != nil {
			state := ""
			if n := in.node(tr); n != nil {
				state = n.cell()
			}
			row = append(row, state)
		}
		tab.add(row...)
	}
	tab.write(&b, "")
	for _, h := range hints(trials) {
		b.WriteString("\n" + printable(h) + "\n")
	}
	for _, f := range in.findings(trials) {
		status = worse(status, f.exit)
		b.WriteString("\n" + printable(f.text) + "\n")
	}
	return status, t.write(b.String())
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
