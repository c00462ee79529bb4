package main

import (
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/config"
	"polyclam/proxy"
)

func TestFitConnections(t *testing.T) {
	// own: 64, 1 listener, 2 nodes with 10 scans of 2 descriptors each.
	file := &config.File{Upstreams: []config.Upstream{{MaxScans: 10, Addresses: []string{"a", "b"}}}}
	const own = 64 + 1 + 40
	for _, test := range []struct {
		name       string
		limit      uint64
		connection int
		want       int
	}{
		{"enough", own + 2000, 1000, 1000},
		{"one too few", own + 1999, 1000, 999},
		{"half", own + 1000, 1000, 500},
		{"hardly any", own, 1000, 2},
		{"less than our own", 20, 1000, 2},
		{"unlimited", unix.RLIM_INFINITY, 1_000_000, 1_000_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &proxy.Config{Listeners: make([]proxy.Listener, 1), Limits: proxy.Limits{Connections: test.connection}}
			fitConnections(c, file, test.limit, zerolog.Nop())
			if c.Limits.Connections != test.want {
				t.Errorf("%d connections, want %d", c.Limits.Connections, test.want)
			}
		})
	}
}

func TestRaiseDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: limit.Max / 2, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if got, err := raiseDescriptors(); err != nil || got != limit.Max {
		t.Errorf("raiseDescriptors = %d, %v, want %d", got, err, limit.Max)
	}
}
