package backendtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
)

// lineClient returns a small correct backend: it sends one byte and reads a line.
func lineClient(address string) backends.Backend {
	return backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		line, err := askLine(ctx, address)
		if ctx.Err() != nil {
			return backends.Result{}, plain{context.Cause(ctx)}
		}
		if err != nil {
			return backends.Result{}, plain{err}
		}
		if line != "OK\n" {
			return backends.Result{}, fmt.Errorf("answered %.80q", line)
		}
		return backends.Clean(0), nil
	})
}

func askLine(ctx context.Context, address string) (string, error) {
	network, addr, err := backends.ParseAddress(address)
	if err != nil {
		return "", err
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	if _, err := io.WriteString(nc, "?"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(nc, 1000)).ReadString('\n')
	if err == io.EOF && line == "" {
		return "", backends.ErrNoReply
	}
	return line, err
}

func TestRunErratic(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			s := &suite{opts: Options{
				Dial:    func(_ *testing.T, address string) backends.Backend { return lineClient(address) },
				Network: network,
				Half:    []Words{Composed("O"), Composed("OK")},
			}}
			s.erratic(t)
		})
	}
}

// badBackends break one rule each. part names the part of the suite that notices.
var badBackends = map[string]struct {
	part string
	scan backends.Func
}{
	"always clean": {"EICAR", func(context.Context, backends.Object) (backends.Result, error) {
		return backends.Clean(0), nil
	}},
	"no category": {"clean", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		r, err := scanMarked(ctx, o)
		r.Category = ""
		return r, err
	}},
	"ignores its context": {"context already ended", func(_ context.Context, o backends.Object) (backends.Result, error) {
		return scanMarked(context.Background(), o)
	}},
	"returns Go's own text": {"context already ended", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if ctx.Err() != nil {
			return backends.Result{}, ctx.Err()
		}
		return scanMarked(ctx, o)
	}},
	"traces the object": {"trace", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if trace := backends.TraceOf(ctx); trace != nil {
			data := make([]byte, 100)
			o.ReadAt(data, 0)
			trace.Event(backends.TraceEvent{Step: backends.TraceAsked, Text: string(data)})
		}
		return scanMarked(ctx, o)
	}},
	"ignores read errors": {"unreadable object", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		r, err := scanMarked(ctx, o)
		if errors.Is(err, errBroken) {
			return backends.Clean(0), nil
		}
		return r, err
	}},
	"mixes answers up": {"concurrent", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		return backends.Found(1, "Eicar"), nil
	}},
	"leaks goroutines": {"clean", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		go func() { select {} }()
		return scanMarked(ctx, o)
	}},
	"leaks descriptors": {"clean", func(ctx context.Context, o backends.Object) (backends.Result, error) {
		// Not with package os, which closes unreachable files.
		if _, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0); err != nil {
			return backends.Result{}, err
		}
		return scanMarked(ctx, o)
	}},
}

const badName = "POLYCLAM_TEST_BAD_BACKEND"

// TestBadBackend runs one bad backend in a child process of TestRunCatches.
func TestBadBackend(t *testing.T) {
	bad, ok := badBackends[os.Getenv(badName)]
	if !ok {
		return // not a child process
	}
	patience = 500 * time.Millisecond // the leak never ends
	Run(t, func(*testing.T) backends.Backend { return bad.scan }, Options{Encrypted: true, Large: 1 << 20})
}

func TestRunCatches(t *testing.T) {
	for name, bad := range badBackends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestBadBackend$/^"+strings.ReplaceAll(bad.part, " ", "_")+"$")
			cmd.Env = append(os.Environ(), badName+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBadBackend/") {
				t.Errorf("the suite accepts a backend that %s: %v\n%s", name, err, out)
			}
		})
	}
}
