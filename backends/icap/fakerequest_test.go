package icap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"
)

// readRequest reads everything except the body, and checks it against RFC 3507.
func readRequest(tb testing.TB, br *bufio.Reader) (*received, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		return nil, err
	}
	var uri string
	q := &received{br: br, tb: tb, parts: map[string]string{}}
	if _, err := fmt.Sscanf(line, "%s %s ICAP/1.0\r\n", &q.method, &uri); err != nil || !strings.HasPrefix(uri, "icap://") {
		tb.Errorf("request line %q", line)
	}
	q.service = path.Base(uri)
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return nil, err
		}
		if line == "\r\n" {
			break
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok || !strings.HasSuffix(value, "\r\n") {
			tb.Errorf("header line %q", line)
		}
		q.fields = append(q.fields, field{strings.ToLower(name), strings.TrimSuffix(value, "\r\n")})
	}
	if q.get("host") == "" {
		tb.Error("no Host")
	}
	if q.method == "OPTIONS" {
		return q, nil
	}
	if q.get("allow") != "204" {
		tb.Errorf("Allow: %q", q.get("allow"))
	}
	return q, q.readParts()
}

func (q *received) get(name string) string {
	h := head{fields: q.fields}
	return h.get(name)
}

// readParts reads the encapsulated parts by their offsets alone. Each must be one whole
// HTTP header.
func (q *received) readParts() error {
	at, name := 0, ""
	for i, e := range strings.Split(q.get("encapsulated"), ", ") {
		n, offset, _ := strings.Cut(e, "=")
		to, err := strconv.Atoi(offset)
		if err != nil || i == 0 && to != 0 {
			q.tb.Errorf("Encapsulated: %q", q.get("encapsulated"))
		}
		if i > 0 {
			part := make([]byte, to-at)
			if _, err := io.ReadFull(q.br, part); err != nil {
				return err
			}
			if !bytes.HasSuffix(part, []byte("\r\n\r\n")) || bytes.Count(part, []byte("\r\n\r\n")) != 1 {
				q.tb.Errorf("%s is %q", name, part)
			}
			q.parts[name] = string(part)
		}
		at, name = to, n
	}
	q.parts[name] = ""
	q.checkHTTP()
	return nil
}

// checkHTTP checks that package net/http can read the encapsulated headers.
func (q *received) checkHTTP() {
	if p := q.parts["req-hdr"]; p != "" {
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(p))); err != nil {
			q.tb.Errorf("%q: %v", p, err)
		}
	}
	if p := q.parts["res-hdr"]; p != "" {
		if _, err := http.ReadResponse(bufio.NewReader(strings.NewReader(p)), nil); err != nil {
			q.tb.Errorf("%q: %v", p, err)
		}
	}
}

// readBody reads the chunks to the end of the body or of a preview. It reports whether
// the last chunk has the extension ieof.
func (q *received) readBody() (ieof bool) {
	if q.method == "OPTIONS" {
		return false
	}
	for {
		line, err := q.br.ReadString('\n')
		if err != nil {
			return false
		}
		digits, extension, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ";")
		n, err := strconv.ParseInt(digits, 16, 32)
		if err != nil {
			q.tb.Errorf("chunk %q: %v", line, err)
			return false
		}
		data := make([]byte, n+2)
		if _, err := io.ReadFull(q.br, data); err != nil {
			return false
		}
		if string(data[n:]) != "\r\n" {
			q.tb.Errorf("chunk ends in %q", data[n:])
		}
		q.body = append(q.body, data[:n]...)
		if n == 0 {
			return extension == " ieof"
		}
	}
}
