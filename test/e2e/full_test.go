package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

// newMail returns a mail with EICAR that no clamd has seen before.
func newMail() string { return string(testfile.MailedEICAR(testfile.NewNonce())) }

// clamavStatus returns the record of clamd's node in XSTATUS.
func clamavStatus(p *clamdtest.Polyclam) string {
	reply, _ := ask("unix", p.Socket, "zXSTATUS\x00")
	for line := range strings.SplitSeq(reply, "\x00") {
		if strings.Contains(line, "engine=clamav") {
			return line
		}
	}
	return reply
}

// TestFullTemporaryDirectory fills up clamd's TemporaryDirectory. clamd then calls every
// mail OK. From the next health check on, clients must hear ERROR until there is room.
// Nor may they hear the OKs that clamd remembers.
func TestFullTemporaryDirectory(t *testing.T) {
	for _, transport := range []string{"fildes", "stream"} {
		t.Run(transport, func(t *testing.T) {
			clamd := clamdtest.Start(t, clamdtest.Options{TempSize: "256k"})
			more := fmt.Sprintf("transport = %q\ncanary_interval = \"1s\"", transport)
			p := clamdtest.StartPolyclam(t, config(clamd.Socket, more), clamdtest.Options{})
			scan := func(mail string) string {
				reply, _ := ask("unix", p.Socket, instream(mail))
				return lastWord(reply)
			}
			if got := scan(newMail()); got != "FOUND" {
				t.Fatalf("with room: %s", got)
			}
			same := ""
			poll(t, "a full directory", func() bool {
				clamd.Fill() // test archives may still be unpacked there
				same = newMail()
				reply, _ := ask("unix", clamd.Socket, "zSCAN "+mailFile(t, same)+"\x00")
				return lastWord(reply) == "OK"
			})
			poll(t, "the health check", func() bool { return strings.Contains(clamavStatus(p), "state=down") })
			for range 50 {
				if got := scan(newMail()); got != "ERROR" {
					t.Fatalf("with a full directory: %s\n%s", got, clamavStatus(p))
				}
				time.Sleep(50 * time.Millisecond) // checks are made meanwhile
			}
			status := clamavStatus(p)
			// clamd frees and takes room all the time: the first test object that finds none is
			// the reason.
			want := fullReasons[transport]
			if !want.MatchString(status) || !strings.Contains(status, "check TemporaryDirectory in clamd.conf") {
				t.Errorf("status\n%s", status)
			}
			clamd.Empty()
			poll(t, "a check with room", func() bool { return strings.Contains(clamavStatus(p), "state=up") })
			if got := scan(newMail()); got != "FOUND" {
				t.Errorf("with room again: %s", got)
			}
			if transport == "fildes" {
				poll(t, "clamd to forget", func() bool { return scan(same) == "FOUND" })
			}
		})
	}
}

// fullReasons are the reasons for a node with a full directory. A stream is a file there, a
// descriptor is not.
var fullReasons = map[string]*regexp.Regexp{
	"fildes": regexp.MustCompile(`may miss viruses in mails and archives: `),
	"stream": regexp.MustCompile(`: Error writing to temporary file |may miss viruses in mails and archives: .*: Can't write to file `),
}

func mailFile(t *testing.T, mail string) string {
	t.Helper()
	path := clamdtest.Dir(t, "") + "/mail"
	if err := os.WriteFile(path, []byte(mail), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFullAtTheStart starts polyclamd when the directory is full already.
func TestFullAtTheStart(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{TempSize: "256k"})
	clamd.Fill()
	p := clamdtest.StartPolyclam(t, config(clamd.Socket, "canary_interval = \"1s\""), clamdtest.Options{})
	reply, err := ask("unix", p.Socket, instream(newMail()))
	if lastWord(reply) != "ERROR" || err != nil {
		t.Errorf("%q, %v", reply, err)
	}
	clamd.Empty()
	poll(t, "a scan with room", func() bool {
		reply, _ := ask("unix", p.Socket, instream(newMail()))
		return lastWord(reply) == "FOUND"
	})
}

// TestScanMailNo has a clamd that does not look into mails on purpose. It stays in use.
func TestScanMailNo(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"ScanMail no"}})
	p := clamdtest.StartPolyclam(t, config(clamd.Socket, "canary_interval = \"1s\""), clamdtest.Options{})
	poll(t, "a health check", func() bool { return strings.Contains(clamavStatus(p), "mail_unread=true") })
	for mail, want := range map[string]string{newMail(): "OK", string(testfile.EICAR()): "FOUND", string(testfile.PackedEICAR()): "FOUND"} {
		if reply, err := ask("unix", p.Socket, instream(mail)); lastWord(reply) != want || err != nil {
			t.Errorf("%q, %v, want %s", reply, err, want)
		}
	}
	if status := clamavStatus(p); !strings.Contains(status, "state=up") {
		t.Errorf("status\n%s", status)
	}
	if !strings.Contains(p.Log(), "mail not scanned") {
		t.Errorf("log\n%s", p.Log())
	}
}
