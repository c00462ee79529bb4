package httpscan

import (
	"fmt"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// misbehaving starts a clamav-rest for raw objects that misbehaves.
func misbehaving(t *testing.T, m backendtest.Misbehaviour) *wiretest.Server {
	say := func(c backends.Category) string {
		switch c {
		case backends.OK:
			return answer(200, "{OK   200}")
		case backends.SWErr:
			return answer(400, "{ERROR Can't allocate memory  400}")
		}
		return answer(406, fmt.Sprintf("{FOUND %s  406}", names[c]))
	}
	return wiretest.Start(t, "tcp", func(body []byte) []byte { return body }, say, m)
}

func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, keep := range []bool{false, true} {
		g.Run(fmt.Sprint("keepalive ", keep), func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return open(t, misbehaving(t, m).Address, func(c *Config) { raw(c); c.KeepAlive = keep })
				},
				Masked: map[string]string{
					"locked and cut off": "HTTP/1.0 406 X\r\nConnection: close\r\n\r\n{FOUND Heuristics.Encrypted.Zip  406}",
				},
				Failures: map[string]string{
					"password":   answer(400, "{ERROR Password list cannot be read  400}"),
					"limit":      answer(500, "{ERROR memory limit reached  500}"),
					"size limit": answer(412, "{PARSE ERROR size limit exceeded  412}"),
				},
				Blocked: map[string]string{
					"stealer":   answer(406, "{FOUND Trojan PasswordStealer blocked  406}"),
					"encryptor": answer(406, "{FOUND Ransom.FileEncryptor  406}"),
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
				s := misbehaving(t, backendtest.Misbehaviour{Repeat: later * time.Millisecond})
				b := open(t, s.Address, func(c *Config) { raw(c); c.KeepAlive = keep })
				wiretest.Stray(t, b, s.Repeats())
			})
		}
	}
}
