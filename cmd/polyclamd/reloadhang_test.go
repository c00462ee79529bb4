package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// hangReload sends SIGHUP until a reload hangs in this step.
func (d *testDaemon) hangReload(step string) {
	d.t.Helper()
	testkit.Eventually(d.t, "a reload that hangs", func() bool {
		d.signal(syscall.SIGHUP)
		found := d.entries(queued)
		return len(found) > 0 && found[len(found)-1]["step"] == step
	})
}

const (
	reloading = "RELOADING=1"
	stepLoad  = "read the configuration and the files that it names"
	queued    = "reload in progress, another will follow"
)

// TestStopDuringHungReload checks that the daemon still scans, and ends as usual.
func TestStopDuringHungReload(t *testing.T) {
	for _, test := range []struct {
		name, step string
		hang       func(t *testing.T, dir, conf, listener string)
	}{
		{"configuration", stepLoad, func(t *testing.T, dir, conf, listener string) { fifo(t, conf) }},
		{"certificate", stepLoad, func(t *testing.T, dir, conf, listener string) {
			fifo(t, filepath.Join(dir, "ca"))
			writeConfig(t, dir, listener+unixListener(filepath.Join(dir, "new"))+icapWith(filepath.Join(dir, "ca")))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := testkit.SocketDir(t)
			socket := filepath.Join(dir, "s")
			conf := writeConfig(t, dir, unixListener(socket))
			manager := listenNotify(t, dir)
			d := startDaemon(t, conf, manager.notifies)
			manager.want(stateReady)
			test.hang(t, dir, conf, unixListener(socket))
			d.hangReload(test.step)
			wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
			d.stop()
			manager.want(reloading, stateStopping)
			wantGone(t, socket)
			wantGone(t, filepath.Join(dir, "new"))
			if len(d.entries("reload hangs")) != 1 {
				t.Error("the log does not report that a reload hangs")
			}
		})
	}
}

// TestReloadOfFIFO has a FIFO as hash list: the reload is refused, and does not hang.
func TestReloadOfFIFO(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, list := filepath.Join(dir, "s"), filepath.Join(dir, "list")
	d := startDaemon(t, writeConfig(t, dir, unixListener(socket)), nil)
	fifo(t, list)
	writeConfig(t, dir, unixListener(socket)+"[[engine]]\nname = \"lists\"\nbackend = \"inspect\"\nhashes = ["+strconv.Quote(list)+"]\n")
	d.reload(refused)
	wantPong(t, "unix", socket)
	d.stop()
}

// TestReloadsDuringHungReload sends several SIGHUPs during a reload: one more reload follows.
func TestReloadsDuringHungReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, first, second := filepath.Join(dir, "s"), filepath.Join(dir, "1"), filepath.Join(dir, "2")
	conf := writeConfig(t, dir, unixListener(socket)+unixListener(first))
	good, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, unixListener(socket))
	manager := listenNotify(t, dir)
	d := startDaemon(t, conf, manager.notifies)
	manager.want(stateReady)
	fifo(t, conf)
	d.hangReload(stepLoad)
	w := openFIFO(t, conf)
	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, unixListener(socket)+unixListener(second))
	for range 3 {
		d.reloadAgain()
	}
	if _, err := w.Write(good); err != nil {
		t.Fatal(err)
	}
	w.Close()
	manager.want(reloading, stateReady, reloading, stateReady)
	wantPong(t, "unix", socket)
	wantPong(t, "unix", second)
	wantGone(t, first)
	d.stop()
	manager.want(stateStopping)
	if n := len(d.entries(reloaded)); n != 2 {
		t.Errorf("%d reloads, want 2", n)
	}
}

// reloadAgain sends SIGHUP during a reload, and waits until the daemon logs it.
func (d *testDaemon) reloadAgain() {
	d.t.Helper()
	n := len(d.entries(queued))
	d.signal(syscall.SIGHUP)
	d.waitForMore(queued, n)
}

// TestAbortedReload lets a hung reload go on during the shutdown: it changes nothing. The
// watchdog is served during the reload, and a second signal ends the grace.
func TestAbortedReload(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, fresh := filepath.Join(dir, "s"), filepath.Join(dir, "n")
	conf := writeConfig(t, dir, "shutdown_grace = \"24h\"\n"+unixListener(socket)+unixListener(fresh))
	good, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, "shutdown_grace = \"24h\"\n"+unixListener(socket))
	manager := listenNotify(t, dir)
	d := startDaemon(t, conf, func(c *exec.Cmd) {
		manager.notifies(c)
		c.Env = append(c.Env, "WATCHDOG_USEC=300000")
	})
	fifo(t, conf)
	d.signal(syscall.SIGHUP)
	w := openFIFO(t, conf)
	for manager.next() != reloading {
	}
	manager.want(stateAlive, stateAlive, stateAlive)
	nc := startUpload(t, socket)
	defer nc.Close()
	d.signal(syscall.SIGTERM)
	d.waitFor("stopping")
	if _, err := w.Write(good); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d.signal(syscall.SIGTERM)
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if len(d.entries(reloaded)) > 0 {
		t.Error("reloaded during the shutdown")
	}
	wantGone(t, socket)
	wantGone(t, fresh)
}

// startUpload returns a connection with a stream that the daemon is reading.
func startUpload(t *testing.T, socket string) net.Conn {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Write([]byte("zINSTREAM\x00")); err != nil {
		t.Fatal(err)
	}
	more := append([]byte{0, 1, 0, 0}, make([]byte, 64<<10)...)
	for range 64 { // more than the socket buffers: the daemon has read the command
		if _, err := nc.Write(more); err != nil {
			t.Fatal(err)
		}
	}
	return nc
}

// TestPreparedReloadIsAborted checks that everything that was opened is released.
func TestPreparedReloadIsAborted(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket, store := filepath.Join(dir, "s"), filepath.Join(dir, "spool")
	conf := writeConfig(t, dir, unixListener(socket)+"[spool]\ndirectory = "+strconv.Quote(store)+"\n")
	s, err := spool.New(spool.Config{Store: spool.Memfd})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := &reload{reloads: make(chan *reload), old: &config.Settings{}, setup: setup{
		options: options{config: conf, configGiven: true}, descriptors: 1 << 20, log: zerolog.Nop(), spool: s, aborted: make(chan struct{}),
	}}
	r.work.Go(r.prepare)
	testkit.Eventually(t, "the socket", func() bool { _, err := os.Lstat(socket); return err == nil })
	close(r.aborted)
	r.work.Wait()
	wantGone(t, socket)
	if left, err := os.ReadDir(store); err != nil || len(left) > 0 {
		t.Errorf("left in the spool's directory: %v, %v", left, err)
	}
}

func TestSlowReload(t *testing.T) {
	var log bytes.Buffer
	d := &process{log: zerolog.New(&log), reload: &reload{}, slow: make(chan time.Time)}
	d.reload.step.Store("sleep")
	d.warnSlowReload()
	if text := log.String(); !strings.Contains(text, `"level":"warn"`) || !strings.Contains(text, `"step":"sleep"`) {
		t.Errorf("the log is %q", text)
	}
	if d.slow != nil {
		t.Error("it would be logged twice")
	}
}
