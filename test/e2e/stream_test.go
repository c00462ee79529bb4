package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

// clamavClient is ClamAV::Client 0.11, whose only command for streams is STREAM. Its
// arguments are those of its constructor, and it scans its standard input.
const clamavClient = `
use strict;
use ClamAV::Client;
my $name = eval { ClamAV::Client->new(@ARGV)->scan_stream(\*STDIN) };
print $@ ? "exception: $@" : defined $name ? "found: $name" : "clean";
`

// requireClamavClient is [clamdtest.RequireProgram] for a Perl module.
func requireClamavClient(t *testing.T) {
	t.Helper()
	perl := clamdtest.RequireProgram(t, "perl")
	if exec.Command(perl, "-MClamAV::Client", "-e", "1").Run() != nil {
		clamdtest.NotTested(t, "ClamAV::Client is not installed")
	}
}

// scanStream is the output of ClamAV::Client for an object.
func scanStream(t *testing.T, server []string, content string) string {
	t.Helper()
	cmd := exec.Command("perl", append([]string{"-e", clamavClient, "--"}, server...)...)
	cmd.Stdin = strings.NewReader(content)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Errorf("perl: %v\n%s", err, problems.String())
	}
	return out.String()
}

// streamConfig enables STREAM on both listeners.
func streamConfig(engine, more string) string {
	text := strings.ReplaceAll(config(engine, ""), "[[engine]]\nname = \"clamav\"", more+"\n[[engine]]\nname = \"clamav\"")
	return strings.ReplaceAll(text, "[[listener]]\n", "[[listener]]\nstream_command = true\n")
}

// servers are the two ways to reach polyclamd, as arguments of the constructor.
func servers(p *clamdtest.Polyclam) map[string][]string {
	host, port, _ := net.SplitHostPort(p.TCP)
	return map[string][]string{
		"unix": {"socket_name", p.Socket},
		"tcp":  {"socket_host", host, "socket_port", port},
	}
}

// TestClamAVClient scans streams with ClamAV::Client through polyclamd and a real
// clamd.
func TestClamAVClient(t *testing.T) {
	requireClamavClient(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	polyclam := clamdtest.StartPolyclam(t, streamConfig(clamd.Socket, "[limits]\nstream = \"4MiB\"\n"), clamdtest.Options{})
	filler := strings.Repeat("a line of mail\r\n", 200<<10/16)
	tests := []struct{ name, content, want string }{
		{"clean", "clean\n", "clean"},
		{"empty", "", "clean"},
		{"eicar", clamdtest.EICAR(), "found: " + clamdtest.EICARName},
		{"eicar in a zip", zipped(t, "eicar.com", clamdtest.EICAR()), "found: " + clamdtest.EICARName},
		{"at the end of much", filler + clamdtest.One, "found: " + clamdtest.OneName},
		{"just the limit", strings.Repeat("x", 4<<20), "clean"},
		{"over the limit", strings.Repeat("x", 4<<20) + clamdtest.EICAR(),
			`exception: Invalid server response to scan command: "INSTREAM size limit exceeded. ERROR"`},
		{"far over the limit", strings.Repeat("x", 40<<20),
			`exception: Invalid server response to scan command: "INSTREAM size limit exceeded. ERROR"`},
	}
	for kind, server := range servers(polyclam) {
		for _, tt := range tests {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				if got := scanStream(t, server, tt.content); !saying(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		}
	}
	poll(t, "a line of the log for each STREAM", func() bool {
		return strings.Count(polyclam.Log(), "STREAM") >= 2*len(tests)
	})
}

// saying reports whether got is the message want. Perl appends the place to an
// exception.
func saying(got, want string) bool {
	return got == want || strings.HasPrefix(want, "exception: ") && strings.HasPrefix(got, want)
}

// TestClamAVClientsAtOnce runs many clients concurrently, each with its own object.
func TestClamAVClientsAtOnce(t *testing.T) {
	requireClamavClient(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	polyclam := clamdtest.StartPolyclam(t, streamConfig(clamd.Socket, ""), clamdtest.Options{})
	var clients sync.WaitGroup
	for kind, server := range servers(polyclam) {
		for i := range 10 {
			clients.Go(func() {
				content, want := fmt.Sprint("content ", i), "clean"
				if i%2 == 1 {
					content, want = content+clamdtest.Two, "found: "+clamdtest.TwoName
				}
				if got := scanStream(t, server, content); got != want {
					t.Errorf("%s %d: got %q, want %q", kind, i, got, want)
				}
			})
		}
	}
	clients.Wait()
}

// TestClamAVClientFails makes everything fail: each failure is an exception, and none
// is clean.
func TestClamAVClientFails(t *testing.T) {
	requireClamavClient(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	on := clamdtest.StartPolyclam(t, streamConfig(clamd.Socket, ""), clamdtest.Options{})
	off := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	check := func(what string, p *clamdtest.Polyclam, want string) {
		for kind, server := range servers(p) {
			if got := scanStream(t, server, clamdtest.EICAR()); !saying(got, want) {
				t.Errorf("%s, %s: got %q, want %q", what, kind, got, want)
			}
		}
	}
	check("STREAM off", off, `exception: Invalid server response to STREAM command: "UNKNOWN COMMAND`)
	check("everything works", on, "found: "+clamdtest.EICARName)
	off.Stop()
	check("no polyclamd", off, "exception: Could not establish socket connection")
	clamd.Kill()
	for kind, server := range servers(on) {
		if got := scanStream(t, server, "clean"); !saying(got, `exception: Invalid server response to scan command: "stream: clamav`) {
			t.Errorf("no clamd, %s: got %q", kind, got)
		}
	}
}
