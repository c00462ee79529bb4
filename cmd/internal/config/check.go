package config

import (
	"path/filepath"
	"slices"
	"strings"

	"polyclam/proxy/spool"
)

// check looks at what no single key can tell: references, duplicates, and
// values that do not go together.
func (f *File) check(r *reader) {
	f.checkListeners(r)
	f.checkEngines(r)
	f.checkRules(r)
	f.checkLimits(r)
	f.checkPolicy(r)
	f.warnPolicy(r)
	f.checkTimes(r)
}

// place is an address in one spelling, for comparisons.
func place(address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix:" + filepath.Clean(path)
	}
	return strings.ToLower(address)
}

func (f *File) checkListeners(r *reader) {
	if len(f.Listeners) == 0 {
		r.warn("listener", "there is no [[listener]]; polyclamd will answer on sockets that systemd hands to it, and on no other")
	}
	first := map[string]string{}
	for _, l := range f.Listeners {
		at := child(l.path, "address")
		if other, ok := first[place(l.Address)]; ok && l.Address != "" {
			r.fail(at, "%q is the address of the listener in line %d already; want each address once", l.Address, r.lines.line(other))
			continue
		}
		first[place(l.Address)] = at
		if strings.HasPrefix(l.Address, "unix:") {
			continue
		}
		if l.ShutdownCommand {
			r.warn(child(l.path, "shutdown_command"), "whoever can reach %s can stop the daemon", l.Address)
		}
		if l.PathCommands && len(f.ScanPaths) == 0 {
			r.warn(child(l.path, "path_commands"), "whoever can reach %s can have every file scanned that the daemon can read; scan_paths restricts that", l.Address)
		}
	}
}

func (f *File) checkEngines(r *reader) {
	if len(f.Engines) == 0 {
		r.fail("engine", "there is no [[engine]], nobody would look at anything; want at least one, as in name = \"clamav\", backend = \"clamd\", address = \"unix:/run/clamav/clamd.ctl\"")
		return
	}
	first, required, engines := map[string]string{}, false, false
	for _, u := range f.Engines {
		required = required || u.Required
		engines = engines || u.Backend != inspectBackend
		f.checkLoop(r, u)
		at := child(u.path, "name")
		if other, ok := first[u.Name]; ok && u.Name != "" {
			r.fail(at, "%q is the name of the engine in line %d already; want a name of its own", u.Name, r.lines.line(other))
			continue
		}
		first[u.Name] = at
	}
	if !required {
		r.warn(child(f.Engines[0].path, "required"), "no engine is required; one answer is enough, whoever else is down")
	}
	if !engines {
		r.warn(f.Engines[0].path, "no anti-virus engine is configured; %q knows test files and encryption, not viruses", inspectBackend)
	}
}

// checkLoop wants an engine not to be one of our own listeners.
func (f *File) checkLoop(r *reader, u Engine) {
	for _, a := range u.Addresses {
		for _, l := range f.Listeners {
			if place(a) == place(l.Address) {
				r.fail(r.lines.either(child(u.path, "address"), child(u.path, "addresses")), "%q is a listener of this file, polyclam would ask itself; want the address of the engine", a)
			}
		}
	}
}

func (f *File) checkRules(r *reader) {
	var known []string
	for _, u := range f.Engines {
		known = append(known, u.Name)
	}
	for i, rule := range f.Policy.Rules {
		if rule.Engine == "" || slices.Contains(known, rule.Engine) {
			continue
		}
		r.fail(child(element("rule", i), "engine"), "%v", unknown("engine", rule.Engine, known))
	}
}

func (f *File) checkLimits(r *reader) {
	if f.Limits.Connections <= len(f.Listeners) {
		r.fail("limits.connections", "%d is not enough for %d listeners; want more connections than listeners", f.Limits.Connections, len(f.Listeners))
	}
	stream, total := f.Limits.Stream, f.spool.Total
	if _, given := r.lines["limits.spool_total"]; given {
		f.spoolTotalLine = r.lines.line("limits.spool_total")
	}
	switch {
	case total == 0:
		r.warn("limits.spool_total", "no limit: clients can fill the memory of the host")
	case total < stream:
		r.fail("limits.spool_total", "%q is less than one stream may have, %q; want at least that, better many times that", formatSize(total), formatSize(stream))
	case total < f.spool.Memory:
		r.fail("limits.spool_total", "%q is less than spool_memory, %q; want room for many streams", formatSize(total), formatSize(f.spool.Memory))
	case stream == 0:
		r.warn("limits.stream", "no limit for a stream but spool_total, %q", formatSize(total))
	}
	if f.spool.Store == spool.Tmpfile && f.spool.Dir == "" {
		r.fail("spool.store", "%q needs a directory; want directory = \"/var/spool/polyclam\" beside it", spool.Tmpfile)
	}
	for _, u := range f.Engines {
		if u.readsPaths && f.spool.Dir == "" {
			r.fail(child(u.path, "backend"), "this engine reads files by their path, and there is no place for them; want directory = \"/var/spool/polyclam\" in [spool]")
		}
		if u.Required && u.MaxSize > 0 && (stream == 0 || stream > u.MaxSize) {
			r.warn(child(u.path, "max_size"), "%q takes less, %q, than limits.stream lets through, %q; what lies between is partial, never ok",
				u.Name, formatSize(u.MaxSize), formatSize(stream))
		}
	}
}

// checkPolicy checks the policy each listener ends up with.
func (f *File) checkPolicy(r *reader) {
	p := f.Policy
	p.Rules = nil // checked when they were read
	site := p.policy(&Listener{}).Validate()
	if site != nil {
		r.failAll("policy", site)
	}
	for i := range f.Listeners {
		l := &f.Listeners[i]
		if err := p.policy(l).Validate(); err != nil && site == nil {
			r.failAll(l.path, err)
		}
	}
}

// checkTimes warns of a timeout that can never be reached. The default, which is
// longer than some clients wait, is nobody's intention.
func (f *File) checkTimes(r *reader) {
	for _, u := range f.Engines {
		if _, written := r.lines[child(u.path, "timeout")]; !written {
			continue
		}
		for _, l := range f.Listeners {
			if u.Timeout > l.Profile.AnswerWithin {
				r.warn(child(u.path, "timeout"), "\"%v\" is longer than answer_within of %s, \"%v\", which ends the scan first", u.Timeout, l.Address, l.Profile.AnswerWithin)
				break
			}
		}
	}
}
