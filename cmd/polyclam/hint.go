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
		out = append(out, "no engine tells encrypted archives; an [[upstream]] with backend = \"inspect\" does")
	}
	return out
}

// hints returns those for one node. encrypted names an engine that tells
// encrypted archives; it is empty if none does.
func (t *trial) hints(encrypted string) (out []string) {
	clean, eicar := t.answers[sampleClean], t.answers[sampleEICAR]
	all := samples()
	for i, s := range all[:sampleEncrypted] {
		if a := t.answers[i]; a.err != nil {
			return append(out, fmt.Sprintf("%s is not scanned: %v%s", s.name, a.err, failureHint(a.err)))
		}
	}
	if clean.category != backends.OK {
		out = append(out, fmt.Sprintf("a clean text is %s%s; the engine, or a [[rule]], takes everything for it", clean.category, clean.said()))
	}
	if !t.detects() {
		out = append(out, fmt.Sprintf("the EICAR test file is %s%s; are the signatures loaded, is the licence valid? polyclamd will not use the engine like this", eicar.category, eicar.said()))
		return out
	}
	if h := t.encryptedHint(encrypted); h != "" {
		out = append(out, h)
	}
	return out
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
		return fmt.Sprintf("an encrypted archive is %s%s; a [[rule]] with category = \"encrypted\" and this name tells them apart", a.category, a.said())
	case a.category.IsFailure():
		return fmt.Sprintf("an encrypted archive is %s%s: mail with one is deferred again and again; map the engine's answer to encrypted", a.category, a.said())
	}
	text := fmt.Sprintf("an encrypted archive is %s, the engine does not tell", a.category)
	if t.backend == "clamd" {
		text += "; AlertEncrypted yes in clamd.conf makes it tell"
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
