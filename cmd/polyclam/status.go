package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/size"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/ops/judge"
)

func (t *tool) statusCommand() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of polyclamd and its engines",
		Long: `The first line says in one sentence what is wrong. CANARY is how long ago the engine
was given the EICAR test file and an encrypted archive. EICAR and ENCRYPTED are its
results for them.

If the configuration has problems, they are reported, and polyclamd is looked for at the
usual places.

Exit status, as plugins of Nagios have it:

	0  everything is usable, or not yet checked
	1  degraded: a node or an optional engine is down, a node is drained, a required
	   engine was switched off or is only observed since a command, signatures are
	   older than max_signature_age, or the configuration on disk is refused
	2  scans are answered with errors, because no node of a required engine is
	   usable; or no polyclamd answers

With --ready it is 0 instead of 1. A probe that takes a server out of service wants that:
a spare that is down is no reason.
`,
		Example: `  polyclam status
  polyclam status --watch=5s`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: t.exiting(func([]string) (int, error) {
			if o.watch != "" {
				return t.watchStatus(o)
			}
			return t.status(o)
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	flags.BoolVar(&o.ready, "ready", false, "exit with 0 unless scans are answered with errors")
	flags.StringVar(&o.watch, "watch", "", "repeat at this `interval` until interrupted")
	flags.Lookup("watch").NoOptDefVal = "2s"
	cmd.RegisterFlagCompletionFunc("watch", cobra.NoFileCompletions)
	return cmd
}

// statusOptions are the flags of status.
type statusOptions struct {
	json  bool
	ready bool
	watch string // the interval; empty: once
}

// serverStatus is the state of polyclamd and its engines. docs/operations.md documents
// its JSON.
type serverStatus struct {
	condition
	Address string `json:"address"`
	extended.Server
	Nodes []nodeStatus `json:"nodes"`

	disk        onDisk
	unreachable *unreachable // no polyclamd answers
}

// nodeStatus is the state of one node of one engine.
type nodeStatus = judge.Node

// status shows the status once.
func (t *tool) status(o statusOptions) (int, error) {
	st, err := t.askStatus(time.Now())
	if err != nil {
		return 0, err
	}
	text := st.text(time.Now())
	if o.json {
		text = jsonLine(st)
	}
	if o.ready && st.State == judge.Degraded {
		return exitOK, t.write(text)
	}
	return st.Exit, t.write(text)
}

// askStatus asks polyclamd. An error means that nothing can be asked, such as a bad address
// on the command line.
func (t *tool) askStatus(now time.Time) (*serverStatus, error) {
	p, err := t.places()
	if err != nil {
		return nil, err
	}
	var records []extended.Record
	s, err := p.reach("polyclamd", func(ctx context.Context, s *server) (err error) {
		records, err = s.client.XStatus(ctx)
		return statusError(err)
	})
	st := readStatus(records)
	if errors.As(err, &st.unreachable) {
		st.disk = t.lookOnDisk(nil, nil, now)
		st.condition = judgeUnreachable(st.unreachable, st.disk)
		return st, nil
	}
	st.Address = s.String()
	st.disk = t.lookOnDisk(s, &st.Server, now)
	st.condition = conditionOf(judge.Of(st.Nodes, st.disk.trouble, now))
	return st, nil
}

// statusError words the error of a server that does not answer XSTATUS.
func statusError(err error) error {
	switch {
	case errors.Is(err, protocol.ErrUnknownCommand):
		return errors.New("it does not support XSTATUS; a plain clamd has no engines to show")
	case errors.Is(err, protocol.ErrCommandUnavailable):
		return errors.New("this listener refuses XSTATUS (key status_command); ask at another one")
	}
	return err
}

// readStatus reads the records of the reply to XSTATUS. It ignores unknown ones.
func readStatus(records []extended.Record) *serverStatus {
	st := &serverStatus{Nodes: []nodeStatus{}}
	for _, r := range records {
		switch r.Word {
		case extended.WordServer:
			st.Server = r.Server()
		case extended.WordNode:
			st.Nodes = append(st.Nodes, nodeStatus{Node: r.Node()})
		}
	}
	return st
}

// text returns the status for people. The first line is the sentence.
func (st *serverStatus) text(now time.Time) string {
	var b strings.Builder
	b.WriteString(printable(st.Sentence) + "\n")
	if st.unreachable != nil {
		if len(st.unreachable.failures) > 1 {
			b.WriteString("\n")
			for line := range strings.SplitSeq(st.unreachable.Error(), "\n") {
				b.WriteString(printable(line) + "\n")
			}
		}
		return b.String()
	}
	b.WriteString("\n")
	st.writeServer(&b)
	b.WriteString("\n")
	st.writeNodes(&b, now)
	return b.String()
}

func (st *serverStatus) writeServer(b *strings.Builder) {
	limit := ""
	if st.SpoolTotal > 0 {
		limit = " of " + size.Human(st.SpoolTotal)
	}
	fmt.Fprintf(b, "%s at %s, up %s\n", strings.TrimSpace("polyclamd "+printable(st.Version)), printable(st.Address), age(time.Duration(st.Uptime)*time.Second))
	fmt.Fprintf(b, "%s, %s, %s in progress, spool %s%s\n", plural(st.Connections, "connection"),
		plural(st.Requests, "request"), plural(st.Scans, "scan"), size.Human(st.SpoolUsed), limit)
	if text := cacheLine(st.CacheState); text != "" {
		b.WriteString(printable(text) + "\n")
	}
	if text := cacheTrouble(st.CacheState); text != "" {
		b.WriteString(printable(text) + "\n")
	}
	if st.Brief {
		b.WriteString("this listener reports states and counts only (key status_command); a Unix socket reports the rest\n")
	}
	if st.Draining {
		b.WriteString("it is draining: load balancers send no new clients, and it is about to stop\n")
	}
	if st.LogLevel != "" {
		fmt.Fprintf(b, "the level of the log is %s, set at run time\n", printable(st.LogLevel))
	}
	if st.disk.remark != "" {
		b.WriteString(printable(st.disk.remark) + "\n")
	}
}

func (st *serverStatus) writeNodes(b *strings.Builder, now time.Time) {
	t := newTable("ENGINE", "BACKEND", "NODE", "STATE", "SCANS", "FAILED", "SIGNATURES", "CANARY", "EICAR", "ENCRYPTED", "VERSION")
	for _, n := range st.Nodes {
		signatures := since(now, n.DatabaseTime)
		if n.Stale {
			signatures += ", old"
		}
		t.add(n.Engine, n.Backend, n.Address, n.Cell(), strconv.FormatInt(n.Scans, 10), strconv.FormatInt(n.Failures, 10),
			signatures, since(now, n.CanaryTime), n.CanaryEICAR, n.CanaryEncrypted, n.Version)
	}
	t.write(b, "")
	for i := range st.Nodes {
		n := &st.Nodes[i]
		switch reason := n.Why(); {
		case n.Drained:
			b.WriteString(printable(n.Name()+" "+n.Words()) + "\n")
		case reason != "":
			b.WriteString(printable(n.Name()+" is "+n.State+": "+reason) + "\n")
		}
		for _, text := range n.Remarks() {
			b.WriteString(printable(n.Name()+": "+text) + "\n")
		}
	}
	for _, l := range judge.Lookups(st.Nodes) {
		text := l.Engine + " " + l.Name + ": " + l.Text
		if l.Reason != "" {
			text += ": " + l.Reason
		}
		b.WriteString(printable(text) + "\n")
	}
	for _, text := range judge.ModeRemarks(st.Nodes) {
		b.WriteString(printable(text) + "\n")
	}
}
