package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A Result is how a command in a machine ended.
type Result struct {
	Stdout, Stderr string
	Status         int // exit status
	Took           time.Duration
}

// String shows a result in messages.
func (r Result) String() string {
	return fmt.Sprintf("exit %d after %v\n%s%s", r.Status, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// Run runs a command as root in the machine, as a transient service in /root, and waits
// until it ends. If that takes longer than two minutes the test fails.
func (m *Machine) Run(name string, args ...string) Result {
	m.t.Helper()
	return m.run("", name, args...)
}

// Feed is [Machine.Run] with a standard input.
func (m *Machine) Feed(stdin, name string, args ...string) Result {
	m.t.Helper()
	return m.run(stdin, name, args...)
}

// Sh runs a shell script, which must succeed, and returns its standard output.
func (m *Machine) Sh(script string) string {
	m.t.Helper()
	r := m.Run("sh", "-euc", script)
	if r.Status != 0 {
		m.t.Fatalf("%s\n%v", script, r)
	}
	return r.Stdout
}

func (m *Machine) run(stdin, name string, args ...string) Result {
	m.t.Helper()
	service := []string{"systemd-run", "--quiet", "--description=" + name, "--pipe", "--wait", "--collect", "--working-directory=/root",
		"--setenv=HOME=/root", "--setenv=LC_ALL=C.UTF-8", "--setenv=DEBIAN_FRONTEND=noninteractive", "--", name}
	for _, arg := range args {
		service = append(service, strings.ReplaceAll(arg, "$", "$$")) // systemd would replace variables
	}
	return m.enter(stdin, service...)
}

// enter runs a command in the machine's namespaces, but not as one of its units.
func (m *Machine) enter(stdin string, args ...string) Result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--all", "--target", strconv.Itoa(m.Leader), "--"}, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	r := Result{Stdout: out.String(), Stderr: errs.String(), Took: time.Since(began), Status: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if ctx.Err() != nil {
		m.t.Fatalf("%q does not end: %v", args, r)
	}
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("%q: %v\n%v", args, err, r)
	}
	return r
}
