package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/config"
	"polyclam/test/testkit"
)

// launchUnreadLog starts a daemon whose log goes to a small pipe that nothing reads yet.
func launchUnreadLog(t *testing.T, top string) (d *testDaemon, socket string, log *os.File) {
	t.Helper()
	dir := testkit.SocketDir(t)
	socket = filepath.Join(dir, "s")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	d = launch(t, func(c *exec.Cmd) { c.Stderr = w }, "--config", writeConfig(t, dir, top+unixListener(socket)))
	w.Close()
	testkit.Eventually(t, "the socket", func() bool { _, err := ask("unix", socket, "zPING\x00"); return err == nil })
	return d, socket, r
}

// scanMany scans n objects in one session.
func scanMany(t *testing.T, socket string, n int) {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	io.WriteString(nc, "zIDSESSION\x00")
	replies := bufio.NewReader(nc)
	for i := range n {
		io.WriteString(nc, instream("harmless"))
		reply, err := replies.ReadString(0)
		if err != nil || !strings.HasSuffix(reply, ": stream: OK\x00") {
			t.Fatalf("scan %d: %q, %v", i, reply, err)
		}
	}
	io.WriteString(nc, "zEND\x00")
}

// TestUnreadLog fills the log's buffer, then reads it: every scan was answered, and the log
// counts the lines that it lost.
func TestUnreadLog(t *testing.T) {
	d, socket, r := launchUnreadLog(t, "")
	const scans = 4000 // more than a MiB of lines
	scanMany(t, socket, scans)
	log := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(r)
		log <- text
	}()
	d.stop()
	scanned, lost := 0, 0
	for line := range bytes.Lines(<-log) {
		var entry struct {
			Message string
			Level   string
			Lines   int
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		switch entry.Message {
		case "scanned":
			scanned++
		case "log lines lost":
			lost += entry.Lines
			if entry.Level != "warn" {
				t.Errorf("level %q of %s", entry.Level, line)
			}
		}
	}
	if lost == 0 || scanned+lost < scans {
		t.Errorf("%d of %d scans in the log, %d lines counted as lost", scanned, scans, lost)
	}
}

func TestStopWithUnreadLog(t *testing.T) {
	d, socket, _ := launchUnreadLog(t, "shutdown_grace = \"1s\"\n")
	scanMany(t, socket, 100)
	d.stop()
}

// TestFailureWithUnreadLog checks that a daemon that cannot report its failure still ends.
func TestFailureWithUnreadLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	d := launch(t, func(c *exec.Cmd) { c.Stderr = w }, "--config", writeConfig(t, t.TempDir(), ""))
	w.Close()
	if status := d.wait(); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
}

// TestLogOnFullDisk uses /dev/full as the disk.
func TestLogOnFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	d := launch(t, func(c *exec.Cmd) { c.Stderr = full }, "--config", writeConfig(t, dir, unixListener(socket)))
	testkit.Eventually(t, "the socket", func() bool { _, err := ask("unix", socket, "zPING\x00"); return err == nil })
	scanMany(t, socket, 100)
	d.stop()
}

func TestLogFormats(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	for format, want := range map[string]string{
		"json":    `{"level":"warn","n":1,"time":`,
		"console": "WRN strange n=1",
	} {
		var out bytes.Buffer
		log, buffer, err := newLog(config.Log{Level: "info", Format: format}, "", &out)
		if err != nil {
			t.Fatal(err)
		}
		log.Warn().Int("n", 1).Msg("strange")
		log.Debug().Msg("unwanted")
		buffer.Close(hang)
		if text := out.String(); !strings.Contains(text, want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: %q, want one line with %q", format, text, want)
		}
	}
}

// TestLossLine checks that the line is logged even if the level excludes warnings.
func TestLossLine(t *testing.T) {
	defer zerolog.SetGlobalLevel(zerolog.GlobalLevel())
	zerolog.SetGlobalLevel(zerolog.ErrorLevel)
	var entry map[string]any
	line := lossLine(func(w io.Writer) io.Writer { return w }, 7)
	if err := json.Unmarshal(line, &entry); err != nil || entry["lines"] != 7.0 || entry["level"] != "warn" || entry["time"] == nil {
		t.Errorf("%s: %v", line, err)
	}
}
