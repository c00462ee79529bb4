package config

import (
	"io"
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/registry"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/sockaddr"
)

func enginePath(i int) position.Path { return position.Path("engine").Element(i) }

func validateEngines(f *File, r *report) {
	if len(f.Engines) == 0 && !r.isBad("engine") && !r.has(renamedKey) {
		r.fail("engine", "there is no [[engine]], so nothing would scan; add at least one, for example name = \"clamav\", backend = \"clamd\", address = \"unix:/run/clamav/clamd.ctl\"")
	}
	first := map[string]int{} // by name
	for i := range f.Engines {
		e, at := &f.Engines[i], enginePath(i)
		validateEngineName(e, r, at)
		validateBackend(e, r, at)
		validateNodes(e, r, at)
		validateNames(e, r, at)
		if !r.isBad(at) {
			openEngine(e, r, at)
		}
		validateNoLoop(f, e, r, at)
		other, taken := first[e.Name]
		switch {
		case e.Name == "":
		case taken:
			r.fail(at.Key("name"), "%q is already the name of the engine in line %d; every engine needs its own", e.Name, r.lines.Line(enginePath(other).Key("name")))
		default:
			first[e.Name] = i
		}
	}
}

// engineName matches a single word in a status line and in a log.
var engineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

func validateEngineName(e *Engine, r *report, at position.Path) {
	key := at.Key("name")
	switch {
	case !r.has(key):
		r.fail(at, "the engine has no name; write name = \"...\", for the log and the status line")
	case r.isGood(key) && !engineName.MatchString(e.Name):
		r.fail(key, "%q is not a name; write up to 32 letters, digits, '.', '_' and '-', the first a letter or digit", e.Name)
	}
}

func validateBackend(e *Engine, r *report, at position.Path) {
	if key := at.Key("backend"); r.has(key) {
		oneOf(r, key, "backend", e.Backend, registry.Keys())
	} else {
		r.fail(at, "the engine has no backend; write one of %s", strings.Join(registry.Keys(), ", "))
	}
}

func validateNodes(e *Engine, r *report, at position.Path) {
	one, list := at.Key("address"), at.Key("addresses")
	switch {
	case r.has(one) && r.has(list):
		r.fail(list, "the engine has both address and addresses; delete one of them")
		return
	case r.isGood(one):
		validateNode(r, one, e.Address)
	case r.isGood(list) && len(e.Addresses) == 0:
		r.fail(list, "no node in it; write at least one address, or delete the key")
	}
	for i, a := range e.Addresses {
		switch p := list.Element(i); {
		case !r.isGood(p):
		case slices.Contains(e.Addresses[:i], a):
			r.fail(p, "%q is there twice; write each node once", a)
		default:
			validateNode(r, p, a)
		}
	}
}

// openEngine makes the backend check its keys. It does not connect.
func openEngine(e *Engine, r *report, at position.Path) {
	nodes := e.nodes()
	if e.Address != "" {
		nodes = []string{e.Address}
	}
	for _, address := range nodes {
		b, err := e.open(address)
		if err != nil {
			r.failKeys(at, err)
			return
		}
		if p, ok := b.(backends.PathReader); ok && p.ReadsPaths() {
			e.readsPaths = true
		}
		if p, ok := b.(backends.FileReader); ok && p.ReadsFiles() {
			e.readsFiles = true
		}
		if c, ok := b.(io.Closer); ok {
			c.Close()
		}
	}
}

// validateNoLoop reports an engine whose address is a listener of the same file.
func validateNoLoop(f *File, e *Engine, r *report, at position.Path) {
	report := func(p position.Path, address string) {
		if slices.ContainsFunc(f.Listeners, func(l Listener) bool { return sockaddr.Conflict(l.Address, address) }) {
			r.fail(p, "%q is a listener of this file, so polyclam would ask itself; write the address of the engine", address)
		}
	}
	report(at.Key("address"), e.Address)
	for i, a := range e.Addresses {
		report(at.Key("addresses").Element(i), a)
	}
}
