package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"polyclam/proxy/engine"
)

func (t *tool) healthCommand() *cobra.Command {
	var o steerOptions
	return t.steerCommand(&cobra.Command{
		Use:   "health NAME",
		Short: "Check an engine now, and show the results",
		Long: `polyclamd gives each node of the engine its test objects, and the answers decide, as
always, whether the node is used.

Exit status: 0 if every node is usable, 1 if one is not, or if polyclamd refuses the
command, 2 if polyclamd cannot be asked.
`,
		Example: "  polyclam health clamav",
		Args:    wantArguments(1, nil, "engine"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return complete(nil, prefix)
			}
			return complete(t.knownNodes(""), prefix)
		},
	}, &o, func(args []string) (int, error) { return t.health(o, args[0]) })
}

// healthAnswer is the answer to /health.
type healthAnswer struct {
	engine.Status
	Unfinished bool `json:"unfinished,omitempty"`
}

func (t *tool) health(o steerOptions, name string) (int, error) {
	var answer healthAnswer
	if err := t.steer(slowTimeout, "/health", map[string]any{"engine": name}, &answer, name, ""); err != nil {
		return 0, err
	}
	status := exitOK
	tab := newTable("ENGINE", "NODE", "STATE", "CLEAN", "EICAR", "ENCRYPTED", "MAIL", "VERSION")
	var reasons strings.Builder
	for _, n := range answer.Nodes {
		state := n.State
		if n.Drained {
			state += ", drained"
		}
		if n.Drained || n.State != "up" && n.State != "reloading" || answer.Unfinished {
			status = exitFound
		}
		tab.add(answer.Name, n.Address, state, string(n.Canary.Clean), string(n.Canary.EICAR), string(n.Canary.Encrypted), string(n.Canary.Mail), n.Version)
		if reason := cmp.Or(n.Reason, n.Canary.Error); reason != "" {
			reasons.WriteString(printable(strings.TrimSpace(answer.Name+" "+n.Address)+" is "+n.State+": "+reason) + "\n")
		}
	}
	if answer.Unfinished {
		reasons.WriteString("the check has not ended yet, and goes on; polyclam status shows its results\n")
	}
	if o.json {
		return status, t.write(jsonLine(answer))
	}
	var b strings.Builder
	tab.write(&b, "")
	return status, t.write(b.String() + reasons.String())
}
