package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"polyclam/backends"
	"polyclam/backends/registry"
	"polyclam/cmd/internal/config"
)

var checkCommand = command{
	name:  "check",
	args:  "[FILE]",
	short: "Check a configuration, and try each of its engines",
	long: `Everything that is wrong with the file is told at once. If nothing is, every node
of every engine is given a clean text, the EICAR test file and an encrypted archive,
by this tool itself and with the rights of whoever runs it: run it as polyclamd's
user. A running polyclamd is not asked. TELLS is what the test files gave, CAN TELL
what engines of this kind can tell at all.

Exit status: 0 if all engines tell the clean text from the test file, 1 if one does
not, 2 if the configuration is wrong.
`,
	prepare: func(t *tool, flags *pflag.FlagSet) func([]string) (int, error) {
		timeout := flags.Duration("timeout", 30*time.Second, "how long an engine may take for one answer")
		return func(args []string) (int, error) {
			switch {
			case len(args) > 1:
				return 0, badUsage("unexpected argument %q", args[1])
			case len(args) == 1 && t.config != "":
				return 0, badUsage("the configuration is given twice, by --config and as %q", args[0])
			case *timeout <= 0:
				return 0, badUsage("--timeout %v: want a duration above zero, as in \"30s\"", *timeout)
			case len(args) == 1:
				t.config = args[0]
			}
			return t.check(*timeout)
		}
	},
}

func (t *tool) check(timeout time.Duration) (int, error) {
	file, err := t.load()
	if err != nil {
		return 0, err
	}
	for _, w := range file.Warnings {
		printLines(t.stderr, "warning: "+w.String())
	}
	trials, err := tryAll(file, timeout, func(text string) { printLines(t.stderr, "warning: "+text) })
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file.Name, err)
	}
	return t.showTrials(file, trials)
}

func (t *tool) showTrials(file *config.File, trials []trial) (int, error) {
	var b strings.Builder
	b.WriteString(printable(file.Name) + ": ok\n\n")
	tab := newTable("ENGINE", "BACKEND", "NODE", "CLEAN", "EICAR", "ENCRYPTED", "TIME", "TELLS", "CAN TELL", "VERSION")
	status := exitOK
	for i := range trials {
		tr := &trials[i]
		if !tr.usable() {
			status = exitFound
		}
		tab.add(tr.engine, tr.backend, tr.node, tr.answers[sampleClean].word(), tr.answers[sampleEICAR].word(),
			tr.answers[sampleEncrypted].word(), seconds(tr.slowest().Seconds()), tr.conclusion(), canTell(tr.backend), tr.version)
	}
	tab.write(&b, "")
	for _, h := range hints(trials) {
		b.WriteString("\n" + printable(h) + "\n")
	}
	return status, t.write(b.String())
}

// canTell lists what a kind of engine can tell by the manual's table.
func canTell(backend string) string {
	a := registry.Abilities[backend]
	var out []string
	for _, row := range []struct {
		can  bool
		what backends.Category
	}{{a.Virus, backends.Virus}, {a.Suspicious, backends.Suspicious}, {a.Encrypted, backends.Encrypted}, {a.Partial, backends.Partial}} {
		if row.can {
			out = append(out, string(row.what))
		}
	}
	return strings.Join(out, ", ")
}
