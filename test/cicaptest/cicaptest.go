// Package cicaptest runs a real c-icap for tests, with its virus_scan service in front
// of a clamd.
//
// c-icap runs in the foreground as an unprivileged user, in its own directory. The
// package polls it with OPTIONS until it answers, ends it at the test's cleanup, and
// shows its log if the test failed.
package cicaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// The services of a [Server].
const (
	// AVScan scans every object, whatever its size, and answers 204 where it may.
	AVScan = "avscan"
	// SrvClamav sends objects over MaxObjectSize back unscanned without saying so.
	SrvClamav = "srv_clamav"
	// Echo scans nothing: everything is clean.
	Echo = "echo"
)

// hang is how long c-icap may take for anything before the test gives up. It measures
// nothing: it only catches a hang.
const hang = 60 * time.Second

// Options say how to start c-icap.
type Options struct {
	// Conf has lines for c-icap.conf, e.g. "virus_scan.MaxObjectSize 1M". They come
	// last, and c-icap takes the last value of an option.
	Conf []string
	// TLS makes it also listen for ICAPS, with a certificate for "localhost".
	TLS bool
	// User is the account to use if root runs the test; empty: nobody.
	User string
	// HideLog keeps the log out of the output of a failed test.
	HideLog bool
}

// Server is a running c-icap.
type Server struct {
	Address    string // "tcp:127.0.0.1:port"
	TLSAddress string // the same for ICAPS; empty without Options.TLS
	CA         string // path of the certificate in PEM; empty without Options.TLS
	Dir        string
	Conf       string // path of c-icap.conf
	Pid        int

	t    testing.TB
	proc *child.Process
}

// Require skips the test if c-icap or its virus_scan module is not installed, or fails
// it if [clamdtest.RequireReal] is set. It returns the directory of the modules.
func Require(t testing.TB) string {
	t.Helper()
	clamdtest.RequireProgram(t, "c-icap")
	found, _ := filepath.Glob("/usr/lib/*/c_icap/virus_scan.so")
	if len(found) > 0 {
		return filepath.Dir(found[0])
	}
	clamdtest.NotTested(t, "c-icap's module virus_scan is not installed")
	return ""
}

// Start runs a c-icap that scans with the clamd at the path of a socket, and waits
// until it answers. It calls [Require] first.
func Start(t testing.TB, clamdSocket string, o Options) *Server {
	t.Helper()
	modules := Require(t)
	s := &Server{t: t, Dir: clamdtest.Dir(t, o.User)}
	s.Conf = filepath.Join(s.Dir, "c-icap.conf")
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() && !o.HideLog {
			t.Logf("log of c-icap:\n%s", s.Log())
		}
	})
	var err error
	// Another program may take the port before c-icap binds it, hence the attempts.
	for range 5 {
		if err = s.configure(modules, clamdSocket, o); err != nil {
			t.Fatal(err)
		}
		if err = s.run(o); err == nil {
			return s
		}
		s.Stop()
	}
	t.Fatalf("c-icap: %v\n%s", err, s.Log())
	return nil
}

func (s *Server) configure(modules, clamdSocket string, o Options) error {
	port, err := child.Port()
	if err != nil {
		return err
	}
	s.Address = "tcp:127.0.0.1:" + port
	lines := []string{
		"PidFile " + s.path("pid"), "CommandsSocket " + s.path("ctl"), "TmpDir " + s.Dir,
		"ServerLog " + s.path("server.log"), "AccessLog " + s.path("access.log"),
		"Timeout 60", "MaxKeepAliveRequests 100", "KeepAliveTimeout 60",
		"StartServers 1", "MaxServers 2", "MinSpareThreads 5", "MaxSpareThreads 60", "ThreadsPerChild 50", "MaxRequestsPerChild 0",
		"ServerAdmin nobody@example.org", "ServerName polyclam.test", "DebugLevel 1",
		"Port 127.0.0.1:" + port,
		"ModulesDir " + modules, "ServicesDir " + modules,
		"TemplateDir /usr/share/c_icap/templates/", "TemplateDefaultLanguage en", "LoadMagicFile /etc/c-icap/c-icap.magic",
		"Service echo srv_echo.so", "Service antivirus_module virus_scan.so",
		"ServiceAlias srv_clamav virus_scan", "ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple",
		"virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE", "virus_scan.MaxObjectSize 5M",
		"Module common clamd_mod.so", "clamd_mod.ClamdSocket " + clamdSocket,
	}
	if o.TLS {
		line, err := s.tls()
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	text := strings.Join(append(lines, o.Conf...), "\n") + "\n"
	return os.WriteFile(s.Conf, []byte(text), 0o644)
}

func (s *Server) path(name string) string { return filepath.Join(s.Dir, name) }

// run starts c-icap and waits until it answers.
func (s *Server) run(o Options) error {
	cmd := exec.Command(clamdtest.RequireProgram(s.t, "c-icap"), "-N", "-f", s.Conf)
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: clamdtest.Credential(s.t, o.User)}
	proc, err := child.StartLogged(cmd, s.path("output.log"))
	if err != nil {
		return err
	}
	s.proc, s.Pid = proc, proc.PID()
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	return proc.Ready(ctx, func(ctx context.Context) error {
		return ask(ctx, strings.TrimPrefix(s.Address, "tcp:"))
	})
}

func ask(ctx context.Context, address string) error {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(nc, "OPTIONS icap://%s/%s ICAP/1.0\r\nHost: %s\r\n\r\n", address, AVScan, address); err != nil {
		return err
	}
	answer := make([]byte, 1024)
	n, err := nc.Read(answer)
	if !bytes.HasPrefix(answer[:n], []byte("ICAP/1.0 200 ")) {
		return errors.Join(fmt.Errorf("answered %q to OPTIONS", answer[:n]), err)
	}
	return nil
}

// Stop ends c-icap and returns when it is gone. It asks c-icap to end first, so that it
// leaves no shared memory. Stopping it twice is no error.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	s.proc.Stop(hang / 6)
	syscall.Kill(-s.Pid, syscall.SIGKILL) // its children
	s.proc = nil
}

// Log returns what c-icap has written to its logs so far.
func (s *Server) Log() string {
	var b strings.Builder
	for _, name := range []string{"output.log", "server.log", "access.log"} {
		text, _ := os.ReadFile(s.path(name))
		b.Write(text[max(0, len(text)-8<<10):])
	}
	return b.String()
}
