package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// passed describes the objects for which clients should not hear OK, by category.
// Encrypted and partial are missing because ok is their default.
var passed = map[backends.Category]string{
	backends.Virus:         "known malware",
	backends.Suspicious:    "what heuristics, macro and PUA signatures find",
	backends.SWErr:         "objects that an engine failed to scan",
	backends.Interrupted:   "objects whose scan took too long or was cut off",
	backends.CannotExecute: "objects that an engine could not be asked about, because it cannot be reached",
	backends.NotInstalled:  "objects that an engine could not be asked about, because its program or socket is missing",
}

// warn adds warnings about everything that makes an OK less reliable, about clients that
// do not carry out an action as its name says, and about keys without effect.
func warn(f *File, r *report) {
	warnListeners(f, r)
	warnEngines(f, r)
	warnSteering(f, r)
	warnTimeouts(f, r)
	warnLimits(f, r)
	warnOnFind(f, r)
	warnCacheTTL(f, r)
	warnServices(f, r)
	warnCache(f, r)
	if f.Policy.Mode == policy.ByCategory {
		r.warn("policy.action", "%q lets an object pass that an engine failed to scan, if another category with the action \"ok\" wins; %q does not", policy.ByCategory, policy.Strictest)
	}
	for i, rule := range f.Rules {
		if rule.Category == backends.OK {
			r.warn(position.Path("rule").Element(i).Key("category"), "clients hear OK for everything that %s finds under a name that matches '%s', also for a virus", engineOf(rule), rule.Name)
		}
	}
	warnActions(r, "policy.actions", f.Policy.Actions, f.Listeners)
	for i, l := range f.Listeners {
		warnActions(r, listenerPath(i).Key("actions"), l.Actions, f.Listeners[i:i+1])
	}
}

func engineOf(rule Rule) string {
	if rule.Engine == "" {
		return "any engine"
	}
	return "\"" + rule.Engine + "\""
}

func warnListeners(f *File, r *report) {
	if len(f.Listeners) == 0 {
		r.warn("listener", "there is no [[listener]]; polyclamd will answer only on sockets that systemd passes to it")
	}
	for i, l := range f.Listeners {
		if at := listenerPath(i).Key("burst"); l.ScansPerSecond == 0 && r.has(at) {
			r.warn(at, "there is no limit on scans, so this has no effect; write scans_per_second too, or delete burst")
		}
		if strings.HasPrefix(l.Address, "unix:") {
			continue
		}
		if l.ShutdownCommand {
			r.warn(listenerPath(i).Key("shutdown_command"), "anyone who can reach %s can stop the daemon", l.Address)
		}
		if l.PathCommands && len(f.ScanPaths) == 0 {
			r.warn(listenerPath(i).Key("path_commands"), "anyone who can reach %s can have every file scanned that the daemon can read; scan_paths restricts that", l.Address)
		}
	}
}

func warnEngines(f *File, r *report) {
	required, scanners := f.counting(nil)
	for i, e := range f.Engines {
		if !e.Canary {
			r.warn(enginePath(i).Key("canary"), "nothing checks that %q finds the EICAR test file: an engine without signatures says OK to everything", e.Name)
		}
		if stream := f.Limits.Stream; e.Required && e.MaxSize > 0 && (stream == 0 || stream > e.MaxSize) {
			r.warn(enginePath(i).Key("max_size"), "%q takes at most %q, but limits.stream accepts %q; objects between them are partial, never ok",
				e.Name, size.Format(e.MaxSize), size.Format(stream))
		}
	}
	if !required {
		r.warn(enginePath(0).Key("required"), "no engine is required, so one answer is enough while all others fail")
	}
	if !scanners {
		r.warn(enginePath(0), "no anti-virus engine is "+onOrConfigured(f)+"; %q recognizes test files and encryption, not viruses", inspectBackend)
	}
}

// onOrConfigured says what the anti-virus engines are not.
func onOrConfigured(f *File) string {
	if slices.ContainsFunc(f.Engines, func(e Engine) bool { return e.Backend != inspectBackend }) {
		return "on"
	}
	return "configured"
}

// warnTimeouts warns of a timeout that no scan can reach. It ignores the default, which
// is deliberately longer than some clients wait.
func warnTimeouts(f *File, r *report) {
	for i, e := range f.Engines {
		key := enginePath(i).Key("timeout")
		j := slices.IndexFunc(f.Listeners, func(l Listener) bool { return e.Timeout > l.AnswerWithin })
		if r.has(key) && j >= 0 {
			r.warn(key, "\"%v\" is longer than answer_within of %s, \"%v\", which ends the scan first", e.Timeout, f.Listeners[j].Address, f.Listeners[j].AnswerWithin)
		}
	}
}

func warnLimits(f *File, r *report) {
	switch l := &f.Limits; {
	case l.SpoolTotal == 0:
		r.warn("limits.spool_total", "no limit: clients can fill the memory of the machine")
	case l.Stream == 0:
		r.warn("limits.stream", "only spool_total, %q, limits a stream", size.Format(l.SpoolTotal))
	}
}

func warnOnFind(f *File, r *report) {
	if f.OnFind.Program != "" {
		return
	}
	for _, key := range []string{"arguments", "categories", "timeout", "max_running", "queue"} {
		if at := position.Path("on_find").Key(key); r.has(at) {
			r.warn(at, "there is no program, so the table has no effect; write program = \"/path/of/a/program\", or delete it")
			return
		}
	}
}

// warnActions warns of doubtful actions at a path, and of their effect on the listeners'
// clients.
func warnActions(r *report, at position.Path, actions Actions, listeners []Listener) {
	for _, c := range slices.Sorted(maps.Keys(actions)) {
		key := at.Key(string(c))
		what, isPassed := passed[c]
		switch a := actions[c]; {
		case isPassed && a == policy.OK && c.IsFailure():
			r.warn(key, "clients hear OK for %s; \"tempfail\" makes them try again", what)
		case isPassed && a == policy.OK:
			r.warn(key, "clients hear OK for %s; \"quarantine\" is the default", what)
		case isPassed && a == policy.Tempfail && !c.IsFailure():
			r.warn(key, "clients hear ERROR for %s, and try again until they give up; \"quarantine\" is the default", what)
		case (c == backends.Encrypted || c == backends.Partial) && a == policy.Quarantine:
			warnFound(r, key, c, at == "policy.actions", listeners)
		}
	}
}

// warnFound explains what clients do with objects of category c when they hear FOUND. The
// action is the site's or a listener's. It skips listeners whose preset has the same
// action, or whose own action overrides the site's.
func warnFound(r *report, key position.Path, c backends.Category, isSite bool, listeners []Listener) {
	var clients []string
	addresses := map[string][]string{}
	for i := range listeners {
		l := &listeners[i]
		if _, isOwn := l.Actions[c]; isOwn == isSite || l.Profile().Actions[c] == policy.Quarantine {
			continue
		}
		if addresses[l.Client] == nil {
			clients = append(clients, l.Client)
		}
		addresses[l.Client] = append(addresses[l.Client], l.Address)
	}
	text := ""
	for _, client := range clients {
		text += fmt.Sprintf(". %s, client = %q: %s", strings.Join(addresses[client], " and "), client, status.OnFound(client))
	}
	if text != "" {
		r.warn(key, "clients hear FOUND for %s objects, as for a virus%s", c, text)
	}
}
