package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// passed says what clients hear OK for where a category has the action ok. Encrypted
// and partial are not in it: ok is their default.
var passed = map[backends.Category]string{
	backends.Virus:         "known malware",
	backends.Suspicious:    "what heuristics, macro and PUA signatures find",
	backends.SWErr:         "objects that an engine failed to scan",
	backends.Interrupted:   "objects whose scan took too long or was cut off",
	backends.CannotExecute: "objects that an engine could not be asked about, because it cannot be reached",
	backends.NotInstalled:  "objects that an engine could not be asked about, because its program or socket is missing",
}

// warnPolicy warns of everything in the file that makes an OK worth less, and of
// actions that clients carry out in another way than their names say.
func (f *File) warnPolicy(r *reader) {
	f.warnActions(r, "policy.actions", f.Policy.Actions, f.Listeners)
	for i, l := range f.Listeners {
		f.warnActions(r, child(l.path, "actions"), l.Actions, f.Listeners[i:i+1])
	}
	if f.Policy.Mode == policy.ByCategory {
		r.warn("policy.action", "%q lets an object pass that an engine failed to scan, if another category with the action \"ok\" wins; %q does not", policy.ByCategory, policy.Strictest)
	}
	for i, rule := range f.Policy.Rules {
		if rule.Category == backends.OK {
			r.warn(child(element("rule", i), "category"), "clients hear OK for everything that %s finds under a name that matches '%s', also for a virus", engineOf(rule), rule.Name)
		}
	}
	for _, u := range f.Engines {
		if !u.Canary {
			r.warn(child(u.path, "canary"), "nothing checks that %q finds the EICAR test file: an engine without signatures says OK to everything", u.Name)
		}
	}
}

// warnActions looks at the actions of the table at path, which are those of the
// listeners unless they have their own.
func (f *File) warnActions(r *reader, path string, actions map[backends.Category]policy.Action, listeners []Listener) {
	for _, c := range slices.Sorted(maps.Keys(actions)) {
		at := child(path, string(c))
		what, isPassed := passed[c]
		switch a := actions[c]; {
		case isPassed && a == policy.OK && c.IsFailure():
			r.warn(at, "clients hear OK for %s; \"tempfail\" makes them try again", what)
		case isPassed && a == policy.OK:
			r.warn(at, "clients hear OK for %s; \"quarantine\" is the default", what)
		case isPassed && a == policy.Tempfail && !c.IsFailure():
			r.warn(at, "clients hear ERROR for %s, and try again until they give up; \"quarantine\" is the default", what)
		case (c == backends.Encrypted || c == backends.Partial) && a == policy.Quarantine:
			f.warnFound(r, at, c, listeners)
		}
	}
}

// warnFound says what the clients of the listeners do with objects of category c now
// that they hear FOUND. A listener whose preset wants FOUND for them is left out.
func (f *File) warnFound(r *reader, at string, c backends.Category, listeners []Listener) {
	var clients []string
	addresses := map[string][]string{}
	for i := range listeners {
		l := &listeners[i]
		_, isOwn := l.Actions[c]
		isHere := at == child(child(l.path, "actions"), string(c))
		if isOwn != isHere || l.Profile.Actions[c] == policy.Quarantine {
			continue
		}
		client := l.Profile.Client
		if addresses[client] == nil {
			clients = append(clients, client)
		}
		addresses[client] = append(addresses[client], l.Address)
	}
	text := ""
	for _, client := range clients {
		text += fmt.Sprintf(". %s, client = %q: %s", strings.Join(addresses[client], " and "), client, status.OnFound(client))
	}
	if text != "" {
		r.warn(at, "clients hear FOUND for %s objects, as for a virus%s", c, text)
	}
}

func engineOf(rule policy.Rule) string {
	if rule.Engine == "" {
		return "any engine"
	}
	return "\"" + rule.Engine + "\""
}
