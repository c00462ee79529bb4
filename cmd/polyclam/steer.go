package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/suggest"
	"polyclam/proxy/engine"
	"polyclam/proxy/ops/judge"
)

// steerOptions are the flags of the commands that steer.
type steerOptions struct {
	json  bool
	force bool
}

// steerHelp is a part of the help of these commands.
const steerHelp = `Exit status: 0 if it was done, 1 if polyclamd refuses it, 2 if polyclamd cannot be
asked.
`

// steerCommand completes a command that talks to the admin socket.
func (t *tool) steerCommand(cmd *cobra.Command, o *steerOptions, run func(args []string) (int, error)) *cobra.Command {
	t.adminFlag(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the answer as one JSON object")
	cmd.RunE = t.exiting(func(args []string) (int, error) {
		status, err := run(args)
		var refused *refusedError
		if errors.As(err, &refused) {
			text := refused.Text
			if refused.Force {
				text = strings.TrimSuffix(text, "; with force it is done nevertheless") + "; --force does it nevertheless"
			}
			t.printMessage(text)
			return exitFound, nil
		}
		return status, err
	})
	return cmd
}

// wantArguments checks the number of arguments, and that the first is one of words. names are
// what the arguments are called.
func wantArguments(least int, words []string, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return cli.Usagef("unexpected argument %q", args[len(names)])
		case len(args) > 0 && words != nil && !slices.Contains(words, args[0]):
			return cli.Unknown(names[0], args[0], words)
		case len(args) < least && words != nil && len(args) == 0:
			return cli.Usagef("no %s; want one of %s", names[0], strings.Join(words, ", "))
		case len(args) < least:
			return cli.Usagef("no %s", names[len(args)])
		}
		return nil
	}
}

var nodeActions = []string{"drain", "resume"}

func (t *tool) nodeCommand() *cobra.Command {
	var o steerOptions
	cmd := t.steerCommand(&cobra.Command{
		Use:   "node drain|resume ENGINE [NODE]",
		Short: "Take a node of an engine out of use, or put it back",
		Long: `A drained node gets no new scans; those in progress finish. Its health checks go on.
Without NODE, all nodes of the engine are meant. This lasts until "resume", or until
polyclamd ends. A command after which no scan could be answered is refused, unless there
is --force.

` + steerHelp,
		Example: `  polyclam node drain clamav tcp:10.0.0.2:3310
  polyclam node resume clamav`,
		Args: wantArguments(2, nodeActions, "action", "engine", "node"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return complete(nodeActions, prefix)
			case 1:
				return complete(t.knownNodes(""), prefix)
			case 2:
				return complete(t.knownNodes(args[1]), prefix)
			}
			return complete(nil, prefix)
		},
	}, &o, func(args []string) (int, error) { return t.steerNode(o, append(args, "")[:3]) })
	cmd.Flags().BoolVar(&o.force, "force", false, "do it even if no scan can be answered then")
	return cmd
}

func (t *tool) steerNode(o steerOptions, args []string) (int, error) {
	var answer struct {
		Engine string `json:"engine"`
		Nodes  []struct {
			Address string `json:"address"`
			Before  string `json:"before"`
			After   string `json:"after"`
		} `json:"nodes"`
	}
	body := map[string]any{"engine": args[1], "node": args[2], "force": o.force}
	if err := t.steer(adminTimeout, "/node/"+args[0], body, &answer, args[1], args[2]); err != nil {
		return 0, err
	}
	if o.json {
		return exitOK, t.write(jsonLine(answer))
	}
	var b strings.Builder
	for _, n := range answer.Nodes {
		b.WriteString(fmt.Sprintf("%s is %s (it was %s)", strings.TrimSpace(answer.Engine+" "+n.Address), n.After, n.Before) + "\n")
	}
	return exitOK, printLines(t.stdout, strings.TrimSuffix(b.String(), "\n"))
}

func (t *tool) engineCommand() *cobra.Command {
	var o steerOptions
	cmd := t.steerCommand(&cobra.Command{
		Use:   "engine on|observe|off NAME",
		Short: "Change what an engine's results are used for",
		Long: `The results of an engine that is on count. One that is observed gets objects, and its
results are logged and counted, but no verdict depends on them. One that is off gets no
objects. This lasts until polyclamd ends, or until a reload with another mode in the
configuration. A command after which no scan could be answered is refused, unless there is
--force.

` + steerHelp,
		Example: `  polyclam engine observe sophos
  polyclam engine on sophos`,
		Args: wantArguments(2, engine.ModeNames(), "mode", "engine"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return complete(engine.ModeNames(), prefix)
			case 1:
				return complete(t.knownNodes(""), prefix)
			}
			return complete(nil, prefix)
		},
	}, &o, func(args []string) (int, error) { return t.setMode(o, args[0], args[1]) })
	cmd.Flags().BoolVar(&o.force, "force", false, "do it even if no scan can be answered then")
	return cmd
}

