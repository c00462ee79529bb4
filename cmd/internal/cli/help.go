package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help returns the text for --help.
func help(cmd *cobra.Command) string {
	var b strings.Builder
	if !cmd.HasParent() {
		b.WriteString(cmd.Long + "\n\n")
	}
	fmt.Fprintf(&b, "Usage: %s\n", UsageLine(cmd))
	if cmd.HasParent() {
		fmt.Fprintf(&b, "\n%s.\n", strings.TrimSuffix(cmd.Short, "."))
		if cmd.Long != "" {
			b.WriteString("\n" + strings.ReplaceAll(strings.TrimSpace(cmd.Long), "\n\t", "\n  ") + "\n")
		}
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-12s%s\n", c.Name(), c.Short)
			}
		}
		fmt.Fprintf(&b, "\n\"%s COMMAND --help\" describes a command.\n", cmd.CommandPath())
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + strings.Trim(cmd.Example, "\n") + "\n")
	}
	writeFlags(&b, "Flags", cmd.LocalFlags())
	writeFlags(&b, "Global flags", cmd.InheritedFlags())
	return b.String()
}

// UsageLine returns the synopsis of cmd, with "[flags]" before its arguments.
func UsageLine(cmd *cobra.Command) string {
	_, arguments, _ := strings.Cut(cmd.Use, " ")
	return strings.TrimSpace(cmd.CommandPath() + " [flags] " + arguments)
}

func writeFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	for _, f := range Flags(flags) {
		fmt.Fprintf(w, "  %s\t%s\n", f.Form, f.Usage)
	}
	w.Flush()
}

// Flag describes a flag.
type Flag struct {
	Form  string // "-j, --jobs number", or "    --json"
	Usage string
}

// Flags describes the flags, in their order.
func Flags(flags *pflag.FlagSet) []Flag {
	var out []Flag
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		form := "    --" + f.Name
		if f.Shorthand != "" {
			form = "-" + f.Shorthand + ", --" + f.Name
		}
		if f.Value.Type() != "bool" {
			form += " " + value
		}
		switch f.DefValue {
		case "", "false", "[]":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		out = append(out, Flag{form, usage})
	})
	return out
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Describe a command",
		ValidArgsFunction: CompleteOnce(func() []string { return CommandNames(root) }),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return Unknown("command", strings.Join(args, " "), CommandNames(root))
			}
			return cmd.Help()
		},
	}
}

// CommandNames returns the names of the commands below root.
func CommandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}
