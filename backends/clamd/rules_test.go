package clamd

import (
	"context"
	"fmt"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// failures are answers that are not in the table, although they contain its words.
var failures = map[string]string{
	"password":      "OBJECT: Password protected file ERROR",
	"encrypted":     "OBJECT: Encrypted archive ERROR",
	"limit":         "OBJECT: File size limit exceeded ERROR",
	"more of it":    "OBJECT: Exceeded max scan size of the password list ERROR",
	"not its end":   "OBJECT: the database: Bad format or broken data ERROR",
	"name":          "OBJECT: Heuristics.Encrypted.Zip ERROR",
	"corrupt":       "OBJECT: Malformed database, can't parse data ERROR",
	"excluded":      "OBJECT: Excluded (password protected)",
	"annotated":     "OBJECT: Encrypted(category=encrypted) OK",
	"another":       "password: Heuristics.Encrypted.Zip OK",
	"no object":     "Encrypted archive",
	"stream limits": "INSTREAM size limit exceeded by the password list. ERROR",
	"two lines":     "OBJECT: OK\nOBJECT: Can't allocate memory ERROR",
}

// blocked are names of viruses that contain such words.
var blocked = map[string]string{
	"stealer":      "OBJECT: Trojan.PasswordStealer FOUND",
	"encryptor":    "OBJECT: Win.Ransomware.Encryptor-1-0 FOUND",
	"encrypted":    "OBJECT: Win.Ransom.FileEncrypted.Zip FOUND",
	"limit":        "OBJECT: Trojan.Limits.Exceeded FOUND",
	"heuristic":    "OBJECT: Heuristics.Encrypter FOUND",
	"longer":       "OBJECT: Heuristics.Limits.ExceededX FOUND",
	"local":        "OBJECT: Heuristics.Encrypted.Zip.UNOFFICIAL FOUND",
	"local, limit": "OBJECT: Heuristics.Limits.Exceeded.UNOFFICIAL FOUND",
	"null":         "OBJECT: (null).Encrypted FOUND",
	"broken":       "OBJECT: Heuristics.Broken.Executable FOUND",
}

// several are answers of several lines: a finding other than a virus, and a failure.
var several = map[string]string{
	"locked, failed":  "OBJECT: Heuristics.Encrypted.Zip FOUND\nOBJECT: Can't allocate memory ERROR",
	"failed, locked":  "OBJECT: Can't allocate memory ERROR\nOBJECT: Heuristics.Encrypted.Zip FOUND",
	"locked, timeout": "OBJECT: Heuristics.Encrypted.Zip FOUND\nOBJECT: Exceeded time limit ERROR",
	"limit, failed":   "OBJECT: Heuristics.Limits.Exceeded.MaxFiles FOUND\nOBJECT: Access denied. ERROR",
	"null, failed":    "OBJECT: (null) FOUND\nOBJECT: Malformed database ERROR",
	"locked, OK":      "OBJECT: Heuristics.Encrypted.Zip FOUND\nOBJECT: OK",
	"locked, unknown": "OBJECT: Heuristics.Encrypted.Zip FOUND\nOBJECT: Something new",
	"locked, another": "OBJECT: Heuristics.Encrypted.Zip FOUND\n/x: A FOUND",
}

// TestRules checks the rules with every transport. clamd answers INSTREAM, and every scan
// in a session, with one line, which cannot contain both a finding and a failure. So
// Masked is only for SCAN without a session and for ALLMATCHSCAN; for the others see
// TestSecondLine.
func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, sessions := range []bool{true, false} {
		for _, network := range []string{"unix", "tcp"} {
			g.Run(fmt.Sprintf("stream, %s, sessions %v", network, sessions), func(t *testing.T) {
				backendtest.RunRules(t, backendtest.Rules{
					Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
						return openFor(t, startFake(t, network, m), transportStream, sessions)
					},
					Failures: failures, Blocked: blocked,
				})
			})
		}
		g.Run(fmt.Sprintf("path, sessions %v", sessions), func(t *testing.T) {
			rules := backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return openFor(t, startFake(t, "unix", m), transportPath, sessions)
				},
				Failures: failures, Blocked: blocked, NoStream: true,
			}
			if !sessions {
				rules.Masked = several
			}
			backendtest.RunRules(t, rules)
		})
	}
	g.Run("all matches", func(t *testing.T) {
		backendtest.RunRules(t, backendtest.Rules{
			Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
				return allMatches{openFor(t, startFake(t, "unix", m), transportPath, true)}
			},
			Masked: several, Failures: failures, Blocked: blocked, NoStream: true,
		})
	})
}

// allMatches scans with ScanAll.
type allMatches struct{ *Backend }

func (b allMatches) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.ScanAll(ctx, o)
}

// TestSecondLine checks that a second line is a failure where the answer must be one line.
func TestSecondLine(t *testing.T) {
	for name, answer := range several {
		for _, tt := range []struct {
			transport string
			sessions  bool
		}{{transportStream, true}, {transportStream, false}, {transportPath, true}} {
			b := openFor(t, startFake(t, "unix", backendtest.Misbehaviour{Odd: answer}), tt.transport, tt.sessions)
			r, err := b.Scan(backendtest.Context(t), backendtest.Bytes(t, []byte(odd)))
			if got := categories(r, err); got != "swerr" {
				t.Errorf("%s, %s, sessions %v: got %+v, %v, want a failure alone", name, tt.transport, tt.sessions, r, err)
			}
		}
	}
}
