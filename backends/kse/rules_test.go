package kse

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// decodeJSON returns the object in a body of protocol 3, or in its beginning.
func decodeJSON(body []byte) []byte {
	_, text, _ := bytes.Cut(body, []byte(`"object": "`))
	text, _, _ = bytes.Cut(text, []byte(`"`))
	object := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, _ := base64.StdEncoding.Decode(object, text[:len(text)/4*4])
	return object[:n]
}

// misbehaving starts an engine that misbehaves.
func misbehaving(t *testing.T, protocol int, m backendtest.Misbehaviour) *wiretest.Server {
	if protocol == 1 {
		return wiretest.Start(t, "unix", func(body []byte) []byte { return body }, func(c backends.Category) string {
			return plain(strings.TrimSpace(results[c][0]+" "+results[c][1]) + "\r\n")
		}, m)
	}
	return wiretest.Start(t, "unix", decodeJSON, func(c backends.Category) string { return kept(object(results[c][0], results[c][1], "")) }, m)
}

// object returns an answer of protocol 3 with parts.
func object(result, name, parts string) string {
	return fmt.Sprintf(`{"object":"memory","scanResult":%q,"detectionName":%q,"subObjectsScanResults":[%s]}`, result, name, parts)
}

// kept returns an answer after which the connection stays open.
func kept(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestRules(t *testing.T) {
	const locked, canceled, failed = `{"object":"a","scanResult":"NON_SCANNED (PASSWORD PROTECTED)"}`, `{"object":"b","scanResult":"NON_SCANNED (CANCELED)"}`, `{"object":"c","scanResult":"SERVER_ERROR"}`
	g := backendtest.Together(t)
	defer g.Wait()
	for name, rules := range map[string]backendtest.Rules{
		"1": {
			Masked: map[string]string{
				"two lines":          plain("NON_SCANNED (PASSWORD PROTECTED)\r\nSERVER_ERROR\r\n"),
				"locked and cut off": until("NON_SCANNED (PASSWORD PROTECTED)"),
			},
			Failures: map[string]string{
				"password": plain("SERVER_ERROR (PASSWORD PROTECTED)\r\n"), "corrupt": plain("NON_SCANNED (DATABASES CORRUPTED)\r\n"), "skipped": plain("NON_SCANNED (SKIPPED, LIMIT)\r\n"),
			},
			Blocked: map[string]string{"stealer": plain("DETECT Trojan-PSW.PasswordStealer\r\n"), "encryptor": plain("DETECT Trojan-Ransom.Encryptor,Password protected\r\n")},
		},
		"3": {
			Masked: map[string]string{
				"canceled": kept(object("CLEAN", "", locked+","+canceled)), "failed": kept(object("CLEAN", "", locked+","+failed)),
				"locked whole": kept(object("NON_SCANNED (PASSWORD PROTECTED)", "", canceled)), "unknown": kept(object("CLEAN", "", locked+`,{"scanResult":"?"}`)),
			},
			Failures: map[string]string{"password": kept(object("SERVER_ERROR", "", "") + "password"), "error": kept(`{"error":"limit of passwords"}`)},
			Blocked:  map[string]string{"stealer": kept(object("DETECT", "Trojan.PasswordStealer", "")), "with": kept(object("DETECT", "Encryptor", locked+","+failed))},
		},
	} {
		for _, keep := range []bool{false, true} {
			g.Run(fmt.Sprintf("%s, keepalive %v", name, keep), func(t *testing.T) {
				protocol := int(name[0] - '0')
				rules := rules
				rules.Open = func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return open(t, misbehaving(t, protocol, m).Address, func(c *Config) { c.Protocol, c.KeepAlive = protocol, keep })
				}
				backendtest.RunRules(t, rules)
			})
		}
	}
}

// TestStray repeats answers 20 to 60 ms later.
func TestStray(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, protocol := range []int{1, 3} {
		for _, keep := range []bool{false, true} {
			for _, later := range []time.Duration{20, 40, 60} {
				g.Run(fmt.Sprintf("protocol %d, keepalive %v, %d ms", protocol, keep, later), func(t *testing.T) {
					s := misbehaving(t, protocol, backendtest.Misbehaviour{Repeat: later * time.Millisecond})
					b := open(t, s.Address, func(c *Config) { c.Protocol, c.KeepAlive = protocol, keep })
					wiretest.Stray(t, b, s.Repeats())
				})
			}
		}
	}
}
