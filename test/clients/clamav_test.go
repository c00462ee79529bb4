package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// unlimited says why polyclam scans a file over [limits] stream when the client passes
// its path or descriptor: like clamd's StreamMaxLength, the limit applies to streams.
const unlimited = "a file that is named or handed over is larger than an engine's max_size: partial, whose default action is ok (as clamd's AlertExceedsMax no)"

var clamavClients = []client{
	clamdscan("clamdscan --stream", "unix", "--stream"),
	clamdscan("clamdscan --stream (TCP)", "tcp", "--stream"),
	clamdscan("clamdscan --fdpass", "unix", "--fdpass"),
	clamdscan("clamdscan", "unix"),
	clamdscan("clamdscan --multiscan", "unix", "--multiscan"),
	clamdscan("clamdscan --allmatch", "unix", "--allmatch"),
	clamdscan("clamdscan --multiscan --stream", "unix", "--multiscan", "--stream"),
	clamdscan("clamdscan --multiscan --fdpass", "unix", "--multiscan", "--fdpass"),
}

// clamdscan is ClamAV's own client, with the flags of one of its modes.
func clamdscan(name, network string, flags ...string) client {
	c := client{name: name, recipe: "clamdscan.md", listener: "listener", network: network}
	if !strings.Contains(name, "--stream") {
		c.but = map[string]outcome{caseOversize: clean}
		c.open = map[string]string{caseOversize: unlimited}
	}
	c.start = func(t *testing.T, at target) scan {
		program := clamdtest.RequireProgram(t, "clamdscan")
		conf := filepath.Join(t.TempDir(), "clamd.conf")
		text := snippet(t, "clamdscan.md", "unix")
		if network == "tcp" {
			text = snippet(t, "clamdscan.md", "tcp")
		}
		if err := os.WriteFile(conf, []byte(at.fill(text)), 0o644); err != nil {
			t.Fatal(err)
		}
		return func(t *testing.T, s sample) finding {
			args := append([]string{"--no-summary", "--config-file=" + conf}, flags...)
			out, status := run(t, nil, program, append(args, s.path)...)
			return clamdscanSaid(t, out, status)
		}
	}
	return c
}

// clamdscanSaid translates clamdscan's exit status: clean, infected, error.
func clamdscanSaid(t *testing.T, out string, status int) finding {
	t.Helper()
	switch status {
	case 0:
		return finding{clean, out}
	case 1:
		return finding{infected, out}
	case 2:
		return finding{refused, out}
	}
	t.Fatalf("clamdscan: exit status %d: %s", status, out)
	return finding{}
}

// run runs a program to its end with this input and returns its output and exit status.
// The test fails if the program does not end.
func run(t *testing.T, input []byte, program string, args ...string) (string, int) {
	t.Helper()
	return runIn(t, "", input, program, args...)
}

// runIn is run in a folder.
func runIn(t *testing.T, folder string, input []byte, program string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = folder
	cmd.Stdin = strings.NewReader(string(input))
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %q does not end: %s", program, args, out)
	}
	if cmd.ProcessState == nil {
		t.Fatal(fmt.Errorf("%s: %w", program, err))
	}
	return strings.TrimSpace(string(out)), cmd.ProcessState.ExitCode()
}
