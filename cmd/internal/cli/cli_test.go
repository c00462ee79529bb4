package cli

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"polyclam/cmd/internal/config"
)

func TestMessage(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.New("no space left on device"), "prog: no space left on device"},
		{Usagef("--jobs %d: want more", 0), "prog: --jobs 0: want more\nTry \"prog --help\"."},
		{config.Problems{{File: "c.toml", Line: 3, Key: "spool.wait", Text: "too long"}}, "c.toml:3: spool.wait: too long"},
	} {
		if got := Message("prog", test.err); got != test.want {
			t.Errorf("Message(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}

// newRoot returns a command line with a command that fails with err.
func newRoot(err error) *cobra.Command {
	root := &cobra.Command{Use: "prog COMMAND", Long: "prog is a program.", RunE: func(*cobra.Command, []string) error { return nil }}
	work := &cobra.Command{Use: "work [FILE]", Short: "Work", Long: "Statuses:\n\n\t0  good\n", RunE: func(*cobra.Command, []string) error { return err }}
	work.Flags().IntP("jobs", "j", 4, "`number` of jobs")
	work.Flags().Duration("timeout", time.Minute, "time for one job")
	work.Flags().Bool("json", false, "print JSON")
	root.AddCommand(work)
	return root
}

func TestExecuteErrors(t *testing.T) {
	failure := errors.New("the work failed")
	for _, test := range []struct {
		args, want string
		usage      bool
	}{
		{"work", "the work failed", false},
		{"work --json=2", `--json "2": want true or false`, true},
		{"work -j x", `--jobs "x": want a whole number`, true},
		{"work --timeout 5", `--timeout "5": want a duration such as "30s"`, true},
		{"work --timeuot 5s", "unknown flag: --timeuot; did you mean --timeout?", true},
		{"--jsn work", "unknown flag: --jsn", true},
		{"work -x", "unknown flag: -x", true},
		{"work -xj", "unknown flag: -x in -xj", true},
		{"help wrk", `unknown command "wrk"; did you mean "work"?`, true},
	} {
		var out strings.Builder
		err := Execute(newRoot(failure), strings.Fields(test.args), &out)
		if err == nil || err.Error() != test.want || IsUsage(err) != test.usage || out.Len() > 0 {
			t.Errorf("%s: %v, usage error %v, want %q, %v; printed %q", test.args, err, IsUsage(err), test.want, test.usage, out.String())
		}
	}
}

func TestHelp(t *testing.T) {
	const want = `Usage: prog work [flags] [FILE]

Work.

Statuses:

  0  good

Flags:
  -j, --jobs number        number of jobs (default 4)
      --timeout duration   time for one job (default 1m0s)
      --json               print JSON

Global flags:
  -h, --help   show this help
`
	for _, args := range []string{"work --help", "work -h --jobs 3", "help work"} {
		var out strings.Builder
		if err := Execute(newRoot(nil), strings.Fields(args), &out); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", args, err, out.String(), want)
		}
	}
}

func TestCommandNames(t *testing.T) {
	root := newRoot(nil)
	Prepare(root, io.Discard)
	if got := strings.Join(CommandNames(root), " "); got != "work completion" {
		t.Errorf("CommandNames = %q", got)
	}
}
