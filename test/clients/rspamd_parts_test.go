package clients

import (
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/mailtest"
)

// TestRspamdParts compares what rspamd finds in whole mails, as the recipe configures,
// and in parts, its default. In parts it skips what is not an attachment: such mail
// passes unscanned, as the recipe says.
func TestRspamdParts(t *testing.T) {
	t.Parallel()
	whole, parts := recipeRspamd(t), recipeRspamd(t)
	parts["antivirus.conf"] = strings.Replace(whole["antivirus.conf"], "scan_mime_parts = false", "scan_mime_parts = true", 1)
	if parts["antivirus.conf"] == whole["antivirus.conf"] {
		t.Fatal("the recipe does not have whole mails scanned")
	}
	at := newTarget(t, client{network: "unix"})
	at.startPolyclam(t, rspamdClients[0], &engines{clamd: clamdtest.Start(t, clamdtest.Options{}).Socket}, worldUp)
	inWhole, inParts := startRspamd(t, at, whole), startRspamd(t, at, parts)
	for _, tt := range rspamdMails() {
		t.Run(tt.name, func(t *testing.T) {
			if got := inWhole.check(t, tt.mail).finding(t); got.outcome != tt.whole {
				t.Errorf("whole: %s (%s), want %s", got.outcome, got.text, tt.whole)
			}
			if got := inParts.check(t, tt.mail).finding(t); got.outcome != tt.parts {
				t.Errorf("in parts: %s (%s), want %s", got.outcome, got.text, tt.parts)
			}
		})
	}
}

// A rspamdMail is a mail with rspamd's result for it.
type rspamdMail struct {
	name         string
	mail         []byte
	whole, parts outcome
}

func rspamdMails() []rspamdMail {
	attached := func(files ...mailtest.Attachment) []byte { return mailtest.Message("parts", files...) }
	bare := func(kind string) []byte {
		return []byte("From: " + mailtest.Sender + "\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + "\r\n\r\n" + clamdtest.EICAR() + "\r\n")
	}
	file := func(name, sample string) mailtest.Attachment {
		return mailtest.Attachment{Name: name, Data: samples()[sample].content}
	}
	text := mailtest.Attachment{Name: "eicar.txt", Type: "text/plain", Data: []byte(clamdtest.EICAR())}
	image := mailtest.Attachment{Name: "eicar.png", Type: "image/png", Data: []byte(clamdtest.EICAR())}
	inline := []byte(strings.Replace(string(attached(file("a.com", sampleEICAR))), "Disposition: attachment", "Disposition: inline", 1))
	return []rspamdMail{
		{"nothing attached", attached(), clean, clean},
		{"clean", attached(file("a.bin", sampleClean)), clean, clean},
		{"virus", attached(file("a.com", sampleEICAR)), infected, infected},
		{"virus as text", attached(text), infected, infected},
		{"virus as image", attached(image), infected, infected},
		{"virus inline", inline, infected, infected},
		{"virus in ZIP", attached(file("a.zip", sampleEICARZip)), infected, infected},
		{"encrypted", attached(file("a.zip", sampleEncrypted)), encrypted, encrypted},
		{"encrypted, then a virus", attached(file("a.zip", sampleEncrypted), file("a.com", sampleEICAR)), infected, infected},
		{"too large", attached(file("a.bin", sampleLarge)), refused, refused},
		{"too large, then a virus", attached(file("a.bin", sampleLarge), file("a.com", sampleEICAR)), refused, infected},
		{"too large, then encrypted", attached(file("a.bin", sampleLarge), file("a.zip", sampleEncrypted)), refused, refused},
		{"text that is a virus", bare("text/plain"), infected, clean},
		{"HTML that is a virus", bare("text/html"), infected, clean},
		{"nothing but a virus", bare("application/octet-stream"), infected, clean},
	}
}
