package main

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rs/xid"
	"github.com/spf13/cobra"

	"polyclam/cmd/internal/cli"
	"polyclam/proxy/ops/admin"
)

func (t *tool) whyCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "why ID|SHA256|QUEUE-ID",
		Short: "Show why an object was refused, or not",
		Long: `Shows what polyclamd remembers of recent scans: what came, what each engine said, which
one decided, what the client got, and what to do about it. The argument is

	the id in polyclamd's log and in an extended reply,
	the SHA-256 of the object, or its first 8 digits or more,
	or the id that the client handed over, such as the queue id of a mail.

The memory is bounded, and gone after a restart. If nothing is found, the command that
searches the journal is shown.

Exit status: 0 if a scan is found, 1 if none, 2 if polyclamd does not answer.
`,
		Example: `  polyclam why 4dLk2x0Cj9z1x
  polyclam why 275a021b`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return cli.Usagef("want one id, SHA-256 or queue id")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              t.exiting(func(args []string) (int, error) { return t.why(args[0], asJSON) }),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	t.adminFlag(cmd)
	return cmd
}

// why shows the records with a key.
func (t *tool) why(key string, asJSON bool) (int, error) {
	c, err := t.newAdminClient()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), reachTimeout, noAnswer{reachTimeout})
	defer cancel()
	var answer admin.Why
	if err := c.get(ctx, "/why?key="+url.QueryEscape(key), &answer); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, inJournal(key))
	}
	exit := exitOK
	if len(answer.Records) == 0 {
		exit = exitFound // what status 1 means to grep: none
	}
	switch {
	case asJSON:
		return exit, t.write(jsonLine(answer))
	case exit != exitOK:
		return exit, printLines(t.stdout, nothingFound(key, &answer))
	}
	return exit, t.write(whyText(key, &answer))
}

// nothingFound says how far back polyclamd remembers, and where to look instead.
func nothingFound(key string, a *admin.Why) string {
	since := fmt.Sprintf("polyclamd remembers nothing of %s. It was started %s ago and remembers everything since then.", key, age(a.Time.Sub(a.Started)))
	if !a.SinceOK.IsZero() || !a.SinceNotOK.IsZero() {
		since = fmt.Sprintf("polyclamd remembers nothing of %s. It remembers all objects that were ok since %s, and all others since %s.",
			key, reach(a, a.SinceOK), reach(a, a.SinceNotOK))
	}
	return since + "\n" + inJournal(key) + "\nA queue id is known only if the client hands it over (XTAG)."
}

// reach says since when all records are there.
func reach(a *admin.Why, dropped time.Time) string {
	if dropped.IsZero() {
		return "its start " + age(a.Time.Sub(a.Started)) + " ago"
	}
	return dropped.Local().Format("2006-01-02 15:04:05")
}

// inJournal returns the command that finds a key in the journal. polyclamd's own ids have
// the time in them.
func inJournal(key string) string {
	when := ""
	if id, err := xid.FromString(key); err == nil {
		when = fmt.Sprintf(" --since=@%d --until=@%d", id.Time().Unix()-1, id.Time().Add(time.Hour).Unix())
	}
	return "The log may have it, also from before a restart: journalctl -u polyclamd -o cat" + when + " --grep " + shellQuote(regexp.QuoteMeta(key))
}

// shellQuote quotes an argument for a shell if that is necessary.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
