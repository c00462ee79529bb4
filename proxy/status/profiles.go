package status

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// The budgets of all presets, in bytes of a line with its terminator.
const (
	// clamav-milter reads into char[128] and calls more an overlong reply.
	defaultMaxLine = 128
	// MIMEDefang reads once, 256 bytes.
	defaultMaxPathLine = 256
	// Below this no name of a use fits beside the object and the last word.
	minMaxLine = 64
	// Exim, c-icap and squidclamav read 1023 bytes.
	maxMaxLine = 1023
)

// The prefixes of the names of encrypted content.
const (
	prefixEncrypted    = "Heuristics.Encrypted." // ClamAV since 0.101
	prefixEncryptedOld = "Encrypted."            // before
)

// presets are the profiles by the name of the client.
var presets = map[string]Profile{
	"generic": {},
	// Sends SCAN of a directory and reads once, 256 bytes: the worst line comes
	// first. What is neither ": TEXT FOUND" nor ": TEXT ERROR" is clean mail to
	// it, a cut line and clamd's errors without an identifier included; an ERROR
	// line or a closed connection becomes a tempfail.
	"mimedefang": {WorstFirst: true, UnknownIsClean: true},
	// Reads everything to the end of the connection; ERROR makes the scanner
	// fail and the mail wait.
	"amavis": {},
	// Compares with "stream: OK" and looks for a name; any ERROR line raises in
	// its Lua code, leaves no symbol, and the mail passes. A closed connection
	// becomes the symbol _FAIL. FOUND with Heuristics.Encrypted or
	// Heuristics.Limits.Exceeded is a report there (_ENCRYPTED, _FAIL), not a
	// refusal, so that both categories are worth telling.
	"rspamd": {
		ErrorStyle: StyleClose,
		Actions: map[backends.Category]policy.Action{
			backends.Encrypted: policy.Quarantine,
			backends.Partial:   policy.Quarantine,
		},
	},
	// Reads once, 1024 bytes; defers on ERROR and on anything it cannot parse.
	"exim": {},
	// Has a switch for "Encrypted." names (reject.Encrypted), but takes
	// "Heuristics.Encrypted." for a virus; tries the next host on ERROR, then
	// DENYSOFT.
	"haraka": {EncryptedPrefix: prefixEncryptedOld},
	// clamav-milter: 128 bytes a line; everything it cannot parse is FailAction.
	"milter": {},
	// squidclamav, clammit, James and ruby's safe? pass what is not FOUND, ERROR
	// and a closed connection included.
	"http-gateway": {ErrorStyle: StyleFound},
}

// intolerant says why a client must not get annotated OK lines. A client that is
// neither here nor in tolerant is not known.
var intolerant = map[string]string{
	"milter":       "clamav-milter defers all mail whose OK line is not bare",
	"rspamd":       `rspamd compares with "stream: OK"; anything else leaves no symbol, and mail passes unscanned`,
	"haraka":       `Haraka wants "stream: OK" at the beginning of the line and answers DENYSOFT otherwise`,
	"http-gateway": "c-icap, Nextcloud, appwrite and node clamscan do not take an annotated line for OK",
}

// tolerant are the clients that were run with annotated OK lines.
var tolerant = []string{"generic", "mimedefang", "amavis", "exim"}

// Lookup returns the preset of a client, false if there is none of that name.
// The caller owns it.
func Lookup(client string) (Profile, bool) {
	p, ok := presets[client]
	if !ok {
		return Profile{}, false
	}
	p.Client = client
	p.Actions = maps.Clone(p.Actions)
	return p.complete(), true
}

// Names returns the names of all presets, sorted.
func Names() []string { return slices.Sorted(maps.Keys(presets)) }

// complete fills in what is empty, so that the zero Profile is the generic one.
func (p Profile) complete() Profile {
	if p.Form == "" {
		p.Form = Plain
	}
	if p.ErrorStyle == "" {
		p.ErrorStyle = StyleError
	}
	if p.EncryptedPrefix == "" {
		p.EncryptedPrefix = prefixEncrypted
	}
	if p.MaxLine == 0 {
		p.MaxLine = defaultMaxLine
	}
	if p.MaxPathLine == 0 {
		p.MaxPathLine = defaultMaxPathLine
	}
	return p
}

// Validate reports everything that is wrong with p, each problem with what would
// be right, joined by errors.Join. What is empty stands for its default. The
// actions are checked as words only: what they amount to is for the policy they
// become part of.
func (p Profile) Validate() error {
	p = p.complete()
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, ok := presets[p.Client]; !ok {
		add("client: %q is not known; want one of %s", p.Client, strings.Join(Names(), ", "))
	}
	switch p.Form {
	case Plain, Extended:
	case Annotated:
		if !slices.Contains(tolerant, p.Client) {
			add("status: %q is not for client %q: %s; want %q or %q", Annotated, p.Client, cmp.Or(intolerant[p.Client], "it was never tried"), Plain, Extended)
		}
	default:
		add("status: %q is not a form; want %q, %q or %q", p.Form, Plain, Extended, Annotated)
	}
	switch p.ErrorStyle {
	case StyleClose, StyleLimits, StyleFound:
	case StyleError:
		if p.Client == "rspamd" {
			add("error style: %q is not for client %q: mail passes on every ERROR line; want %q or %q", StyleError, p.Client, StyleClose, StyleLimits)
		}
	default:
		add("error style: %q is not one; want %q, %q, %q or %q", p.ErrorStyle, StyleError, StyleClose, StyleLimits, StyleFound)
	}
	if p.EncryptedPrefix != prefixEncrypted && p.EncryptedPrefix != prefixEncryptedOld {
		add("encrypted prefix: %q is known to no client; want %q or %q", p.EncryptedPrefix, prefixEncrypted, prefixEncryptedOld)
	}
	if p.MaxLine < minMaxLine || p.MaxLine > maxMaxLine {
		add("line of a stream: %d bytes; want %d to %d", p.MaxLine, minMaxLine, maxMaxLine)
	}
	if p.MaxPathLine < minMaxLine || p.MaxPathLine > maxMaxLine {
		add("line of a path: %d bytes; want %d to %d", p.MaxPathLine, minMaxLine, maxMaxLine)
	}
	return errors.Join(append(errs, p.actionProblems()...)...)
}

func (p Profile) actionProblems() (errs []error) {
	for _, c := range slices.Sorted(maps.Keys(p.Actions)) {
		switch a := p.Actions[c]; {
		case !c.Valid():
			errs = append(errs, fmt.Errorf("actions: %q is not a category", c))
		case !a.Valid():
			errs = append(errs, fmt.Errorf(`actions: %s = %q is not an action; want "quarantine", "tempfail" or "ok"`, c, a))
		}
	}
	return errs
}
