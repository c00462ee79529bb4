package mailtest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"time"
)

// The sender and the recipient of every mail of [Send] and [Message].
const (
	Sender    = "sender@sender.example"
	Recipient = "recipient@recipient.example"
)

// idHeader names a mail in the sink. Mail programs leave it alone.
const idHeader = "X-Test-Id"

// Attachment is a file in a mail.
type Attachment struct {
	Name string // file name
	Type string // media type; empty: application/octet-stream
	Data []byte
}

// Message returns a MIME mail with a short text and the attachments in base64, with
// CRLF line ends. id, a plain word without blanks, names the mail in Message-ID
// (<id@sender.example>), X-Test-Id and the subject.
func Message(id string, attachments ...Attachment) []byte {
	var mail bytes.Buffer
	parts := multipart.NewWriter(&mail)
	for _, line := range [][2]string{
		{"From", Sender}, {"To", Recipient}, {"Subject", "Test " + id},
		{"Date", time.Now().Format(time.RFC1123Z)}, {"Message-ID", "<" + id + "@sender.example>"},
		{idHeader, id}, {"MIME-Version", "1.0"},
		{"Content-Type", mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": parts.Boundary()})},
	} {
		fmt.Fprintf(&mail, "%s: %s\r\n", line[0], line[1])
	}
	mail.WriteString("\r\n")

	// Writing to a bytes.Buffer does not fail.
	text, _ := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/plain; charset=us-ascii"}})
	fmt.Fprintf(text, "This is the mail %s.\r\n", id)
	for _, a := range attachments {
		part, _ := parts.CreatePart(a.header())
		part.Write(base64Lines(a.Data))
	}
	parts.Close()
	return mail.Bytes()
}

func (a Attachment) header() textproto.MIMEHeader {
	kind := a.Type
	if kind == "" {
		kind = "application/octet-stream"
	}
	return textproto.MIMEHeader{
		"Content-Type":              {mime.FormatMediaType(kind, map[string]string{"name": a.Name})},
		"Content-Disposition":       {mime.FormatMediaType("attachment", map[string]string{"filename": a.Name})},
		"Content-Transfer-Encoding": {"base64"},
	}
}

// base64Lines encodes data in lines of 76 characters.
func base64Lines(data []byte) []byte {
	text := base64.StdEncoding.AppendEncode(nil, data)
	var lines bytes.Buffer
	for len(text) > 0 {
		n := min(76, len(text))
		lines.Write(text[:n])
		lines.WriteString("\r\n")
		text = text[n:]
	}
	return lines.Bytes()
}
