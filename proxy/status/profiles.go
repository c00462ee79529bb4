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

// Answers within this come before clamav-milter, Exim and MIMEDefang's multiplexor
// give up, after 120 s each.
const defaultAnswerWithin = 110 * time.Second

// A kind of client has a profile, and a reason for it.
type kind struct {
	profile Profile
	about   string // one paragraph for the admin
	found   string // what the client does with FOUND
}

// presets are the profiles by the name of the client.
var presets = map[string]kind{
	"generic": {
		about: "Any client of clamd: the lines are those of clamd, and fit into the smallest buffer that is known.",
		found: "it does what it does with a virus: most clients refuse the mail or file, some discard it",
	},
	"mimedefang": {
		profile: Profile{WorstFirst: true, UnknownIsClean: true},
		about: "MIMEDefang's own clamd routines send SCAN of a directory and read once, 256 bytes: the worst line comes first. " +
			"What is neither \": TEXT FOUND\" nor \": TEXT ERROR\" is clean mail to it, a cut line and clamd's errors without an identifier included, " +
			"so that none of these is sent; an ERROR line or a closed connection becomes a tempfail.",
		found: "the filter that Debian installs accepts the mail and discards it, and neither sender nor recipient learns of it",
	},
	"amavis": {
		about: "amavis reads to the end of the connection; ERROR makes the scanner fail, and the mail waits if $virus_scanners_failure_is_fatal is set.",
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
		about: "rspamd compares with \"stream: OK\" and looks for a name; any ERROR line raises in its Lua code, leaves no symbol, and the mail passes. " +
			"FOUND with Heuristics.Encrypted or Heuristics.Limits.Exceeded is a report there (_ENCRYPTED, _FAIL), not a refusal: what could not be " +
			"scanned, encrypted and partial are told that way. A closed connection becomes _FAIL too, but has rspamd try again, three times in all. " +
			"It waits 5 seconds unless its timeout is raised, and after the 8 of its task_timeout the mail passes: raise all three together.",
		found: "rspamd adds a symbol of its own for it, and refuses the mail only where antivirus.conf has action = \"reject\"",
	},
	"exim": {
		about: "Exim reads once, 1024 bytes, waits two minutes, and defers on ERROR and on anything it cannot parse.",
		found: "Exim refuses the mail, if the ACL denies all malware as it usually does",
	},
	"haraka": {
		profile: Profile{EncryptedPrefix: prefixEncryptedOld, LimitIsClean: true, AnswerWithin: 25 * time.Second},
		about: "Haraka's plugin has a switch for names in \"Encrypted.\" (reject.Encrypted), but takes \"Heuristics.Encrypted.\" for a virus. " +
			"It waits 30 seconds, tries the next host on ERROR, then answers DENYSOFT; but it accepts a mail on clamd's words " +
			"\"size limit exceeded\", so that a stream over the limit is told in others.",
		found: "Haraka refuses the mail; encrypted objects pass, with a header, if clamd.ini has reject.Encrypted=false",
	},
	"milter": {
		about: "clamav-milter reads a line of 128 bytes; what it cannot parse, and ERROR, is its OnFail.",
		found: "clamav-milter does what OnInfected says: Quarantine, the default, holds the mail in the queue, Reject refuses it, Blackhole discards it",
	},
	"http-gateway": {
		profile: Profile{ErrorStyle: StyleFound, AnswerWithin: 25 * time.Second},
		about: "squidclamav, clammit, James and ruby's safe? pass what is not FOUND, ERROR and a closed connection included: " +
			"content that could not be scanned is told as a finding. Uploads have people waiting, and proxies in between that give up after 30 seconds; James after 5.",
		found: "the gateway blocks the download or upload as infected",
	},
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
	k, ok := presets[client]
	if !ok {
		return Profile{}, false
	}
	p := k.profile
	p.Client = client
	p.Actions = maps.Clone(p.Actions)
	return p.complete(), true
}

// About returns a paragraph on why the preset of a client is as it is; empty if
// there is none of that name.
func About(client string) string { return presets[client].about }

// OnFound returns what a client does with FOUND, in a clause; empty if there is no
// preset of that name. It is the same for a virus and for everything else that the
// policy answers with FOUND.
func OnFound(client string) string { return presets[client].found }

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
	if p.AnswerWithin == 0 {
		p.AnswerWithin = defaultAnswerWithin
	}
	return p
}

// Validate reports everything that is wrong with p, each problem with what would
// be right, joined by errors.Join. What is empty stands for its default. The
// actions are checked as words only: what they amount to is for the policy they
// become part of.
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
