package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// fifo replaces the file at path by a FIFO. Reading it hangs.
func fifo(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openFIFO opens the FIFO at path for writing as soon as the daemon reads it.
func openFIFO(t *testing.T, path string) *os.File {
	t.Helper()
	var f *os.File
	testkit.Eventually(t, "a reader of the FIFO", func() (ok bool) {
		var err error
		f, err = os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		return err == nil
	})
	t.Cleanup(func() { f.Close() })
	return f
}

// icapWith is an engine with the certificate authorities of a file.
func icapWith(ca string) string {
	return "[[engine]]\nname = \"icap\"\nbackend = \"icap\"\naddress = \"tcp:127.0.0.1:1\"\nrequired = false\ntls = true\nca = " + strconv.Quote(ca) + "\n"
}

// TestStopDuringStart stops a start that hangs before the log exists.
func TestStopDuringStart(t *testing.T) {
	dir := testkit.SocketDir(t)
	conf := filepath.Join(dir, "config.toml")
	fifo(t, conf)
	d := launch(t, nil, "--config", conf)
	openFIFO(t, conf)
	d.signal(syscall.SIGTERM)
	d.wait()
	if status := d.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want SIGTERM", status)
	}
}

// TestStopDuringHungStart stops a start that hangs when it opens the engines.
func TestStopDuringHungStart(t *testing.T) {
	d, _, _, _ := launchHanging(t)
	d.signal(syscall.SIGTERM)
	d.waitFor("stopping during startup")
	d.signal(syscall.SIGHUP) // is ignored now
	d.signal(syscall.SIGTERM)
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
}

// TestStopDuringSlowStart has a start that goes on after the signal. Nothing is left.
func TestStopDuringSlowStart(t *testing.T) {
	d, socket, ca, text := launchHanging(t)
	w := openFIFO(t, ca)
	d.signal(syscall.SIGTERM)
	d.waitFor("stopping during startup")
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if status := d.wait(); status != 0 {
		t.Errorf("exit status %d, want 0", status)
	}
	if len(d.entries("stopped")) != 1 {
		t.Error("the daemon was not shut down")
	}
	wantGone(t, socket)
}

// launchHanging starts a daemon that has read its configuration and now waits to read text
// from the FIFO ca.
func launchHanging(t *testing.T) (d *testDaemon, socket, ca string, text []byte) {
	t.Helper()
	dir := testkit.SocketDir(t)
	socket, ca = filepath.Join(dir, "s"), filepath.Join(dir, "ca")
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	fifo(t, ca)
	d = launch(t, nil, "--config", writeConfig(t, dir, unixListener(socket)+icapWith(ca)))
	w := openFIFO(t, ca) // the check of the configuration reads it first
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	d.waitFor("configuration")
	return d, socket, ca, text
}
