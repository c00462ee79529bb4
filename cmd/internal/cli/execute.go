package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"polyclam/cmd/internal/suggest"
)

// Prepare adds the flag --help to root, and the commands help and completion if root has
// commands. They print to stdout.
func Prepare(root *cobra.Command, stdout io.Writer) {
	cobra.EnableCommandSorting = false // in the order in which they were added
	root.SilenceErrors, root.SilenceUsage = true, true
	root.TraverseChildren = true // a flag of a command comes after its name
	if root.HasSubCommands() {
		root.SetHelpCommand(helpCommand(root))
		root.AddCommand(completionCommand(root, stdout))
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	root.PersistentFlags().SortFlags = false
	for _, c := range append(root.Commands(), root) {
		c.Flags().SortFlags = false
	}
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { io.WriteString(stdout, help(cmd)) })
	root.SetOut(stdout)
	root.SetErr(io.Discard)
}

// Execute runs root, or the subcommand that args name. Help goes to stdout. Every error
// before the command runs is a usage error. A root without subcommands still prints
// completion scripts, if "completion" is the first argument.
func Execute(root *cobra.Command, args []string, stdout io.Writer) error {
	Prepare(root, stdout)
	if !root.HasSubCommands() && len(args) > 0 && args[0] == "completion" {
		root.AddCommand(completionCommand(root, stdout))
	}
	running := false
	root.PersistentPreRun = func(*cobra.Command, []string) { running = true }
	root.SetArgs(append([]string{}, args...))
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		unquoteUsages(root)
	}
	cmd, err := root.ExecuteC()
	if err == nil || running || IsUsage(err) {
		return err
	}
	if cmd == nil {
		cmd = root
	}
	return usageError{flagError(cmd, err)}
}

// flagError rewords an error of pflag for the user.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var valueless *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &missing):
		return unknownFlag(cmd, missing)
	case errors.As(err, &valueless):
		return fmt.Errorf("--%s needs a value", valueless.GetFlag().Name)
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		return fmt.Errorf("--%s %q: want %s", flag.Name, invalid.GetValue(), wanted(flag.Value.Type()))
	}
	return err
}

func unknownFlag(cmd *cobra.Command, err *pflag.NotExistError) error {
	name := err.GetSpecifiedName()
	switch letters := err.GetSpecifiedShortnames(); letters {
	case "":
	case name:
		return fmt.Errorf("unknown flag: -%s", name)
	default:
		return fmt.Errorf("unknown flag: -%s in -%s", name, letters)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := suggest.Nearest(name, names); near != "" {
		return fmt.Errorf("unknown flag: --%s; did you mean --%s?", name, near)
	}
	return fmt.Errorf("unknown flag: --%s", name)
}

// wanted describes the values of a flag's type.
func wanted(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "duration":
		return `a duration such as "30s"`
	case "bool":
		return "true or false"
	}
	return "a " + kind
}
