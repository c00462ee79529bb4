package polyclam

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// patience ends a test that hangs. Nothing is measured by it.
const patience = time.Minute

// remoteEngine is one of the engines of a server.
type remoteEngine struct {
	name     string
	backend  backends.Backend
	optional bool
	timeout  time.Duration
}

// serve runs polyclam's server with these engines and returns its address. If change is
// not nil, it is applied to the configuration.
func serve(t *testing.T, change func(*proxy.Config), engines ...remoteEngine) string {
	t.Helper()
	dir := testkit.SocketDir(t)
	path := filepath.Join(dir, "s")
	cfg := configuration("unix:"+path, engines)
	if change != nil {
		change(cfg)
	}
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 256 << 20, Store: spool.Memfd, Dir: dir, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := proxy.NewServer(proxy.ServerOptions{Config: cfg, Spool: sp, Log: zerolog.Nop(), Version: "test", Stop: func() {}})
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ln, "unix:"+path); !errors.Is(err, proxy.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wg.Wait()
		sp.Close()
	})
	return "unix:" + path
}

func configuration(address string, engines []remoteEngine) *proxy.Config {
	profile, _ := status.Lookup("generic")
	cfg := &proxy.Config{
		Listeners: []proxy.Listener{{Address: address, Profile: profile, Policy: policy.Default(), ReloadCommand: true}},
		Limits: proxy.Limits{
			Stream: 64 << 20, CommandReadTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
			Connections: 100, SessionScans: 4, DirectoryDepth: 1,
		},
	}
	for _, e := range engines {
		cfg.Engines = append(cfg.Engines, engine.New(engine.Config{
			Name: e.name, Kind: "fake", Required: !e.optional, Timeout: max(e.timeout, time.Duration(0)), MaxScans: 5,
			Nodes: []engine.Node{{Address: "node-of-" + e.name, Backend: e.backend}}, Log: zerolog.Nop(),
		}))
	}
	return cfg
}
