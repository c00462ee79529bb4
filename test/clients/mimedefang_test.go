package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// filterExample is the filter that polyclam ships; filterDebian is Debian's.
const (
	filterExample = "../../contrib/mimedefang/mimedefang-filter.example"
	filterDebian  = "/etc/mail/mimedefang-filter"
)

// tellsApart says why the outcome with Polyclam.pm differs from the one with clamd.
const tellsApart = "polyclam's verbs distinguish encrypted from clean; clamd (AlertEncrypted no) says OK"

var mimedefangClients = []client{
	{
		name: "MIMEDefang", recipe: "mimedefang.md", listener: "listener", network: "unix", user: defang,
		but:  map[string]outcome{caseOversize: clean},
		open: map[string]string{caseOversize: unlimited},
		start: func(t *testing.T, at target) scan {
			return mails(startChain(t, at.fill(snippet(t, "mimedefang.md", "drop-in"))+debianFilter(t)))
		},
	},
	{
		name: "MIMEDefang, part by part", recipe: "mimedefang.md", listener: "listener", network: "unix",
		but:  map[string]outcome{caseOversize: clean},
		open: map[string]string{caseOversize: unlimited},
		start: func(t *testing.T, at target) scan {
			return routine(t, "entity_contains_virus_clamd", at.fill(snippet(t, "mimedefang.md", "drop-in"))+aPart)
		},
	},
	{
		name: "MIMEDefang with clamdscan", recipe: "mimedefang.md", listener: "listener", network: "unix",
		start: func(t *testing.T, at target) scan {
			clamdtest.RequireProgram(t, "clamdscan")
			conf := filepath.Join(t.TempDir(), "clamd.conf")
			if err := os.WriteFile(conf, []byte(at.fill(snippet(t, "mimedefang.md", "md-clamdscan"))), 0o644); err != nil {
				t.Fatal(err)
			}
			settings := strings.ReplaceAll(snippet(t, "mimedefang.md", "clamdscan"), "/etc/MD-clamdscan.conf", conf)
			return routine(t, "message_contains_virus", settings+"$InMessageContext = 1; chdir $CWD or die;")
		},
	},
	{
		name: "MIMEDefang with Polyclam.pm", recipe: "mimedefang.md", listener: "listener", network: "unix",
		but:     map[string]outcome{caseEncrypted: encrypted},
		differs: map[string]string{caseEncrypted: tellsApart},
		start: func(t *testing.T, at target) scan {
			return mails(startChain(t, exampleFilter(t, at)))
		},
	},
	{
		name: "MIMEDefang with Polyclam.pm (TCP)", recipe: "mimedefang.md", listener: "listener-tcp", network: "tcp",
		but:     map[string]outcome{caseEncrypted: encrypted},
		differs: map[string]string{caseEncrypted: tellsApart},
		start: func(t *testing.T, at target) scan {
			return routine(t, entityScan, at.fill(snippet(t, "mimedefang.md", "tcp"))+aPart)
		},
	},
}

// aPart makes the entity of a mail's only part.
const aPart = "$entity = MIME::Entity->build(Type => 'text/plain', Data => 'x'); $entity->bodyhandle(MIME::Body::File->new('./Work/part'));"

// mails sends a sample as a mail.
func mails(c *chain) scan {
	return func(t *testing.T, s sample) finding {
		f := c.mail(t, s)
		text := f.triple + " " + f.reply.String()
		switch code := f.reply.Code; {
		case code/100 == 4 && !f.delivered:
			return finding{refused, text}
		case code == 250 && !f.delivered:
			return finding{infected, text}
		case code == 250 && strings.Contains(f.triple, ", encrypted, "):
			return finding{encrypted, text}
		case code == 250 && strings.Contains(f.triple, ", ok, ok)"):
			return finding{clean, text}
		}
		t.Fatalf("the fate of the mail is none of the outcomes: %v", f)
		return finding{}
	}
}

// routine calls one of MIMEDefang's routines for a mail with the sample as its part.
// The outcome is what its triple would do to the mail.
func routine(t *testing.T, function, settings string) scan {
	perl := startCaller(t, "")
	settings = strings.Join(strings.Fields(settings), " ") // one line
	return func(t *testing.T, s sample) finding {
		folder := mailFolder(t, map[string][]byte{"part": s.content})
		got := perl.call(t, function, folder, settings)
		text := got.triple + " " + got.name
		switch f := strings.Fields(got.triple); {
		case len(f) != 3:
		case f[2] == "tempfail":
			return finding{refused, text}
		case f[2] == "quarantine":
			return finding{infected, text}
		case f[1] == "encrypted":
			return finding{encrypted, text}
		case f[1] == "ok":
			return finding{clean, text}
		}
		t.Fatalf("%s returned %q", function, got.triple)
		return finding{}
	}
}

// debianFilter is the filter of Debian's package, unchanged.
func debianFilter(t *testing.T) string {
	t.Helper()
	clamdtest.RequireProgram(t, "mimedefang")
	text, err := os.ReadFile(filterDebian)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exampleFilter is the filter that polyclam ships, with the target's address.
func exampleFilter(t *testing.T, at target) string {
	t.Helper()
	text, err := os.ReadFile(filterExample)
	if err != nil {
		t.Fatal(err)
	}
	const commented = "# $PolyclamSock = '/run/polyclam/clamd.sock';\n"
	if !strings.Contains(string(text), commented) {
		t.Fatalf("the example filter has no line %q", commented)
	}
	return strings.Replace(string(text), commented, fmt.Sprintf("$PolyclamSock = '%s';\n", at.socket), 1)
}
