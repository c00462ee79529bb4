package testfile

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"net/mail"
	"testing"
)

// TestPackedEICAR checks that only an engine that unpacks archives can find EICAR.
func TestPackedEICAR(t *testing.T) {
	data := PackedEICAR()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 1 {
		t.Fatalf("%d members", len(r.File))
	}
	m, err := r.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(m); err != nil || !bytes.Equal(got, EICAR()) {
		t.Errorf("the member is %q, %v", got, err)
	}
	if bytes.Contains(data, EICAR()[:20]) {
		t.Error("EICAR is not compressed")
	}
}

// TestMailedEICAR checks that the mail is small and unique, and that only an engine that
// decodes mail can find EICAR.
func TestMailedEICAR(t *testing.T) {
	data := MailedEICAR(NewNonce())
	if len(data) > 512 || bytes.Contains(data, EICAR()[:20]) {
		t.Errorf("%d bytes: %q", len(data), data)
	}
	if bytes.Equal(data, MailedEICAR(NewNonce())) {
		t.Error("two mails are equal")
	}
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil || !bytes.Equal(got, EICAR()) {
		t.Errorf("the attachment is %q, %v", got, err)
	}
}
