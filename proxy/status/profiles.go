package status

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// The line lengths of all presets, in bytes with the terminator.
const (
	// clamav-milter reads into char[128], and rejects longer replies.
	defaultMaxLine = 128
	// MIMEDefang reads only once, 256 bytes.
	defaultMaxPathLine = 256
	// In a shorter line no useful name fits between the object and the last word.
	minMaxLine = 64
	// Exim, c-icap and squidclamav read 1023 bytes.
	maxMaxLine = 1023
)

// The prefixes of names of encrypted objects.
const (
	prefixEncrypted    = "Heuristics.Encrypted." // ClamAV since 0.101
	prefixEncryptedOld = "Encrypted."            // before
)

// defaultAnswerWithin is less than the 120 s after which clamav-milter, Exim and
// MIMEDefang's multiplexor give up.
const defaultAnswerWithin = 110 * time.Second

// A kind is a kind of client: its profile, and the reason for it.
type kind struct {
	profile Profile
	about   string // a paragraph for the operator
	found   string // what the client does with FOUND
}

// presets are the kinds of clients by name.
var presets = map[string]kind{
	"generic": {
		about: "Any client of clamd: the lines are clamd's, and fit into the smallest known buffer.",
		found: "it does the same as for a virus: most clients refuse the mail or file, some discard it",
	},
	"mimedefang": {
		profile: Profile{WorstFirst: true, UnknownIsClean: true},
		about: "MIMEDefang's own clamd routines send SCAN with a directory and read only once, 256 bytes, so the worst line comes first. " +
			"It takes everything but \": TEXT FOUND\" and \": TEXT ERROR\" for clean mail, even a cut line or clamd's errors without an identifier, " +
			"so none of these are sent. An ERROR line or a closed connection becomes a tempfail.",
		found: "the filter that Debian installs accepts the mail and discards it, and neither sender nor recipient is notified",
	},
	"amavis": {
		about: "amavis reads to the end of the connection. ERROR makes the scanner fail, and the mail waits if $virus_scanners_failure_is_fatal is set.",
		found: "amavis quarantines the mail as infected, and discards it if $final_virus_destiny is D_DISCARD, the default",
	},
	"rspamd": {
		profile: Profile{
			ErrorStyle: StyleLimits, AnswerWithin: 4 * time.Second,
			Actions: map[backends.Category]policy.Action{
				backends.Encrypted: policy.Quarantine,
				backends.Partial:   policy.Quarantine,
			},
		},
		about: "rspamd compares the reply with \"stream: OK\" and looks for a name. Any ERROR line raises an error in its Lua code and leaves no symbol, so the mail passes. " +
			"FOUND with Heuristics.Encrypted or Heuristics.Limits.Exceeded is a report there (_ENCRYPTED, _FAIL), not a refusal, so encrypted, partial and " +
			"failed scans are answered that way. A closed connection becomes _FAIL too, but makes rspamd retry, three attempts in all. " +
			"It waits 5 seconds unless its timeout is raised, and after the 8 seconds of its task_timeout the mail passes: raise all three together.",
		found: "rspamd adds its own symbol for it, and refuses the mail only where antivirus.conf has action = \"reject\"",
	},
	"exim": {
		about: "Exim reads only once, 1024 bytes, waits two minutes, and defers on ERROR and on anything that it cannot parse.",
		found: "Exim refuses the mail, if the ACL denies all malware as it usually does",
	},
	"haraka": {
		profile: Profile{EncryptedPrefix: prefixEncryptedOld, LimitIsClean: true, AnswerWithin: 25 * time.Second},
		about: "Haraka's plugin has a switch for names that start with \"Encrypted.\" (reject.Encrypted), but takes \"Heuristics.Encrypted.\" for a virus. " +
			"It waits 30 seconds, tries the next host on ERROR, then answers DENYSOFT. But it accepts a mail at clamd's words " +
			"\"size limit exceeded\", so a stream over the limit gets other words.",
		found: "Haraka refuses the mail; encrypted objects pass, with a header, if clamd.ini has reject.Encrypted=false",
	},
	"milter": {
		about: "clamav-milter reads a line of 128 bytes. ERROR, and whatever it cannot parse, is its OnFail.",
		found: "clamav-milter follows OnInfected: Quarantine, the default, holds the mail in the queue, Reject refuses it, Blackhole discards it",
	},
	"http-gateway": {
		profile: Profile{ErrorStyle: StyleFound, AnswerWithin: 25 * time.Second},
		about: "squidclamav, clammit, James and ruby's safe? pass everything but FOUND, even ERROR and a closed connection, " +
			"so an object that could not be scanned is answered with FOUND. Uploads have users waiting, and proxies in between that give up after 30 seconds; James gives up after 5.",
		found: "the gateway blocks the download or upload as infected",
	},
}

