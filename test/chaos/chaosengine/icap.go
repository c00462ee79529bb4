package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
)

// serveICAP answers OPTIONS and RESPMOD as c-icap does.
func serveICAP(c *conversation) error {
	r := bufio.NewReader(c)
	for {
		text := textproto.NewReader(r)
		line, err := text.ReadLine()
		if err != nil {
			return err
		}
		header, err := text.ReadMIMEHeader()
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, "OPTIONS ") {
			_, err = fmt.Fprintf(c, "ICAP/1.0 200 OK\r\nMethods: RESPMOD, REQMOD\r\nService: C-ICAP/0.5.10 server - Antivirus service\r\n"+
				"ISTag: \"CI0001-%d\"\r\nOptions-TTL: 3600\r\nAllow: 204\r\nEncapsulated: null-body=0\r\n\r\n", c.mode().Generation)
		} else {
			err = c.respmod(r, header)
		}
		if err != nil {
			return err
		}
	}
}

func (c *conversation) respmod(r *bufio.Reader, header textproto.MIMEHeader) error {
	// The HTTP header ends where the body begins.
	parts := strings.Split(header.Get("Encapsulated"), ", ")
	_, offset, _ := strings.Cut(parts[len(parts)-1], "=")
	skip, err := strconv.Atoi(offset)
	if err != nil {
		return err
	}
	if _, err := r.Discard(skip); err != nil {
		return err
	}
	s := c.begin()
	answer := func() error {
		text := icapWords(s)
		return s.say(text, "ICAP/1.0 500 Server error\r\nServer: C-ICAP/0.5.10\r\nConnection: close\r\n\r\n", "ICAP/1.0 100 Continue\r\n\r\n")
	}
	// An empty line follows the last chunk.
	if err := s.receive(&body{r: r, chunks: httputil.NewChunkedReader(r)}, -1, answer); err != nil {
		return err
	}
	return answer()
}

// body reads the chunks and the line after them.
type body struct {
	r      *bufio.Reader
	chunks io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.chunks.Read(p)
	if err != io.EOF {
		return n, err
	}
	if line, err := b.r.ReadString('\n'); err != nil || strings.TrimSpace(line) != "" {
		return n, io.ErrUnexpectedEOF
	}
	return n, io.EOF
}

func icapWords(s *scanning) string {
	name := s.j.Virus
	if name == "" && s.j.Encrypted {
		name = "Heuristics.Encrypted.Zip"
	}
	if name == "" {
		return "ICAP/1.0 204 Unmodified\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\n\r\n"
	}
	page := "HTTP/1.0 403 Forbidden\r\nServer: C-ICAP\r\nContent-Type: text/html\r\n\r\n"
	return fmt.Sprintf("ICAP/1.0 200 OK\r\nServer: C-ICAP/0.5.10\r\nConnection: keep-alive\r\nX-Infection-Found: Type=0; Resolution=2; Threat=%s;\r\n"+
		"Encapsulated: res-hdr=0, res-body=%d\r\n\r\n%sd\r\n<html></html>\r\n0\r\n\r\n", name, len(page), page)
}
