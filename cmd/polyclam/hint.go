package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"polyclam/backends"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/ops/judge"
)

// hints explains what is wrong with the engines and what to do about it.
func hints(trials []trial) (out []string) {
	encrypted, works := "", false
	for i := range trials {
		works = works || trials[i].usable()
		if trials[i].reportsEncrypted() {
			encrypted = trials[i].engine
		}
	}
	for i := range trials {
		t := &trials[i]
		name := strings.TrimSpace(t.engine + " " + t.node)
		for _, h := range t.hints(encrypted) {
			out = append(out, name+": "+h)
		}
	}
	if encrypted == "" && works {
		out = append(out, "no engine reports encrypted archives; an [[engine]] with backend = \"inspect\" does")
	}
	return out
}

// hints returns the hints for one node. encrypted names an engine that reports encrypted
// archives, if there is one.
func (t *trial) hints(encrypted string) (out []string) {
	clean, eicar := t.answers[sampleClean], t.answers[sampleEICAR]
	for i, a := range t.answers[:sampleEncrypted] {
		if a.err != nil {
			hint := failureHint(a.err)
			if i == sampleEICAR && !errors.As(a.err, new(*backends.Failure)) {
				hint = "; the clean text was scanned, so something on the way may block EICAR: let it pass between polyclam and the engine"
			}
			return append(out, fmt.Sprintf("%s is not scanned: %v%s", sampleNames[i], a.err, hint))
		}
	}
	if clean.category != backends.OK {
		out = append(out, fmt.Sprintf("a clean text is %s%s: the engine or a [[rule]] reports this for everything, and polyclamd will not use the engine", clean.category, clean.details()))
	}
	if !t.detects() {
		out = append(out, fmt.Sprintf("the EICAR test file is %s%s: are the signatures loaded and is the licence valid? polyclamd will not use the engine", eicar.category, eicar.details()))
	}
	if !t.usable() {
		return out
	}
	if i := t.noRoom(); i >= 0 {
		return append(out, fmt.Sprintf("%s is not scanned: %v; it may report OK for a virus in a mail, and polyclamd will not use the engine", sampleNames[i], t.answers[i].err))
	}
	for _, h := range []string{t.encryptedHint(encrypted), t.archiveHint(), t.mailHint(), t.hiddenVirusHint(), t.sizeHint(), t.beyondHint()} {
		if h != "" {
			out = append(out, h)
		}
	}
	return out
}

// archiveHint is the hint for an engine that does not unpack archives.
func (t *trial) archiveHint() string {
	a := t.answers[sampleZipped]
	switch {
	case t.unpacks(), t.backend == inspectBackend:
		return ""
	case a.err != nil:
		return fmt.Sprintf("%s is not scanned: %v%s", sampleNames[sampleZipped], a.err, failureHint(a.err))
	case t.isClamd():
		return fmt.Sprintf("%s is %s%s, and so is every virus in an archive: set ScanArchive yes, and MaxFiles and MaxRecursion to more than 1, in clamd.conf", sampleNames[sampleZipped], a.category, a.details())
	}
	return fmt.Sprintf("%s is %s%s: does the engine support archives, and is that enabled?", sampleNames[sampleZipped], a.category, a.details())
}

// mailHint is the hint for an engine that unpacks archives, but not mails.
func (t *trial) mailHint() string {
	a := t.answers[sampleMailed]
	switch {
	case a.found(), !t.unpacks(), t.backend == inspectBackend:
		return ""
	case a.err != nil:
		return fmt.Sprintf("%s is not scanned: %v%s", sampleNames[sampleMailed], a.err, failureHint(a.err))
	case t.isClamd():
		return fmt.Sprintf("%s is %s%s: %s", sampleNames[sampleMailed], a.category, a.details(), judge.MailUnread)
	}
	return fmt.Sprintf("%s is %s%s: does the engine look into mails, and is that enabled?", sampleNames[sampleMailed], a.category, a.details())
}

