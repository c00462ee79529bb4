package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/replay"
)

// policyOptions are the flags of policy.
type policyOptions struct {
	log   string
	limit int
	json  bool
}

func (t *tool) policyCommand() *cobra.Command {
	var o policyOptions
	cmd := &cobra.Command{
		Use:   "policy --config=FILE --log=FILE",
		Short: "Compare the verdicts in a log with those of another configuration",
		Long: `Each scan in the log is judged again by the policy that --config has for the same
listener: [policy], [[rule]], actions, and which engines are required. The verdicts that
would differ are counted and listed. Nothing is scanned, and polyclamd is not asked. With
the configuration that wrote the log nothing differs.

The log is polyclamd's own in the format json, what "journalctl -o cat" or "journalctl -o
json" prints, or one of these compressed by gzip. Lines that are not about scans are
ignored.

A scan cannot be judged if the configuration does not have its listener, or has an engine
whose result is not in the line: another one had settled the verdict, or the engine did not
count for this listener at that time. Timeouts and size limits are not judged again.

Exit status:

	0  no verdict would differ
	1  some would
	2  the log or the configuration cannot be read, or no scan can be judged
`,
		Example: `  journalctl -u polyclamd -o cat --since=-7d | polyclam --config=new.toml policy --log=-
  polyclam policy --config=new.toml --log=/var/log/polyclam.log.1.gz --limit=100`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func([]string) (int, error) { return t.policy(o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.log, "log", "", "the log `file`; \"-\" is standard input")
	flags.IntVar(&o.limit, "limit", 20, "list at most this `number` of scans")
	flags.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

// lookupTime bounds the look-ups of the listeners' names.
const lookupTime = 10 * time.Second

// policy compares a log with the configuration.
func (t *tool) policy(o policyOptions) (int, error) {
	switch {
	case o.log == "":
		return 0, cli.Usagef("no log; want --log=FILE, or --log=- for standard input")
	case o.limit < 0:
		return 0, cli.Usagef("--limit %d: want 0 or more", o.limit)
	}
	file, err := cli.Load(t.config)
	if err != nil {
		return 0, err
	}
	log, err := t.openLog(o.log)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	reader, err := replay.NewReader(log)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", o.log, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	judge := replay.NewJudge(ctx, file, net.DefaultResolver)
	s, err := replay.Compare(reader, judge, o.limit)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", o.log, plainError(err))
	}
	text := policyText(s, file.Name)
	if o.json {
		text = jsonLine(s)
	}
	switch err := t.write(text); {
	case err != nil:
		return 0, err
	case s.Judged == 0:
		t.printMessage(o.log + ": no scan could be judged")
		return exitFailed, nil
	case s.Different > 0:
		return exitFound, nil
	}
	return exitOK, nil
}

func (t *tool) openLog(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(t.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, errors.New(name + " is a directory; want a log file")
	}
	return f, nil
}

// policyText is the summary for people. The first line is the sentence.
func policyText(s *replay.Summary, config string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s judged by %s: %d would get another verdict\n", plural(int64(s.Judged), "scan"), printable(config), s.Different)
	if len(s.Changes) > 0 {
		b.WriteString("\n")
		t := newTable("SCANS", "LOGGED", "WOULD BE")
		for _, c := range s.Changes {
			t.add(strconv.Itoa(c.Count), c.From, c.To)
		}
		t.write(&b, "")
	}
	if len(s.Scans) > 0 {
		b.WriteString("\n")
		tagged := slices.ContainsFunc(s.Scans, func(d replay.Different) bool { return d.Tag != "" })
		head := []string{"ID", "TIME", "LOGGED", "WOULD BE", "ENGINE", "NAME", "OBJECT"}
		if tagged {
			head = append(head, "TAG")
		}
		t := newTable(head...)
		for _, d := range s.Scans {
			by := d.To
			if by.Name == "" && d.From.Name != "" {
				by = d.From // what passes now
			}
			row := []string{d.ID, localTime(d.Time), kind(d.From), kind(d.To), by.Engine, by.Name, d.Object}
			if tagged {
				row = append(row, d.Tag)
			}
			t.add(row...)
		}
		t.write(&b, "")
	}
	if more := s.Different - len(s.Scans); more > 0 && len(s.Scans) > 0 {
		fmt.Fprintf(&b, "and %d more (--limit)\n", more)
	}
	writeNotJudged(&b, s)
	return b.String()
}

func kind(v replay.Verdict) string { return string(v.Category) + "/" + string(v.Action) }

func localTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format(time.DateTime)
}

// writeNotJudged writes what was left out.
func writeNotJudged(b *strings.Builder, s *replay.Summary) {
	if len(s.NotJudged)+s.Other+s.Long > 0 {
		b.WriteString("\n")
	}
	for _, n := range s.NotJudged {
		fmt.Fprintf(b, "%s not judged: %s\n", plural(int64(n.Count), "scan"), printable(n.Reason))
	}
	if s.Long > 0 {
		fmt.Fprintf(b, "%s left out: longer than 1 MiB\n", plural(int64(s.Long), "line"))
	}
	if s.Other > 0 {
		fmt.Fprintf(b, "%s not about scans\n", plural(int64(s.Other), "line"))
	}
}
