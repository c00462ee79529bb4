package polyclam

import (
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/clamdclient/clamdfake"
)

// answer returns an answer with a status line, records for these engines, and a SUMMARY
// of the category.
func answer(status string, category backends.Category, engines ...string) string {
	action := "ok"
	switch {
	case strings.HasSuffix(status, "FOUND"):
		action = "quarantine"
	case strings.HasSuffix(status, "ERROR"):
		action = "tempfail"
	}
	lines := []string{status}
	for _, e := range engines {
		lines = append(lines, e+" ENGINE")
	}
	lines = append(lines, fmt.Sprintf("category=%s action=%s code=1 engine=a engines=%d failed=0 version=1 SUMMARY", category, action, len(engines)))
	return "OBJECT: " + strings.Join(lines, "\nOBJECT: ") + "\nEND"
}

// words are the answers of a polyclam for objects of each category.
var words = map[backends.Category]string{
	backends.OK:         answer("OK", backends.OK, "engine=a category=ok action=ok code=0"),
	backends.Virus:      answer("Eicar FOUND", backends.Virus, "engine=a category=virus action=quarantine code=1 name=Eicar"),
	backends.Suspicious: answer("PUA.A FOUND", backends.Suspicious, "engine=a category=suspicious action=quarantine code=1 name=PUA.A"),
	backends.Encrypted:  answer("OK", backends.Encrypted, lockedEngine),
	backends.Partial:    answer("OK", backends.Partial, "engine=a category=partial action=ok code=1"),
	backends.SWErr:      answer("Scan failed ERROR", backends.SWErr, "engine=a category=swerr action=tempfail code=1 msg=x"),
}

const (
	lockedEngine = "engine=a category=encrypted action=ok code=2 name=Heuristics.Encrypted.Zip"
	failedEngine = "engine=b category=swerr action=tempfail code=1 msg=x"
)

func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, network := range []string{"unix", "tcp"} {
		g.Run(network, func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					say := func(c backends.Category) string { return words[c] }
					return open(t, clamdfake.Server{Misbehaviour: m, Network: network, Say: say}.Start(t), transportStream)
				},
				Masked: map[string]string{
					"two engines":       answer("OK", backends.Encrypted, lockedEngine, failedEngine),
					"the other way":     answer("OK", backends.Encrypted, failedEngine, lockedEngine),
					"their tempfail":    answer("Scan failed ERROR", backends.SWErr, lockedEngine, failedEngine),
					"named as found":    answer("Heuristics.Scan.Failed FOUND", backends.SWErr, lockedEngine, failedEngine),
					"ok beside":         answer("OK", backends.Encrypted, "engine=c category=ok action=ok code=0", lockedEngine, failedEngine),
					"timeout":           answer("OK", backends.Encrypted, lockedEngine, "engine=b category=interrupted action=tempfail code=999 msg=late"),
					"unreachable":       answer("OK", backends.Partial, "engine=a category=partial action=ok code=1", "engine=b category=cannot-execute action=tempfail code=999"),
					"one engine":        answer("OK", backends.Encrypted, lockedEngine+" failure=swerr msg=x"),
					"one engine, late":  answer("OK", backends.Partial, "engine=a category=partial action=ok code=1 failure=interrupted"),
					"unknown failure":   answer("OK", backends.Encrypted, lockedEngine+" failure=odd"),
					"failure is ok":     answer("OK", backends.Encrypted, lockedEngine+" failure=ok"),
					"unknown category":  answer("OK", backends.Encrypted, lockedEngine, "engine=b category=fine action=ok code=1"),
					"SUMMARY says ok":   answer("OK", backends.OK, lockedEngine, failedEngine),
					"SUMMARY fails":     answer("Scan failed ERROR", backends.SWErr, lockedEngine),
					"SUMMARY of none":   strings.Replace(answer("OK", backends.Encrypted, lockedEngine), "engines=1", "engines=2", 1),
					"another object":    strings.Replace(answer("OK", backends.Encrypted, lockedEngine, failedEngine), "OBJECT: engine=b", "/x: engine=b", 1),
					"no END":            strings.TrimSuffix(answer("OK", backends.Encrypted, lockedEngine), "\nEND") + "\n",
					"two status lines":  strings.TrimSuffix(answer("OK", backends.Encrypted, lockedEngine), "\nEND") + "\nOBJECT: Can't allocate memory ERROR\nEND",
					"virus beside both": answer("A FOUND", backends.Virus, "engine=c category=virus action=quarantine code=1 name=A", lockedEngine, failedEngine),
				},
				Failures: map[string]string{
					"password":      answer("Scan failed ERROR", backends.SWErr, `engine=a category=swerr action=tempfail code=1 msg="password protected, encrypted"`),
					"limit":         answer("Scan failed ERROR", backends.SWErr, `engine=a category=swerr action=tempfail code=1 msg="Exceeded max scan size"`),
					"name":          answer("Scan failed ERROR", backends.SWErr, `engine=a category=swerr action=tempfail code=1 name=Heuristics.Encrypted.Zip msg="category=encrypted"`),
					"engine's name": answer("Scan failed ERROR", backends.SWErr, `engine="x category=encrypted" category=swerr action=tempfail code=1`),
					"category":      answer("OK", backends.OK, "engine=a category=password-protected action=ok code=0"),
					"ok":            answer("OK", backends.OK, "engine=a category=ok action=ok code=0 failure=interrupted msg=encrypted"),
					"SUMMARY":       answer("OK", "Encrypted", "engine=a category=ok action=ok code=0"),
					"status line":   "OBJECT: Encrypted archive ERROR",
					"terse":         "INSTREAM size limit exceeded by a password. ERROR",
					"status alone":  "OBJECT: Heuristics.Limits.Exceeded.MaxFiles ERROR\nEND",
					"plain clamd":   "UNKNOWN COMMAND",
				},
				Blocked: map[string]string{
					"stealer":     answer("Trojan.PasswordStealer FOUND", backends.Virus, "engine=a category=virus action=quarantine code=1 name=Trojan.PasswordStealer"),
					"encryptor":   answer("Win.Ransomware.Encryptor FOUND", backends.Virus, "engine=a category=virus action=quarantine code=1 name=Win.Ransomware.Encryptor"),
					"its rule":    answer("Heuristics.Encrypted.Zip FOUND", backends.Virus, "engine=a category=virus action=quarantine code=1 name=Heuristics.Encrypted.Zip"),
					"limit":       answer("Heuristics.Limits.Exceeded FOUND", backends.Suspicious, "engine=a category=suspicious action=quarantine code=1 name=Heuristics.Limits.Exceeded"),
					"message":     answer("A FOUND", backends.Virus, `engine=a category=virus action=quarantine code=1 name=A msg="category=encrypted password limit"`),
					"its ok":      answer("OK", backends.OK, "engine=a category=virus action=ok code=1 name=Ransom.FileEncryptor"),
					"beside both": answer("A FOUND", backends.Virus, lockedEngine, failedEngine, "engine=c category=virus action=quarantine code=1 name=A"),
				},
			})
		})
	}
}
