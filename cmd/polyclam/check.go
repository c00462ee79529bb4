package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"polyclam/backends/registry"
	"polyclam/cmd/internal/config"
	"polyclam/protocol/extended"
)

var checkCommand = command{
	name:  "check",
	args:  "[FILE]",
	short: "Check a configuration, and try each of its engines",
	long: `Everything that is wrong with the file is reported together. If nothing is, every
node of every engine is tried by this tool itself and with the rights of the user
who runs it: run it as polyclamd's user. It is given a clean text, the EICAR test
file, an encrypted archive, archives in which EICAR is beside something encrypted or
nested too deep, and an archive of max_size bytes. SCANS UP TO is the largest object
in which the engine found EICAR. TELLS is what the test files gave, CAN TELL what
engines of this kind can report at all. If polyclamd runs with these engines, it is
asked which of them it does not use.

Exit status, the first that applies:
  2  the configuration is wrong
  1  an engine does not distinguish the clean text from the test file, or the
     running polyclamd does not use it
  4  an engine says ok to something that it did not scan
  0  all engines are good
`,
	prepare: func(t *tool, flags *pflag.FlagSet) func([]string) (int, error) {
		var o trialOptions
		flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long an engine may take for one answer")
		flags.BoolVar(&o.sizes, "size-check", true, "try an archive of max_size bytes, and smaller ones if it is not scanned; clamd takes a second for 300 MiB")
		return func(args []string) (int, error) {
			switch {
			case len(args) > 1:
				return 0, badUsage("unexpected argument %q", args[1])
			case len(args) == 1 && t.config != "":
				return 0, badUsage("the configuration is given twice, by --config and as %q", args[0])
			case o.timeout <= 0:
				return 0, badUsage("--timeout %v: want a duration above zero, as in \"30s\"", o.timeout)
			case len(args) == 1:
				t.config = args[0]
			}
			return t.check(o)
		}
	},
}

func (t *tool) check(o trialOptions) (int, error) {
	file, err := t.load()
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
	tab := newTable("ENGINE", "BACKEND", "NODE", "CLEAN", "EICAR", "ENCRYPTED", "SCANS UP TO", "TIME", "TELLS", "CAN TELL", "VERSION")
	status := exitOK
	for i := range trials {
		tr := &trials[i]
		status = worse(status, tr.exit())
		tab.add(tr.engine, tr.backend, tr.node, tr.answers[sampleClean].word(), tr.answers[sampleEICAR].word(),
			tr.answers[sampleEncrypted].word(), tr.size.column(), seconds(tr.slowest().Seconds()), tr.conclusion(), canTell(tr.backend), tr.version)
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

// unused says which of the nodes the running polyclamd does not use, and why: it
// knows of loops, and its user may lack a right that ours has. Where none runs there
// is nothing to say.
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
			out = append(out, fmt.Sprintf("%s: the polyclamd at %s does not use it: it is %s: %s", n.name(), s, n.State, n.why()))
		}
	}
	return out
}

// canTell lists the categories that a kind of engine reports, by the manual's table.
func canTell(backend string) string {
	row, _ := registry.Lookup(backend)
	var out []string
	for _, c := range row.Abilities.Categories() {
		out = append(out, string(c))
	}
	return strings.Join(out, ", ")
}