func (t *tool) setMode(o steerOptions, mode, name string) (int, error) {
	var answer struct {
		Engine string `json:"engine"`
		Before string `json:"before"`
		After  string `json:"after"`
	}
	body := map[string]any{"engine": name, "mode": mode, "force": o.force}
	if err := t.steer(adminTimeout, "/engine/mode", body, &answer, name, ""); err != nil {
		return 0, err
	}
	if o.json {
		return exitOK, t.write(jsonLine(answer))
	}
	return exitOK, printLines(t.stdout, fmt.Sprintf("%s is %s (it was %s)", answer.Engine, judge.ModeWords[answer.After], judge.ModeWords[answer.Before]))
}

func (t *tool) logCommand() *cobra.Command {
	var o steerOptions
	return t.steerCommand(&cobra.Command{
		Use:   "log LEVEL",
		Short: "Change the level of polyclamd's log",
		Long: `The levels are ` + strings.Join(config.Levels(), ", ") + `. This lasts until polyclamd ends, or
until a reload with another level in the configuration.

` + steerHelp,
		Example: "  polyclam log debug",
		Args:    wantArguments(1, config.Levels(), "level"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return complete(nil, prefix)
			}
			return complete(config.Levels(), prefix)
		},
	}, &o, func(args []string) (int, error) {
		var answer struct {
			Before string `json:"before"`
			After  string `json:"after"`
		}
		if err := t.steer(adminTimeout, "/log", map[string]any{"level": args[0]}, &answer, "", ""); err != nil {
			return 0, err
		}
		if o.json {
			return exitOK, t.write(jsonLine(answer))
		}
		return exitOK, printLines(t.stdout, fmt.Sprintf("the level of the log is %s (it was %s)", answer.After, answer.Before))
	})
}

func (t *tool) reloadCommand() *cobra.Command {
	var o steerOptions
	return t.steerCommand(&cobra.Command{
		Use:   "reload",
		Short: "Reload polyclamd's configuration, and show what has changed",
		Long: `It waits for the end of the reload, and prints each key that has another value, each
table that was added or removed, and each file that a key names and that has changed.
Values that may contain passwords are not shown. If the configuration is refused, it
prints why, and the old one stays in use.

` + steerHelp,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
	}, &o, func([]string) (int, error) {
		var answer struct {
			Changes  []string `json:"changes"`
			Warnings []string `json:"warnings,omitempty"`
		}
		if err := t.steer(slowTimeout, "/reload", struct{}{}, &answer, "", ""); err != nil {
			return 0, err
		}
		if o.json {
			return exitOK, t.write(jsonLine(answer))
		}
		for _, w := range answer.Warnings {
			printLines(t.stderr, "warning: "+w)
		}
		return exitOK, printLines(t.stdout, strings.Join(answer.Changes, "\n"))
	})
}

// steer sends a command. If the engine or node that it names is unknown, the error suggests
// one.
func (t *tool) steer(within time.Duration, path string, body, answer any, engineName, node string) error {
	c, err := t.newAdminClient()
	if err != nil {
		return err
	}
	err = c.post(within, path, body, answer)
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == http.StatusNotFound && engineName != "" {
		refused.Text = cmp.Or(c.suggestion(engineName, node), refused.Text)
	}
	return err
}

// suggestion returns the message about an unknown engine or node, or "" if it is known.
func (c *adminClient) suggestion(engineName, node string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var st struct{ Engines []engine.Status }
	if err := c.get(ctx, "/status", &st); err != nil {
		return ""
	}
	var engines, nodes []string
	for _, e := range st.Engines {
		engines = append(engines, e.Name)
		for _, n := range e.Nodes {
			if e.Name == engineName && n.Address != "" {
				nodes = append(nodes, n.Address)
			}
		}
	}
	switch {
	case len(engines) > 0 && !slices.Contains(engines, engineName):
		return suggest.Unknown("engine", engineName, engines)
	case node != "" && len(nodes) > 0 && !slices.Contains(nodes, node):
		return suggest.Unknown("node", node, nodes)
	}
	return ""
}
