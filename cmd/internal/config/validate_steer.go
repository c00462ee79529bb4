package config

import (
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/engine"
)

// validateSteering checks the modes of the engines, what happens when signatures are old, and
// which engines each listener uses.
func validateSteering(f *File, r *report) {
	var names []string
	for i := range f.Engines {
		e, at := &f.Engines[i], enginePath(i)
		names = append(names, e.Name)
		oneOf(r, at.Key("mode"), "mode", e.Mode, engine.Modes())
		oneOf(r, at.Key("stale"), "value", e.Stale, []string{staleUse, staleSuspend})
		if e.Stale == staleSuspend && !e.Canary {
			r.fail(at.Key("stale"), "only health checks notice that signatures are old; write canary = true, or stale = %q", staleUse)
		}
	}
	if len(f.Engines) > 0 && !f.anyOn(nil) && !anyBad(f, r, "mode") {
		r.fail(enginePath(0).Key("mode"), "no engine is on, so no result would count, and every scan would fail; write mode = \"on\" for at least one engine")
	}
	for i := range f.Listeners {
		validateListenerEngines(f, r, i, names)
	}
}

// anyOn reports whether an engine is on. names, if there are any, selects engines.
func (f *File) anyOn(names []string) bool {
	return slices.ContainsFunc(f.Engines, func(e Engine) bool {
		return e.Mode == engine.On && (len(names) == 0 || slices.Contains(names, e.Name))
	})
}

func anyBad(f *File, r *report, key string) bool {
	for i := range f.Engines {
		if r.isBad(enginePath(i).Key(key)) {
			return true
		}
	}
	return false
}

// validateListenerEngines checks the engines of listener i, and the categories of its
// precedence; [policy.Policy.Validate] checks the rest of that.
func validateListenerEngines(f *File, r *report, i int, known []string) {
	l, at := &f.Listeners[i], listenerPath(i)
	list := at.Key("engines")
	for j, name := range l.Engines {
		p := list.Element(j)
		if slices.Contains(l.Engines[:j], name) {
			r.fail(p, "%q is there twice; write each engine once", name)
			continue
		}
		oneOf(r, p, "engine", name, known)
	}
	switch {
	case !r.isGood(list):
	case len(l.Engines) == 0:
		r.fail(list, "no engine in it; write at least one, or delete the key: then all engines scan")
	case !f.anyOn(l.Engines) && f.anyOn(nil) && !anyBad(f, r, "mode"):
		r.fail(list, "none of these engines is on, so every scan would fail; add one with mode = \"on\"")
	}
	for j, c := range l.Precedence {
		oneOf(r, at.Key("precedence").Element(j), "category", c, backends.Categories())
	}
	if key := at.Key("precedence"); r.isGood(key) && len(l.Precedence) == 0 {
		r.fail(key, "lacks all categories; list every category once, or delete the key")
	}
}

// warnSteering warns of engines whose results do not count, of listeners that they leave
// without an anti-virus engine, and of a key without effect.
func warnSteering(f *File, r *report) {
	for i, e := range f.Engines {
		at := enginePath(i)
		switch {
		case e.Stale == staleSuspend && e.MaxSignatureAge == 0:
			r.warn(at.Key("stale"), "without max_signature_age no signatures are too old, so the key has no effect")
		case e.Stale == staleSuspend && e.Required:
			r.warn(at.Key("stale"), "if the signatures of every node of %q are older than max_signature_age, clients hear ERROR until they are updated", e.Name)
		}
	}
	for i := range f.Listeners {
		if l := &f.Listeners[i]; len(l.Engines) > 0 {
			warnListenerEngines(f, r, listenerPath(i).Key("engines"), l.Engines)
		}
	}
}

func warnListenerEngines(f *File, r *report, at position.Path, names []string) {
	required, scanners := f.counting(names)
	switch {
	case !scanners:
		r.warn(at, "clients of this listener hear OK for viruses; %q recognizes test files and encryption, not viruses", inspectBackend)
	case !required:
		r.warn(at, "none of %s is required and on, so one answer is enough while all others fail", strings.Join(names, ", "))
	}
}

// counting reports whether any of the engines that are on is required, and whether any is
// more than inspect. names, if there are any, selects engines.
func (f *File) counting(names []string) (required, scanners bool) {
	for _, e := range f.Engines {
		if e.Mode != engine.On || len(names) > 0 && !slices.Contains(names, e.Name) {
			continue
		}
		required = required || e.Required
		scanners = scanners || e.Backend != inspectBackend
	}
	return required, scanners
}
