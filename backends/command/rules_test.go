package command

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/command/commandfake"
)

// ends describes a raw answer: the preset, the exit status, and what the program prints
// about PATH.
func ends(preset string, status int, output string) string {
	return fmt.Sprintf("%s %d\n%s", preset, status, output)
}

// misbehaving returns a backend whose program gives a raw answer, see [ends].
func misbehaving(t *testing.T, odd string) backends.Backend {
	t.Helper()
	head, output, _ := strings.Cut(odd, "\n")
	name, number, _ := strings.Cut(head, " ")
	status, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, preset(name, commandfake.Odd(t, backendtest.MarkOdd, output, status)))
}

const (
	locked   = "Password protected file PATH/a.txt\n"
	unopened = "Could not open PATH/m.bin\n"
)

// What kav replaces in a summary.
const lockedCount, corruptCount, errorCount = "Password protected:  1", "Corrupted:           1", "Scan errors:         1"

// kav returns the summary of Kaspersky's scanner for a clean file, with changes.
func kav(changes ...string) string {
	return strings.NewReplacer(changes...).Replace("Objects scanned:     1\r\nThreats found:       0\r\nSuspicious:          0\r\nScan errors:         0\r\nPassword protected:  0\r\nCorrupted:           0\r\n")
}

// masked are answers that report both a failure and a finding.
var masked = map[string]string{
	"sweep":              ends("sophos-sweep", 2, locked+unopened),
	"sweep, other way":   ends("sophos-sweep", 2, unopened+locked),
	"sweep, no data":     ends("sophos-sweep", 2, locked+"virus data missing\n"),
	"sweep, error":       ends("sophos-sweep", 2, locked+"Error: scan was interrupted\n"),
	"sweep, interrupted": ends("sophos-sweep", 1, locked),
	"sweep, unknown":     ends("sophos-sweep", 99, locked),
	"sweep, killed":      ends("sophos-sweep", 137, locked),
	"sweep, corrupt":     ends("sophos-sweep", 2, "Could not check PATH/a (corrupt)\n"+unopened),
	"sweep, exit 0":      ends("sophos-sweep", 0, locked+"Licence expired\n"),
	"savscan":            ends("sophos-savscan", 2, locked+unopened),
	"savscan -eec":       ends("sophos-savscan-eec", 16, locked+"virus data missing\n"),
	"savscan -eec, 36":   ends("sophos-savscan-eec", 36, locked),
	"savscan -eec, 40":   ends("sophos-savscan-eec", 40, locked),
	"savscan -eec, 8":    ends("sophos-savscan-eec", 8, "Could not check PATH (corrupt)\n"+unopened),
	"fsav":               ends("f-secure-fsav", 9, "PATH: ERROR: password protected [FSE]\nPATH: ERROR: cannot read [FSE]\n"),
	"fsav, interrupted":  ends("f-secure-fsav", 5, "PATH: ERROR: encrypted archive [FSE]\n"),
	"fpscan":             ends("f-prot-fpscan", 64|32, ""),
	"fpscan, late":       ends("f-prot-fpscan", 64|4, ""),
	"fpscan, limit":      ends("f-prot-fpscan", 8|16, ""),
	"fpscan, errors":     ends("f-prot-fpscan", 64, "[Unscannable] <File is encrypted>\tPATH\nFiles with errors: 1\n"),
	"kav4fs":             ends("kaspersky-kav4fs", 0, kav("Password protected:  0", lockedCount, "Scan errors:         0", errorCount)),
	"kav4fs, corrupt":    ends("kaspersky-kav4fs", 0, kav("Corrupted:           0", corruptCount, "Scan errors:         0", errorCount)),
	"kav4fs, exit":       ends("kaspersky-kav4fs", 1, kav("Password protected:  0", lockedCount)),
	"drweb":              ends("drweb-ctl", 0, "PATH - archive is password protected\nScanned objects: 1, scan errors: 1, threats found: 0, threats neutralized: 0.\n"),
	"drweb, gone":        ends("drweb-ctl", 119, "PATH - archive is password protected\n"),
	"clamscan":           ends("clamscan", 1, "PATH: Heuristics.Encrypted.Zip FOUND\nLibClamAV Error: cannot allocate memory\n"),
	"clamscan, 2":        ends("clamscan", 2, "PATH: Heuristics.Encrypted.Zip FOUND\nERROR: Can't open file\n"),
	"mailscanner":        ends("generic-mailscanner", 0, "ENCRYPTED:: zip :: PATH\nERROR:: could not :: PATH\n"),
	"mailscanner, says":  ends("generic-mailscanner", 0, "ENCRYPTED:: zip :: PATH\nScAnNeRfAiLeD\n"),
}

