package config

import (
	"maps"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/size"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// validate reports what is wrong in a file whose keys have the right types: unknown
// words, missing keys, dangling references, duplicates, and values that contradict each
// other. A key that already has a problem gets no second one.
func validate(f *File, r *report) {
	for i, root := range f.ScanPaths {
		validatePath(r, position.Path("scan_paths").Element(i), root)
	}
	validateListeners(f, r)
	validateEngines(f, r)
	validateSteering(f, r)
	validateLimits(f, r)
	validateSpool(f, r)
	validateRules(f, r)
	validatePolicy(f, r)
	validateOnFind(f, r)
	validateServices(f, r)
	validateCache(f, r)
	oneOf(r, "log.level", "value", f.Log.Level, Levels())
	oneOf(r, "log.format", "value", f.Log.Format, []string{"json", "console", "auto"})
}

func validatePath(r *report, p position.Path, path string) {
	if r.isBad(p) || path == "" && !r.has(p) {
		return
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		r.fail(p, "%q is not an absolute path; write one that begins with \"/\"", path)
	}
}

func validateLimits(f *File, r *report) {
	l := &f.Limits
	if !r.isBad("limits.connections") && l.Connections <= len(f.Listeners) {
		r.fail("limits.connections", "%d is too few for %d listeners; write more than the number of listeners", l.Connections, len(f.Listeners))
	}
	switch {
	case l.SpoolTotal == 0 || r.isBad("limits.spool_total"):
	case l.SpoolTotal < l.Stream:
		r.fail("limits.spool_total", "%q is less than stream, %q; write at least that, or better several times as much", size.Format(l.SpoolTotal), size.Format(l.Stream))
	case l.SpoolTotal < l.SpoolMemory:
		r.fail("limits.spool_total", "%q is less than spool_memory, %q; write enough for many streams", size.Format(l.SpoolTotal), size.Format(l.SpoolMemory))
	}
}

func validateSpool(f *File, r *report) {
	s := &f.Store
	oneOf(r, "spool.store", "value", s.Store, []spool.Store{spool.Memfd, spool.Tmpfile})
	validatePath(r, "spool.directory", s.Directory)
	if s.PathMode&^0o664 != 0 || s.PathMode&0o400 == 0 {
		r.fail("spool.path_mode", "\"%04o\" is not a mode for objects; the owner must be able to read, others must not write, and execute bits are not allowed; write for example \"0600\" or \"0640\"", s.PathMode)
	}
}

func validateRules(f *File, r *report) {
	var engines []string
	for i := range f.Engines {
		engines = append(engines, f.Engines[i].Name)
	}
	for i, rule := range f.Rules {
		at := position.Path("rule").Element(i)
		for _, key := range []string{"name", "category"} {
			if !r.has(at.Key(key)) {
				r.fail(at, "the rule has no %s; it needs a name, a category, and an engine unless it is for all", key)
			}
		}
		oneOf(r, at.Key("category"), "category", rule.Category, backends.Categories())
		if rule.Engine != "" {
			oneOf(r, at.Key("engine"), "engine", rule.Engine, engines)
		}
	}
}

// validatePolicy checks the site's policy, then that of each listener.
func validatePolicy(f *File, r *report) {
	p := &f.Policy
	for i, c := range p.Precedence {
		oneOf(r, position.Path("policy.precedence").Element(i), "category", c, backends.Categories())
	}
	oneOf(r, "policy.action", "value", p.Mode, []policy.Mode{policy.Strictest, policy.ByCategory})
	oneOf(r, "policy.first_virus", "value", p.FirstVirus, []string{firstVirusAnswer, firstVirusWait})
	validateActions(r, "policy.actions", p.Actions)
	for i := range f.Listeners {
		validateActions(r, listenerPath(i).Key("actions"), f.Listeners[i].Actions)
	}
	merge := *f
	merge.Rules = nil // checked already
	if err := merge.policy(&Listener{}).Validate(); err != nil {
		r.failKeys("policy", err)
		return
	}
	for i := range f.Listeners {
		r.failKeys(listenerPath(i), merge.policy(&f.Listeners[i]).Validate())
	}
}

func validateOnFind(f *File, r *report) {
	validatePath(r, "on_find.program", f.OnFind.Program)
	for i, c := range f.OnFind.Categories {
		at := position.Path("on_find.categories").Element(i)
		if c == backends.OK {
			r.fail(at, "the program runs when something was found or failed; delete \"ok\"")
			continue
		}
		oneOf(r, at, "category", c, backends.Categories())
	}
}

func validateActions(r *report, at position.Path, actions Actions) {
	for _, c := range slices.Sorted(maps.Keys(actions)) {
		oneOf(r, at.Key(string(c)), "category", c, backends.Categories())
		oneOf(r, at.Key(string(c)), "value", actions[c], []policy.Action{policy.Quarantine, policy.Tempfail, policy.OK})
	}
}
