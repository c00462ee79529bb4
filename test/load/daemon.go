package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"polyclam/test/child"
	"strings"
	"time"
)

// settings are a configuration of polyclamd.
type settings struct {
	name     string // name of its files; "" is "polyclamd"
	global   string // lines before the first table
	tcp      string // "host:port" of a second listener
	listener string // more lines for the listeners
	engines  []engineConfig
	limits   string // lines of [limits]
	spool    string // lines of [spool]
}

// An engineConfig is one [[engine]] of a configuration.
type engineConfig struct {
	name  string
	nodes []string // paths of their sockets
	keys  string   // more lines
}

func (s settings) text(socket string) string {
	var b strings.Builder
	b.WriteString(s.global)
	fmt.Fprintf(&b, "[[listener]]\naddress = %q\n%s", "unix:"+socket, s.listener)
	if s.tcp != "" {
		fmt.Fprintf(&b, "[[listener]]\naddress = %q\n%s", "tcp:"+s.tcp, s.listener)
	}
	for _, u := range s.engines {
		var nodes []string
		for _, n := range u.nodes {
			nodes = append(nodes, fmt.Sprintf("%q", "unix:"+n))
		}
		// The fakes do not unpack archives, so size_check would find nothing.
		fmt.Fprintf(&b, "[[engine]]\nname = %q\nbackend = \"clamd\"\naddresses = [%s]\nsize_check = false\n%s", u.name, strings.Join(nodes, ", "), u.keys)
	}
	fmt.Fprintf(&b, "[limits]\n%s[spool]\n%s[log]\nlevel = \"info\"\nformat = \"json\"\n", s.limits, s.spool)
	return b.String()
}

// A daemon is a polyclamd.
type daemon struct {
	*process
	trial  *trial
	conf   string
	socket string
	tcp    string
	handed *os.File // the listening socket, if it is passed as systemd does
	stderr *os.File // nil: a file
}

// polyclamdWith starts a polyclamd that is ready to scan.
func (t *trial) polyclamdWith(ctx context.Context, s settings) (*daemon, error) {
	d, err := t.prepare(s)
	if err != nil {
		return nil, err
	}
	return d, d.start(ctx)
}

// prepare writes the configuration of a polyclamd without starting it.
func (t *trial) prepare(s settings) (*daemon, error) {
	if s.name == "" {
		s.name = "polyclamd"
	}
	d := &daemon{trial: t, conf: t.path(s.name + ".toml"), socket: t.path(s.name + ".sock"), tcp: s.tcp}
	return d, os.WriteFile(d.conf, []byte(s.text(d.socket)), 0o600)
}

// start starts the daemon, possibly again, and waits until it scans.
func (d *daemon) start(ctx context.Context) error {
	if err := d.launch(); err != nil {
		return err
	}
	return d.ready(ctx)
}

// launch starts the daemon without waiting.
func (d *daemon) launch() (err error) {
	cmd := exec.Command(d.trial.polyclamd, "--config", d.conf)
	if d.handed != nil {
		// LISTEN_PID must be the daemon's own PID, which only a shell that execs it
		// knows.
		cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, d.trial.polyclamd, "--config", d.conf)
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1")
		cmd.ExtraFiles = []*os.File{d.handed}
	}
	d.process, err = d.trial.start("polyclamd", cmd, d.stderr)
	return err
}

// activate makes the daemon's socket, which every start passes to it.
func (d *daemon) activate() error {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.socket, Net: "unix"})
	if err != nil {
		return err
	}
	defer ln.Close()
	ln.SetUnlinkOnClose(false)
	d.handed, err = ln.File()
	if err != nil {
		return err
	}
	d.trial.atEnd(func() { d.handed.Close() })
	return os.Chmod(d.socket, 0o666)
}

// ready waits until a scan is answered with OK.
func (d *daemon) ready(ctx context.Context) error {
	limit := time.Now().Add(hang)
	for {
		o := scan(ctx, d.unix(), newRequest(100), 10*time.Second)
		if o.result == ok {
			return nil
		}
		if d.Ended() {
			return fmt.Errorf("polyclamd %s\n%s", d.state(), child.Tail(d.log, 2000))
		}
		if time.Now().After(limit) {
			return fmt.Errorf("polyclamd does not scan: %v %s\n%s", o.result, o.text, child.Tail(d.log, 2000))
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// unix is the way to the daemon's Unix socket.
func (d *daemon) unix() way { return way{network: "unix", address: d.socket} }

// from is the way to the daemon's port from another address of the machine.
func (d *daemon) from(ip string) way {
	return way{network: "tcp", address: d.tcp, from: &net.TCPAddr{IP: net.ParseIP(ip)}}
}

// ask sends a command and returns everything until the connection is closed.
func (d *daemon) ask(ctx context.Context, command string, limit time.Duration) (string, time.Duration, error) {
	began := time.Now()
	reply, err := exchange(ctx, d.unix(), []byte("z"+command+"\x00"), limit, true)
	return reply, time.Since(began), err
}

// check is what polyclamd --check prints about the configuration, such as the resources
// it may use, without the line that says the configuration is good.
func (d *daemon) check() string {
	out, _ := exec.Command(d.trial.polyclamd, "--check", "--config", d.conf).CombinedOutput()
	var lines []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasSuffix(line, ": ok") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// logged returns the lines of the log that contain the text.
func (d *daemon) logged(text string) (lines []string) {
	for line := range strings.Lines(child.Tail(d.log, 1<<30)) {
		if strings.Contains(line, text) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// accepts reports whether polyclamd knows all keys of the configuration.
func (d *daemon) accepts() bool {
	return exec.Command(d.trial.polyclamd, "--check", "--config", d.conf).Run() == nil
}
