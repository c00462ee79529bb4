package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/tracing"
)

// runTrace reports one run of a program to the trace of its context, if there is one.
type runTrace struct{ *tracing.Tracer }

func newTrace(ctx context.Context) runTrace { return runTrace{tracing.New(ctx)} }

// started reports the arguments and the names of the environment, whose values may be
// secret.
func (t runTrace) started(j job) {
	if t.Tracer == nil {
		return
	}
	var args, names []string
	for _, a := range j.argv {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\") {
			a = strconv.Quote(a)
		}
		args = append(args, a)
	}
	for _, v := range j.env {
		name, _, _ := strings.Cut(v, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	t.Step(backends.TraceStarted, fmt.Sprintf("%s (environment: %s)", strings.Join(args, " "), strings.Join(names, ", ")), nil)
}

// ended reports the exit status and the beginning of the output.
func (t runTrace) ended(e runResult, err error) {
	if t.Tracer == nil {
		return
	}
	if err == nil {
		t.Read(e.output)
		t.Received()
	}
	status := fmt.Sprintf("exit status %d", e.code)
	switch {
	case e.stopped != nil:
		status, err = "killed by polyclam", e.stopped
	case e.signal != 0:
		status = "killed by signal " + strconv.Itoa(int(e.signal))
	case err != nil:
		status = "not started"
	}
	t.Step(backends.TraceEnded, status, err)
}
