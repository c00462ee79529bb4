package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"polyclam/backends"
)

// hints says what is wrong with the engines, and what could be done about it.
func hints(trials []trial) (out []string) {
	encrypted := ""
	for i := range trials {
		if trials[i].tells() {
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
	if encrypted == "" {
		out = append(out, "no engine reports encrypted archives; an [[engine]] with backend = \"inspect\" does")
	}
	return out
}

// hints returns those for one node. encrypted names an engine that reports encrypted
// archives; it is empty if none does.
func (t *trial) hints(encrypted string) (out []string) {
	clean, eicar := t.answers[sampleClean], t.answers[sampleEICAR]
	for i, a := range t.answers[:sampleEncrypted] {
		if a.err != nil {
			return append(out, fmt.Sprintf("%s is not scanned: %v%s", sampleNames[i], a.err, failureHint(a.err)))
		}
	}
	if clean.category != backends.OK {
		out = append(out, fmt.Sprintf("a clean text is %s%s; the engine, or a [[rule]], takes everything for it. polyclamd will not use the engine like this", clean.category, clean.said()))
	}
	if !t.detects() {
		out = append(out, fmt.Sprintf("the EICAR test file is %s%s; are the signatures loaded, is the licence valid? polyclamd will not use the engine like this", eicar.category, eicar.said()))
	}
	if !t.usable() {
		return out
	}
	for _, h := range []string{t.encryptedHint(encrypted), t.archiveHint(), t.maskHint(), t.sizeHint(), t.beyondHint()} {
		if h != "" {
			out = append(out, h)
		}
	}
	return out
}

// archiveHint says that the engine does not look into archives.
func (t *trial) archiveHint() string {
	a := t.answers[sampleZipped]
	switch {
	case t.unpacks(), t.backend == inspectBackend:
		return ""
	case a.err != nil:
		return fmt.Sprintf("%s is not scanned: %v%s", sampleNames[sampleZipped], a.err, failureHint(a.err))
	case t.isClamd():
		return fmt.Sprintf("%s is %s%s, and so is every virus in an archive: set ScanArchive yes, and MaxFiles and MaxRecursion to more than 1, in clamd.conf", sampleNames[sampleZipped], a.category, a.said())
	}
	return fmt.Sprintf("%s is %s%s: does the engine look into archives, and is that switched on?", sampleNames[sampleZipped], a.category, a.said())
}

const heuristicsFirst = "it stops at the first heuristic match: set HeuristicScanPrecedence no in clamd.conf; until then its encrypted and limits findings count as suspicious"

// maskHint says that a finding that is not a virus ends the engine's scan.
func (t *trial) maskHint() string {
	switch {
	case !t.masked():
		return ""
	case t.isClamd():
		return heuristicsFirst
	}
	a := t.answers[sampleLocked]
	remedy := "if no option of the engine makes it go on, \"" + string(a.category) + "\" in [policy.actions] decides what clients hear"
	if a.name != "" {
		remedy = "a [[rule]] with category = \"suspicious\" and this name makes it FOUND"
	}
	return fmt.Sprintf("%s is %s%s: an encrypted file hides the virus beside it; %s", sampleNames[sampleLocked], a.category, a.said(), remedy)
}

// sizeHint says that the engine does not scan objects that polyclamd would give it.
func (t *trial) sizeHint() string {
	s := t.size
	if s.tried == 0 || s.answer.found() {
		return ""
	}
	here := "give it a smaller max_size"
	if s.scanned >= 1<<20 {
		here = fmt.Sprintf("set max_size = %q here", confSize(s.scanned)+"iB")
	}
	switch a := s.answer; {
	case a.category.IsFailure():
		return fmt.Sprintf("an object of %s is not scanned: %s%s; %s if it need not be", size(s.tried), a.err, failureHint(a.err), here)
	case a.category != backends.OK && t.isClamd():
		return fmt.Sprintf("an object of %s is %s%s: raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf if it is to be scanned; what clients hear is \"%s\" in [policy.actions]",
			size(s.tried), a.category, a.said(), a.category)
	case a.category != backends.OK:
		return fmt.Sprintf("an object of %s is %s%s; what clients hear is \"%s\" in [policy.actions]", size(s.tried), a.category, a.said(), a.category)
	case t.isClamd():
		return fmt.Sprintf("it says OK to an object of %s without a scan%s: in clamd.conf, set MaxFileSize to at least %s, MaxScanSize to more than that, and MaxScanTime to enough, or set AlertExceedsMax yes, which makes such objects partial; or %s",
			size(s.tried), s.upTo(), confSize(s.tried), here)
	}
	return fmt.Sprintf("it says ok to an object of %s without scanning all of it%s: raise the engine's own limit, or %s", size(s.tried), s.upTo(), here)
}

func (s *sizeTrial) upTo() string {
	if s.scanned == 0 {
		return ""
	}
	return " (one of " + size(s.scanned) + " is scanned)"
}

// beyondHint says what no setting of clamd's makes it scan.
func (t *trial) beyondHint() string {
	if !t.size.beyond {
		return ""
	}
	return fmt.Sprintf("clamd scans no object of 2 GiB or more, and says OK: set max_size = \"%d\" here, or AlertExceedsMax yes in clamd.conf", clamdMost)
}

// confSize is a size as clamd.conf has it.
func confSize(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%dM", n>>20)
	}
	return fmt.Sprint(n)
}

// said is the engine's name and message, or its error, in brackets.
func (a trialAnswer) said() string {
	text := strings.TrimSpace(a.name + " " + a.detail)
	if a.err != nil {
		text = a.err.Error()
	}
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// encryptedHint says how an engine could tell an encrypted archive.
func (t *trial) encryptedHint(encrypted string) string {
	a := t.answers[sampleEncrypted]
	switch {
	case t.tells():
		return ""
	case a.found():
		return fmt.Sprintf("an encrypted archive is %s%s; a [[rule]] with category = \"encrypted\" and this name distinguishes them", a.category, a.said())
	case a.category.IsFailure():
		return fmt.Sprintf("an encrypted archive is %s%s: mail with one is deferred again and again; map the engine's answer to encrypted", a.category, a.said())
	}
	text := fmt.Sprintf("an encrypted archive is %s, the engine does not report it", a.category)
	if t.isClamd() {
		text += "; AlertEncrypted yes in clamd.conf makes it do so"
	}
	if encrypted != "" {
		text += " (" + encrypted + " does, so the verdict is right)"
	}
	return text
}

// failureHint says what to do about an engine that did not answer.
func failureHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return "; is the engine running, and is this the path of its socket or program?"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Sprintf("; we are user %d: who may connect is decided by the mode and group of the socket, and of its directory", os.Geteuid())
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; nobody listens there: is the engine running?"
	case backends.CategoryOf(err) == backends.Interrupted:
		return "; is the engine busy, or stuck?"
	}
	return ""
}

const inspectBackend = "inspect"

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
