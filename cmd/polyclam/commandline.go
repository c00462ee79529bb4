package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
)

// newCommand returns the command line. The commands leave their exit status in t.exit.
func (t *tool) newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "polyclam COMMAND ...",
		Short: "scan files with polyclamd, show its state, check its configuration",
		Long:  "polyclam scans files with polyclamd, shows its state, and checks and writes its\nconfiguration. It also works with any other server that speaks clamd's protocol.",
		Args:  requireCommand,
		RunE:  func(*cobra.Command, []string) error { return nil }, // never called, but makes cobra ask requireCommand
	}
	root.Flags().SetInterspersed(false)
	flags := root.PersistentFlags()
	flags.StringVar(&t.address, "address", "", "`address` of the server, unix:/path, tcp:host:port or tls:host:port (default: the listeners of the configuration)")
	flags.StringVar(&t.config, "config", "", "polyclamd's configuration `file` (default: "+cli.DefaultConfig+", or the embedded default if that does not exist)")
	flags.StringVar(&t.tls.CA, "ca", "", "with a tls: address, the PEM `file` of the authority that signed the server's certificate (default: the system's)")
	flags.StringVar(&t.tls.Certificate, "certificate", "", "with a tls: address, a PEM `file` with a certificate for a server that requires one")
	flags.StringVar(&t.tls.Key, "key", "", "with a tls: address, the PEM `file` with the key of --certificate")
	flags.StringVar(&t.tls.ServerName, "server-name", "", "with a tls: address, the `name` in the server's certificate (default: the host of the address)")
	root.RegisterFlagCompletionFunc("address", cobra.FixedCompletions([]string{"unix:/", "tcp:", "tls:"}, cobra.ShellCompDirectiveNoSpace))
	root.AddCommand(t.scanCommand(), t.pingCommand(), t.statusCommand(), t.checkCommand(),
		t.nodeCommand(), t.engineCommand(), t.logCommand(), t.reloadCommand(), t.healthCommand(), t.cacheCommand(), t.whyCommand(), t.topCommand(),
		t.presetsCommand(), t.profilesCommand(), t.policyCommand(), t.initCommand(), t.versionCommand())
	return root
}

// requireCommand rejects the arguments of the root command, which has none: they name no
// command.
func requireCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("no command; want one of %s", strings.Join(cli.CommandNames(root), ", "))
	}
	names := cli.CommandNames(root)
	if slices.Contains(names, args[0]) { // cobra looks for no command after "--"
		return cli.Usagef("the command %q comes after \"--\"; leave that out", args[0])
	}
	return cli.Unknown("command", args[0], names)
}

// noArguments rejects arguments.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("unexpected argument %q", args[0])
	}
	return nil
}

// exiting makes run the body of a command: it returns the exit status.
func (t *tool) exiting(run func(args []string) (int, error)) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) (err error) {
		t.exit, err = run(args)
		return err
	}
}
