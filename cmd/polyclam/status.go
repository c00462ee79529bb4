package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/protocol/extended"
)

var statusCommand = command{
	name:  "status",
	short: "Show how polyclamd and each of its engines are",
	long: `CANARY is how long ago the engine was given the EICAR test file and an encrypted
archive; EICAR and ENCRYPTED are what it said of them.

Exit status: 0 if all engines are up, or not yet tried, and find the test file;
1 if one is down or does not; 2 if no polyclamd answers.
`,
	prepare: func(t *tool, flags *pflag.FlagSet) func([]string) (int, error) {
		asJSON := flags.Bool("json", false, "print one JSON object")
		return func(args []string) (int, error) {
			if err := noArguments(args); err != nil {
				return 0, err
			}
			return t.status(*asJSON)
		}
	},
}

// serverStatus is the state of polyclamd and its engines. Its JSON is documented in the
// README.
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
			return errors.New("it does not know XSTATUS; a clamd has no engines to show")
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

// healthy reports whether nothing speaks against the node. One that was not tried
// yet is not ill, nor is one that is kept idle while it loads signatures.
func (n *nodeStatus) healthy() bool {
	eicar := backends.Category(n.CanaryEICAR)
	found := eicar == backends.Virus || eicar == backends.Suspicious
	return (n.State == "up" || n.State == "unknown" || n.State == "reloading") && (found || eicar == "")
}

// why says in polyclamd's words what is wrong with the node; empty: nothing.
func (n *nodeStatus) why() string { return cmp.Or(n.Reason, n.CanaryError) }

// remarks are what an operator should know of the node though it is used.
func (n *nodeStatus) remarks() (out []string) {
	if n.HeuristicsFirst {
		out = append(out, heuristicsFirst)
	}
	if n.UnscannedAbove > 0 {
		out = append(out, fmt.Sprintf("it says OK without a scan to objects larger than %s; polyclam check says what to change", size(n.UnscannedAbove)))
	}
	if n.Limit > 0 {
		out = append(out, fmt.Sprintf("it does not keep up, and gets %s at the same time until it does", plural(n.Limit, "scan")))
	}
	if n.Withheld > 0 {
		out = append(out, fmt.Sprintf("the engine died or hung three times on %s, which it is not given for a while (key poison_time)", plural(n.Withheld, "object")))
	}
	return out
}

// name is the node in messages.
func (n *nodeStatus) name() string { return strings.TrimSpace(n.Engine + " " + n.Address) }

func (st *serverStatus) text(now time.Time) string {
	var b strings.Builder
	limit := ""
	if st.SpoolTotal > 0 {
		limit = " of " + size(st.SpoolTotal)
	}
	fmt.Fprintf(&b, "polyclamd %s at %s, up %s\n", printable(st.Version), printable(st.Address), age(time.Duration(st.Uptime)*time.Second))
	fmt.Fprintf(&b, "%s, %s, %s under way, spool %s%s\n\n", plural(st.Connections, "connection"),
		plural(st.Requests, "request"), plural(st.Scans, "scan"), size(st.SpoolUsed), limit)
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
		if why := n.why(); why != "" {
			b.WriteString(printable(n.name()+" is "+n.State+": "+why) + "\n")
		}
		for _, text := range n.remarks() {
			b.WriteString(printable(n.name()+": "+text) + "\n")
		}
	}
	return b.String()
}

// since is how long ago a time was; empty if it is not known.
func since(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return age(now.Sub(at))
}

// write prints text on stdout.
func (t *tool) write(text string) error {
	if _, err := t.stdout.Write([]byte(text)); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}
