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

// serverStatus is the state of polyclamd and its engines. Its JSON is documented in the
// README.
type serverStatus struct {
	Address     string       `json:"address"`
	Version     string       `json:"version"`
	Uptime      int64        `json:"uptime"` // seconds
	Connections int64        `json:"connections"`
	Scans       int64        `json:"scans"` // under way
	Requests    int64        `json:"requests"`
	SpoolUsed   int64        `json:"spool_used"`  // bytes
	SpoolTotal  int64        `json:"spool_total"` // bytes; 0: no limit
	Nodes       []nodeStatus `json:"nodes"`
}

// nodeStatus is one node of one engine.
type nodeStatus struct {
	Engine          string            `json:"engine"`
	Backend         string            `json:"backend"`
	Required        bool              `json:"required"`
	Address         string            `json:"address,omitempty"`
	State           string            `json:"state"` // up, down, unknown, or reloading
	Reason          string            `json:"reason,omitempty"`
	InFlight        int64             `json:"in_flight"`
	Limit           int64             `json:"limit,omitempty"`    // slots in use, if fewer than max_scans
	Waiting         int64             `json:"waiting"`            // for a slot, at all nodes of the engine
	Withheld        int64             `json:"withheld,omitempty"` // objects not given to the engine, since it died or hung on them
	Scans           int64             `json:"scans"`
	Failures        int64             `json:"failures"`
	Replays         int64             `json:"replays"`
	Version         string            `json:"version,omitempty"`
	DatabaseTime    time.Time         `json:"database_time,omitzero"`
	CanaryTime      time.Time         `json:"canary_time,omitzero"`
	CanaryClean     backends.Category `json:"canary_clean,omitempty"`
	CanaryEICAR     backends.Category `json:"canary_eicar,omitempty"`
	CanaryName      string            `json:"canary_name,omitempty"`
	CanaryEncrypted backends.Category `json:"canary_encrypted,omitempty"`
	CanaryError     string            `json:"canary_error,omitempty"`
	HeuristicsFirst bool              `json:"heuristics_first,omitempty"` // encrypted and partial count as suspicious
	Scanned         int64             `json:"scanned,omitempty"`          // bytes of the largest object known to be scanned
	UnscannedAbove  int64             `json:"unscanned_above,omitempty"`  // larger objects are ok without a scan
}

func (t *tool) status(asJSON bool) (int, error) {
	var records []protocol.Record
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

// readStatus reads the records of the reply to XSTATUS. Words that it does not
// know are left out.
func readStatus(records []protocol.Record) *serverStatus {
	st := &serverStatus{Nodes: []nodeStatus{}}
	for _, r := range records {
		switch r.Word {
		case "SERVER":
			st.Version = r.Get("version")
			st.Uptime, st.Connections, st.Scans = number(r, "uptime"), number(r, "connections"), number(r, "scans")
			st.Requests, st.SpoolUsed, st.SpoolTotal = number(r, "requests"), number(r, "spool_used"), number(r, "spool_total")
		case "NODE":
			st.Nodes = append(st.Nodes, readNode(r))
		}
	}
	return st
}

func readNode(r protocol.Record) nodeStatus {
	return nodeStatus{
		Engine:          r.Get("engine"),
		Backend:         r.Get("backend"),
		Required:        r.Get("required") != "false",
		Address:         r.Get("address"),
		State:           r.Get("state"),
		Reason:          r.Get("reason"),
		InFlight:        number(r, "in_flight"),
		Limit:           number(r, "limit"),
		Waiting:         number(r, "waiting"),
		Withheld:        number(r, "withheld"),
		Scans:           number(r, "scans"),
		Failures:        number(r, "failures"),
		Replays:         number(r, "replays"),
		Version:         r.Get("version"),
		DatabaseTime:    stamp(r, "database_time"),
		CanaryTime:      stamp(r, "canary_time"),
		CanaryClean:     backends.Category(r.Get("canary_clean")),
		CanaryEICAR:     backends.Category(r.Get("canary_eicar")),
		CanaryName:      r.Get("canary_name"),
		CanaryEncrypted: backends.Category(r.Get("canary_encrypted")),
		CanaryError:     r.Get("canary_error"),
		HeuristicsFirst: r.Get("heuristics_first") == "true",
		Scanned:         number(r, "scanned"),
		UnscannedAbove:  number(r, "unscanned_above"),
	}
}

// number is a field's number; 0 if it has none.
func number(r protocol.Record, key string) int64 {
	n, err := strconv.ParseInt(r.Get(key), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// stamp is a field's time; zero if it has none.
func stamp(r protocol.Record, key string) time.Time {
	at, err := time.Parse(time.RFC3339, r.Get(key))
	if err != nil {
		return time.Time{}
	}
	return at
}

// healthy reports whether nothing speaks against the node. One that was not tried
// yet is not ill, nor is one that is kept idle while it loads signatures.
func (n *nodeStatus) healthy() bool {
	found := n.CanaryEICAR == backends.Virus || n.CanaryEICAR == backends.Suspicious
	return (n.State == "up" || n.State == "unknown" || n.State == "reloading") && (found || n.CanaryEICAR == "")
}

// why returns polyclamd's reason why the node is not used, or "".
func (n *nodeStatus) why() string { return cmp.Or(n.Reason, n.CanaryError) }

// remarks returns what an operator should know about the node although it is used.
func (n *nodeStatus) remarks() (out []string) {
	if n.HeuristicsFirst {
		out = append(out, heuristicsFirst)
	}
	if n.UnscannedAbove > 0 {
		out = append(out, fmt.Sprintf("it says OK to objects larger than %s without scanning them; polyclam check shows what to change", size.Human(n.UnscannedAbove)))
	}
	if n.Limit > 0 {
		out = append(out, fmt.Sprintf("it is overloaded and limited to %s at a time until it recovers", plural(n.Limit, "scan")))
	}
	if n.Withheld > 0 {
		out = append(out, fmt.Sprintf("it died or hung three times on %s, and is not given them for a while (poison_time)", plural(n.Withheld, "object")))
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
			since(now, n.DatabaseTime), since(now, n.CanaryTime), string(n.CanaryEICAR), string(n.CanaryEncrypted), n.Version)
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

// since returns how long ago a time was, or "" for the zero time.
func since(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return age(now.Sub(at))
}