// hiddenVirusHint is the hint for an engine that ends a scan at a finding that is not a
// virus.
func (t *trial) hiddenVirusHint() string {
	switch {
	case !t.hidesVirus():
		return ""
	case t.isClamd():
		return judge.HeuristicsFirst
	}
	a := t.answers[sampleLocked]
	remedy := "make the engine scan on, or set the action of \"" + string(a.category) + "\" in [policy.actions]"
	if a.name != "" {
		remedy = "a [[rule]] with category = \"suspicious\" and this name makes it FOUND"
	}
	return fmt.Sprintf("%s is %s%s: an encrypted file hides the virus beside it; %s", sampleNames[sampleLocked], a.category, a.details(), remedy)
}

// sizeHint is the hint for an engine that does not scan objects that polyclamd would send
// it.
func (t *trial) sizeHint() string {
	s := t.size
	if s.tried == 0 || s.answer.found() {
		return ""
	}
	here := "give it a smaller max_size"
	if s.scanned >= 1<<20 {
		here = fmt.Sprintf("set max_size = %q here", size.Format(s.scanned))
	}
	switch a := s.answer; {
	case a.category.IsFailure():
		return fmt.Sprintf("an object of %s is not scanned: %s%s; %s if it need not be scanned", size.Human(s.tried), a.err, failureHint(a.err), here)
	case a.category != backends.OK && t.isClamd():
		return fmt.Sprintf("an object of %s is %s%s: raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf to have it scanned, or set the action of \"%s\" in [policy.actions]",
			size.Human(s.tried), a.category, a.details(), a.category)
	case a.category != backends.OK:
		return fmt.Sprintf("an object of %s is %s%s: set the action of \"%s\" in [policy.actions]", size.Human(s.tried), a.category, a.details(), a.category)
	case t.isClamd():
		return fmt.Sprintf("it reports OK for an object of %s without scanning it%s: in clamd.conf, set MaxFileSize to at least %s, MaxScanSize to more than that, and a sufficient MaxScanTime; or set AlertExceedsMax yes, which makes such objects partial; or %s",
			size.Human(s.tried), s.upTo(), size.FormatClamd(s.tried), here)
	}
	return fmt.Sprintf("it reports ok for an object of %s without scanning all of it%s: raise the engine's own limit, or %s", size.Human(s.tried), s.upTo(), here)
}

func (s *sizeTrial) upTo() string {
	if s.scanned == 0 {
		return ""
	}
	return " (one of " + size.Human(s.scanned) + " is scanned)"
}

// beyondHint is the hint for objects that clamd does not scan with any configuration.
func (t *trial) beyondHint() string {
	if !t.size.beyond {
		return ""
	}
	return fmt.Sprintf("clamd never scans an object of 2 GiB or more, but reports OK: set max_size = \"%d\" here, or AlertExceedsMax yes in clamd.conf", clamdMaxSize)
}

// details returns the engine's name and message, or its error, in brackets.
func (a trialAnswer) details() string {
	text := strings.TrimSpace(a.name + " " + a.detail)
	if a.err != nil {
		text = a.err.Error()
	}
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// encryptedHint is the hint for an engine that does not report encrypted archives.
func (t *trial) encryptedHint(encrypted string) string {
	a := t.answers[sampleEncrypted]
	switch {
	case t.reportsEncrypted():
		return ""
	case a.found():
		return fmt.Sprintf("an encrypted archive is %s%s; a [[rule]] with this name and category = \"encrypted\" corrects that", a.category, a.details())
	case a.category.IsFailure():
		return fmt.Sprintf("an encrypted archive is %s%s: mail with one is deferred again and again; map the engine's answer to encrypted", a.category, a.details())
	}
	text := fmt.Sprintf("an encrypted archive is %s: the engine does not report encryption", a.category)
	if t.isClamd() {
		text += "; AlertEncrypted yes in clamd.conf enables that"
	}
	if encrypted != "" {
		text += " (" + encrypted + " does, so the verdict is right)"
	}
	return text
}

// failureHint suggests what to do about an engine that did not answer.
func failureHint(err error) string {
	switch {
	case errors.As(err, new(*backends.ConnError)): // it has its own
		return ""
	case errors.Is(err, syscall.ENOENT):
		return "; is the engine running, and is this the path of its socket or program?"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Sprintf("; this tool runs as user %d: check the mode and group of the socket and its directory", os.Geteuid())
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; is the engine running?"
	case backends.CategoryOf(err) == backends.Interrupted:
		return "; is the engine busy, or stuck?"
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
