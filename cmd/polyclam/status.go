package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/backends"
	"polyclam/cmd/internal/size"
	"polyclam/protocol"
	"polyclam/protocol/extended"
)

func (t *tool) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of polyclamd and its engines",
		Long: `CANARY is how long ago the engine was given the EICAR test file and an encrypted
archive. EICAR and ENCRYPTED are its results for them.

Exit status:

	0  every engine is up or not yet checked, and finds the test file
	1  an engine is down, or does not find the test file
	2  no polyclamd answers
`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.status(asJSON) }),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// serverStatus is the state of polyclamd and its engines. docs/operations.md documents
// its JSON.
type serverStatus struct {
	Address string `json:"address"`
	extended.Server
	Nodes []nodeStatus `json:"nodes"`
}

// nodeStatus is the state of one node of one engine.
type nodeStatus struct{ extended.Node }

func (t *tool) status(asJSON bool) (int, error) {
	var records []extended.Record
	s, err := t.reach("polyclamd", func(ctx context.Context, s *server) (err error) {
		records, err = s.client.XStatus(ctx)
		if errors.Is(err, protocol.ErrUnknownCommand) {
			return errors.New("it does not support XSTATUS; a plain clamd has no engines to show")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	st := readStatus(records)
	st.Address = s.String()
	text := st.text(time.Now())
	if asJSON {
		text = jsonLine(st)
	}
	if err := t.write(text); err != nil {
		return 0, err
	}
	for i := range st.Nodes {
		if !st.Nodes[i].healthy() {
			return exitFound, nil
		}
	}
	return exitOK, nil
}

// readStatus reads the records of the reply to XSTATUS. It ignores unknown ones.
func readStatus(records []extended.Record) *serverStatus {
	st := &serverStatus{Nodes: []nodeStatus{}}
	for _, r := range records {
		switch r.Word {
		case extended.WordServer:
			st.Server = r.Server()
		case extended.WordNode:
			st.Nodes = append(st.Nodes, nodeStatus{r.Node()})
		}
	}
	return st
}

// healthy reports whether nothing is known to be wrong with the node. One that is not yet
// checked, or idle while it loads signatures, counts as healthy.
func (n *nodeStatus) healthy() bool {
	eicar := backends.Category(n.CanaryEICAR)
	found := eicar == backends.Virus || eicar == backends.Suspicious
	return (n.State == "up" || n.State == "unknown" || n.State == "reloading") && (found || eicar == "")
}

// reason returns polyclamd's reason for not using the node, or "".
func (n *nodeStatus) reason() string { return cmp.Or(n.Reason, n.CanaryError) }

// remarks returns what an operator should know about a node that is used.
func (n *nodeStatus) remarks() (out []string) {
	if n.HeuristicsFirst {
		out = append(out, heuristicsFirst)
	}
	if n.UnscannedAbove > 0 {
		out = append(out, fmt.Sprintf("it reports OK for objects larger than %s without scanning them; polyclam check shows what to change", size.Human(n.UnscannedAbove)))
	}
	if n.Limit > 0 {
		out = append(out, fmt.Sprintf("it is overloaded and limited to %s at a time until it recovers", plural(n.Limit, "scan")))
	}
	if n.Withheld > 0 {
		out = append(out, fmt.Sprintf("it died or hung three times on %s, and does not get them for a while (poison_time)", plural(n.Withheld, "object")))
	}
	return out
}

// name returns the name of the node for messages.
func (n *nodeStatus) name() string { return strings.TrimSpace(n.Engine + " " + n.Address) }

func (st *serverStatus) text(now time.Time) string {
	var b strings.Builder
	limit := ""
	if st.SpoolTotal > 0 {
		limit = " of " + size.Human(st.SpoolTotal)
	}
	fmt.Fprintf(&b, "polyclamd %s at %s, up %s\n", printable(st.Version), printable(st.Address), age(time.Duration(st.Uptime)*time.Second))
	fmt.Fprintf(&b, "%s, %s, %s in progress, spool %s%s\n\n", plural(st.Connections, "connection"),
		plural(st.Requests, "request"), plural(st.Scans, "scan"), size.Human(st.SpoolUsed), limit)
	t := newTable("ENGINE", "BACKEND", "NODE", "STATE", "SCANS", "FAILED", "SIGNATURES", "CANARY", "EICAR", "ENCRYPTED", "VERSION")
	for _, n := range st.Nodes {
		state := n.State
		if !n.Required {
			state += ", optional"
		}
		t.add(n.Engine, n.Backend, n.Address, state, strconv.FormatInt(n.Scans, 10), strconv.FormatInt(n.Failures, 10),
			since(now, n.DatabaseTime), since(now, n.CanaryTime), n.CanaryEICAR, n.CanaryEncrypted, n.Version)
	}
	t.write(&b, "")
	for _, n := range st.Nodes {
		if reason := n.reason(); reason != "" {
			b.WriteString(printable(n.name()+" is "+n.State+": "+reason) + "\n")
		}
		for _, text := range n.remarks() {
			b.WriteString(printable(n.name()+": "+text) + "\n")
		}
	}
	return b.String()
}

// since returns how long ago a time was, or "" for the zero time.
func since(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return age(now.Sub(at))
}
