package icap

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// misbehaving returns a service that misbehaves.
func misbehaving(m backendtest.Misbehaviour, repeats *wiretest.Repeats) service {
	return func(nc io.Writer, q *received) bool {
		if m.Early {
			if head, err := q.br.Peek(2 << 10); err == nil {
				io.WriteString(nc, answers[backendtest.Marked(head)])
				io.Copy(io.Discard, q.br)
				return false
			}
		}
		q.readBody()
		answer := answers[backendtest.Marked(q.body)]
		if m.Odd != "" && bytes.Contains(q.body, []byte(backendtest.MarkOdd)) {
			answer = m.Odd
		}
		if m.Repeat > 0 {
			time.Sleep(2 * time.Millisecond) // the duration of a scan
		}
		sent := time.Now()
		if _, err := io.WriteString(nc, answer); err != nil {
			return false
		}
		return m.Repeat == 0 || repeats.Repeat(nc.(net.Conn), q.br, sent, m.Repeat, answer)
	}
}

func TestRules(t *testing.T) {
	const locked = "X-Infection-Found: Type=2; Resolution=2; Threat=Encrypted container violation;\r\n"
	g := backendtest.Together(t)
	defer g.Wait()
	for _, keep := range []bool{false, true} {
		g.Run(fmt.Sprint("keepalive ", keep), func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					f := startFake(t, map[string]service{"avscan": misbehaving(m, new(wiretest.Repeats))})
					return open(t, f.address(), func(c *Config) { c.KeepAlive = keep })
				},
				Masked: map[string]string{
					"500":                "ICAP/1.0 500 E\r\n" + locked + "\r\n",
					"500, described":     "ICAP/1.0 500 E\r\nX-Response-Desc: Encrypted Archive\r\n\r\n",
					"503, code":          "ICAP/1.0 503 E\r\nX-Error-Code: password_protected\r\n\r\n",
					"page 500":           page(locked, "500 Internal Server Error", ""),
					"page 401":           page(locked, "401 Unauthorized", ""),
					"codes":              "ICAP/1.0 204 OK\r\nX-Error-Code: password_protected\r\nX-Error-Code: antivirus_engine_error\r\n\r\n",
					"204, F-Secure":      "ICAP/1.0 204 OK\r\n" + locked + "X-FSecure-Scan-Result: failed\r\n\r\n",
					"limits, F-Secure":   "ICAP/1.0 204 OK\r\nX-Error-Code: decode_error\r\nX-FSecure-Scan-Result: failed\r\n\r\n",
					"violations unknown": page(locked+"X-Violations-Found: many\r\n", "403 Forbidden", ""),
					"page is broken":     strings.TrimSuffix(page(locked, "403 Forbidden", ""), "0\r\n\r\n") + "no size\r\n",
				},
				Failures: map[string]string{
					"code":        "ICAP/1.0 500 E\r\nX-Error-Code: password_store_error\r\n\r\n",
					"described":   "ICAP/1.0 500 Server error\r\nX-Response-Desc: password list is encrypted, limit exceeded\r\n\r\n",
					"status line": "ICAP/1.0 500 Encrypted archive\r\n\r\n",
					"page":        page("", "500 Encrypted archive limit", ""),
					"key":         page("", "401 Encrypted archive", ""),
					"no name":     page("X-Response-Desc: container size limit\r\n", "400 Bad Request", ""),
				},
				Blocked: map[string]string{
					"encryptor":       page("X-Block-Reason: Ransom.FileEncryptor\r\n", "403 Forbidden", ""),
					"described":       page("X-Response-Desc: Blocked, ransomware Encryptor\r\n", "403 Forbidden", ""),
					"type 2":          page("X-Infection-Found: Type=2; Resolution=2; Threat=Trojan.Accountstealer;\r\n", "403 Forbidden", ""),
					"type 2, count":   page("X-Infection-Found: Type=2; Resolution=2; Threat=Container of a size and count violation;\r\n", "403 Forbidden", ""),
					"stealer":         page("X-Virus-ID: Trojan PasswordStealer blocked\r\n", "403 Forbidden", ""),
					"with 500":        page("X-Virus-ID: Trojan PasswordStealer blocked\r\n", "500 E", ""),
					"password reason": page("X-Blocked-Reason: Password protected files are not allowed here\r\n", "403 Forbidden", ""),
				},
			})
		})
	}
}

// TestStray repeats answers 20 to 60 ms later.
func TestStray(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, keep := range []bool{false, true} {
		for _, later := range []time.Duration{20, 40, 60} {
			g.Run(fmt.Sprintf("keepalive %v, %d ms", keep, later), func(t *testing.T) {
				repeats := new(wiretest.Repeats)
				f := startFake(t, map[string]service{"avscan": misbehaving(backendtest.Misbehaviour{Repeat: later * time.Millisecond}, repeats)})
				wiretest.Stray(t, open(t, f.address(), func(c *Config) { c.KeepAlive = keep }), repeats)
			})
		}
	}
}

// TestTrailingAnswer checks that a 204 is not clean if anything follows it, even if the
// server closes the connection.
func TestTrailingAnswer(t *testing.T) {
	for _, clean := range []string{"ICAP/1.0 204 Unmodified\r\n\r\n", "ICAP/1.0 204 Unmodified\r\nConnection: close\r\n\r\n"} {
		f := startFake(t, map[string]service{"avscan": says(clean + recordedFound)})
		if r, err := open(t, f.address()).Scan(t.Context(), backendtest.Bytes(t, []byte(hello))); err == nil {
			t.Errorf("%q and a virus: %+v", clean, r)
		}
	}
}