// intolerant says why a client must not get annotated OK lines. A client that is neither
// here nor in tolerant was never tried.
var intolerant = map[string]string{
	"milter":       "clamav-milter defers all mail whose OK line is not bare",
	"rspamd":       `rspamd compares the reply with "stream: OK"; anything else leaves no symbol, and mail passes unscanned`,
	"haraka":       `Haraka expects "stream: OK" at the start of the line and answers DENYSOFT otherwise`,
	"http-gateway": "c-icap, Nextcloud, appwrite and node clamscan do not accept an annotated line as OK",
}

// tolerant are the clients that were tried with annotated OK lines.
var tolerant = []string{"generic", "mimedefang", "amavis", "exim"}

// Lookup returns the preset of a client, or false if there is none of that name. The caller
// owns it.
func Lookup(client string) (Profile, bool) {
	k, ok := presets[client]
	if !ok {
		return Profile{}, false
	}
	p := k.profile
	p.Client = client
	p.Actions = maps.Clone(p.Actions)
	return p.complete(), true
}

// About returns a paragraph that explains the preset of a client; empty if there is none of
// that name.
func About(client string) string { return presets[client].about }

// OnFound returns a clause about what a client does with FOUND, for a virus or anything else;
// empty if there is no preset of that name.
func OnFound(client string) string { return presets[client].found }

// Names returns the names of all presets, sorted.
func Names() []string { return slices.Sorted(maps.Keys(presets)) }

// complete sets empty fields to their defaults, so the zero Profile is the generic one.
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
	if p.AnswerWithin == 0 {
		p.AnswerWithin = defaultAnswerWithin
	}
	return p
}

// Validate returns all problems of p, each with its remedy, joined by errors.Join. Empty
// fields have their defaults. It checks only the names of actions; whether they are safe
// depends on the policy that they become part of.
func (p Profile) Validate() error {
	p = p.complete()
	errs := []error{
		backends.OneOf("client", p.Client, Names()...),
		backends.OneOf("status", p.Form, Plain, Extended, Annotated),
		backends.OneOf("error_style", p.ErrorStyle, StyleError, StyleClose, StyleLimits, StyleFound),
	}
	add := func(key, format string, args ...any) { errs = append(errs, backends.KeyErrorf(key, format, args...)) }
	if p.Form == Annotated && !slices.Contains(tolerant, p.Client) {
		add("status", "%q is not for client %q: %s; write %q or %q", Annotated, p.Client, cmp.Or(intolerant[p.Client], "it was never tried"), Plain, Extended)
	}
	if p.ErrorStyle == StyleError && p.Client == "rspamd" {
		add("error_style", "%q is not for client %q: mail passes on every ERROR line; write %q or %q", StyleError, p.Client, StyleClose, StyleLimits)
	}
	if p.EncryptedPrefix != prefixEncrypted && p.EncryptedPrefix != prefixEncryptedOld {
		add("encrypted_prefix", "no client knows %q; write %q or %q", p.EncryptedPrefix, prefixEncrypted, prefixEncryptedOld)
	}
	if p.MaxLine < minMaxLine || p.MaxLine > maxMaxLine {
		add("max_line", "must be between %d and %d, not %d", minMaxLine, maxMaxLine, p.MaxLine)
	}
	if p.MaxPathLine < minMaxLine || p.MaxPathLine > maxMaxLine {
		add("max_path_line", "must be between %d and %d, not %d", minMaxLine, maxMaxLine, p.MaxPathLine)
	}
	return errors.Join(append(errs, p.actionProblems()...)...)
}

func (p Profile) actionProblems() (errs []error) {
	for _, c := range slices.Sorted(maps.Keys(p.Actions)) {
		switch a := p.Actions[c]; {
		case !c.Valid():
			errs = append(errs, backends.OneOf("actions", c, backends.Categories()...))
		case !a.Valid():
			errs = append(errs, backends.OneOf("actions."+string(c), a, policy.Quarantine, policy.Tempfail, policy.OK))
		}
	}
	return errs
}
