package clients

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"polyclam/test/mailtest"
)

const (
	toldByRspamd   = "the profile rspamd reports encrypted; clamd does not unless AlertEncrypted is set"
	errorForRspamd = "clamd's ERROR line for a stream over its limit leaves no symbol in rspamd, and the mail passes"
)

var rspamdClients = []client{
	rspamd("rspamd (unix)", "unix", client{recipe: "rspamd.md", listener: "listener"}, recipeRspamd),
	rspamd("rspamd (TCP)", "tcp", client{recipe: "rspamd.md", listener: "listener"}, recipeRspamdTCP),
	rspamd("rspamd (its own timeouts)", "unix", client{recipe: "rspamd.md", listener: "listener-untouched"}, untouchedRspamd),
}

// rspamd is rspamd's antivirus module with a configuration.
func rspamd(name, network string, c client, configure func(testing.TB) rspamdFiles) client {
	c.name, c.network = name, network
	c.but = map[string]outcome{caseEncrypted: encrypted}
	c.differs = map[string]string{caseEncrypted: toldByRspamd}
	if network == "tcp" {
		// Over a Unix socket clamd closes the connection before rspamd has sent the
		// mail, so rspamd never reads the line.
		c.differs[caseOversize] = errorForRspamd
	}
	c.start = func(t *testing.T, at target) scan {
		r := startRspamd(t, at, configure(t))
		sent := 0
		return func(t *testing.T, s sample) finding {
			sent++
			id := fmt.Sprintf("mail-%d", sent)
			return r.check(t, mailtest.Message(id, mailtest.Attachment{Name: s.name, Data: s.content})).finding(t)
		}
	}
	return c
}

// rspamdFiles are files in /etc/rspamd/local.d by name.
type rspamdFiles map[string]string

// recipeRspamd is the configuration that the recipe recommends.
func recipeRspamd(t testing.TB) rspamdFiles {
	return rspamdFiles{
		"antivirus.conf":     snippet(t, "rspamd.md", "antivirus"),
		"force_actions.conf": snippet(t, "rspamd.md", "force-actions"),
		"options.inc":        snippet(t, "rspamd.md", "options"),
	}
}

// recipeRspamdTCP is the same with a TCP port instead of the socket.
func recipeRspamdTCP(t testing.TB) rspamdFiles {
	files := recipeRspamd(t)
	unix := files["antivirus.conf"]
	tcp := strings.TrimSpace(snippet(t, "rspamd.md", "tcp"))
	files["antivirus.conf"] = strings.Replace(unix, `servers = "/run/polyclam/clamd.sock";`, tcp, 1)
	if files["antivirus.conf"] == unix {
		t.Fatal("the block antivirus of rspamd.md names no server")
	}
	return files
}

// untouchedRspamd keeps rspamd's own timeouts: 5 s, three attempts, 8 s for a mail.
func untouchedRspamd(t testing.TB) rspamdFiles {
	return rspamdFiles{
		"antivirus.conf":     snippet(t, "rspamd.md", "antivirus-untouched"),
		"force_actions.conf": snippet(t, "rspamd.md", "force-actions"),
		"options.inc":        snippet(t, "rspamd.md", "options-untouched"),
	}
}

// rspamdReply is the part of the /checkv2 reply that the suite reads.
type rspamdReply struct {
	Action  string `json:"action"`
	Symbols map[string]struct {
		Options []string `json:"options"`
	} `json:"symbols"`
	Messages map[string]string `json:"messages"`
}

func (r rspamdReply) String() string {
	text := r.Action
	for _, name := range slices.Sorted(maps.Keys(r.Symbols)) {
		text += fmt.Sprintf(", %s%v", name, r.Symbols[name].Options)
	}
	return text
}

func (r rspamdReply) has(symbol string) bool {
	_, ok := r.Symbols[symbol]
	return ok
}

// finding is what the mail server does with the mail, and how it is marked.
func (r rspamdReply) finding(t *testing.T) finding {
	t.Helper()
	passes := r.Action == "no action"
	switch {
	case r.has("CLAM_VIRUS") && r.Action == "reject":
		return finding{infected, r.String()}
	case r.has("CLAM_VIRUS_FAIL") && r.Action == "soft reject":
		return finding{refused, r.String()}
	case (r.has("CLAM_VIRUS_FAIL") || r.has("CLAM_VIRUS_PARTIAL")) && passes:
		return finding{flagged, r.String()}
	case r.has("CLAM_VIRUS_ENCRYPTED") && passes:
		return finding{encrypted, r.String()}
	case len(r.Symbols) == 0 && passes:
		return finding{clean, r.String()}
	case len(r.Symbols) == 0 && r.Action == "soft reject" && r.Messages["smtp_message"] == "timeout processing message":
		return finding{refused, r.String() + ": " + r.Messages["smtp_message"]}
	}
	t.Fatalf("rspamd: %s, %v", r, r.Messages)
	return finding{}
}