// failures are answers that are only failures.
var failures = map[string]string{
	"password":       ends("sophos-sweep", 2, "password list of PATH is missing\n"),
	"password, 0":    ends("sophos-sweep", 0, "password list of PATH is missing\n"),
	"name":           ends("sophos-sweep", 2, "Could not check PATH/password protected (virus data missing)\n"),
	"kind":           ends("sophos-sweep", 2, "Could not check PATH (encryption not supported here)\n"),
	"limit":          ends("sophos-sweep", 2, "Error: memory limit exceeded, file was encrypted\n"),
	"corrupt":        ends("sophos-sweep", 2, "Error: virus data is corrupt\n"),
	"licence":        ends("sophos-sweep", 0, "License expired\n"),
	"savscan -eec":   ends("sophos-savscan-eec", 36, "Error: password protected database\n"),
	"fsav":           ends("f-secure-fsav", 9, "PATH: ERROR: out of memory limit for encrypted files [FSE]\n"),
	"fsav, password": ends("f-secure-fsav", 9, "PATH/password protected: ERROR: cannot read [FSE]\n"),
	"fpscan":         ends("f-prot-fpscan", 32, "Error: the password list is encrypted\n"),
	"kav4fs":         ends("kaspersky-kav4fs", 0, kav("Objects scanned:     1", "Password protected database")),
	"drweb":          ends("drweb-ctl", 0, "the database is password protected\n"),
	"clamscan":       ends("clamscan", 2, "PATH: Heuristics.Encrypted.Zip: cannot read\n"),
	"mailscanner":    ends("generic-mailscanner", 0, "ERROR:: ENCRYPTED:: zip :: PATH\n"),
}

// blocked are answers with a virus.
var blocked = map[string]string{
	"sweep":           ends("sophos-sweep", 3, ">>> Virus 'Troj/PasswordStealer' found in file PATH\n"),
	"sweep, locked":   ends("sophos-sweep", 3, locked+unopened+">>> Virus 'Ransom.FileEncryptor' found in file PATH\n"),
	"sweep, status":   ends("sophos-sweep", 3, locked),
	"sweep, 2":        ends("sophos-sweep", 2, locked+">>> Virus 'Encrypted-Limit' found in file PATH\n"),
	"savscan -eec":    ends("sophos-savscan-eec", 24, ">>> Virus 'Password protected' found in file PATH\n"),
	"fsav":            ends("f-secure-fsav", 3, "PATH: Infected: Trojan.PasswordStealer [FSE]\n"),
	"fpscan":          ends("f-prot-fpscan", 1, "[Found virus] <W32/Encrypted.Limit> \tPATH\n"),
	"fpscan, and 64":  ends("f-prot-fpscan", 1|64, ""),
	"kav4fs":          ends("kaspersky-kav4fs", 0, kav("Threats found:       0", "Threats found:       1", "Password protected:  0", lockedCount)+"Virus name:       Trojan-PSW.Encryptor\r\n"),
	"drweb":           ends("drweb-ctl", 0, "PATH - infected with Trojan.PWS.Encoder password protected\n"),
	"clamscan":        ends("clamscan", 1, "PATH: Win.Ransomware.Encryptor-1 FOUND\n"),
	"clamscan, local": ends("clamscan", 1, "PATH: Trojan.Heuristics.Encrypted.Zip FOUND\n"),
	"mailscanner":     ends("generic-mailscanner", 0, "INFECTED:: Password protected :: PATH\n"),
}

// TestRules runs the rules for answers. Each object has its own process, which reads the
// file, so no answer can be early or repeated for another object: Misbehaviour.Repeat has
// no effect.
func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			if m.Odd == "" {
				return open(t, preset("sophos-sweep", commandfake.Sweep(t)))
			}
			return misbehaving(t, m.Odd)
		},
		NoStream: true,
		Masked:   masked,
		Failures: failures,
		Blocked:  blocked,
	})
}
