package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"polyclam/backends"
	"polyclam/backends/registry"
)

// Engine is an [[engine]] table.
type Engine struct {
	Name           string
	Backend        string   // a key of the registry
	Addresses      []string // of its nodes; none for an engine without an address
	Required       bool
	Timeout        time.Duration
	MaxDelay       time.Duration
	MaxScans       int
	MaxSize        int64 // bytes; 0: no limit
	Canary         bool
	CanaryInterval time.Duration
	SizeCheck      bool
	Hedge          bool
	PoisonTime     time.Duration // 0: off

	config     backends.Config // the backend's own keys
	readsPaths bool            // its engine reads files in the spool's directory
	path       string          // in the file
}

func newEngine(name, backend string) Engine {
	u := Engine{
		Name: name, Backend: backend,
		Required: true, Timeout: 60 * time.Second, MaxScans: 10, MaxSize: 100 << 20,
		Canary: true, CanaryInterval: 5 * time.Minute, SizeCheck: true, Hedge: true, PoisonTime: 15 * time.Minute,
	}
	if row, ok := registry.Lookup(backend); ok {
		u.config = row.NewConfig()
	}
	return u
}

func (u *Engine) keys(address *string) []key {
	return []key{
		{"name", parsed(&u.Name, parseName)},
		{"backend", text(&u.Backend)},
		{"address", text(address)},
		{"addresses", list(&u.Addresses, backendAddress)},
		{"required", flag(&u.Required)},
		{"timeout", duration(&u.Timeout)},
		{"max_delay", duration(&u.MaxDelay)},
		{"max_scans", count(&u.MaxScans, 1, 10_000)},
		{"max_size", size(&u.MaxSize)},
		{"canary", flag(&u.Canary)},
		{"canary_interval", atLeast(&u.CanaryInterval, time.Second)},
		{"size_check", flag(&u.SizeCheck)},
		{"hedge", flag(&u.Hedge)},
		{"poison_time", atLeast(&u.PoisonTime, 0)},
	}
}

// backendAddress takes any string: checkAddresses checks it, with the others.
func backendAddress(s string) (string, error) { return s, nil }

var engineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// parseName wants what can stand in a status line and in a log as one word.
func parseName(s string) (string, error) {
	if !engineName.MatchString(s) {
		return "", fmt.Errorf("%q is not a name; want up to 32 letters, digits, '.', '_' and '-', a letter or digit first", s)
	}
	return s, nil
}

// readEngine reads an [[engine]]: the common keys, and the backend's own
// beside them. The backend decides which those are, so it is looked at first.
func (f *File) readEngine(r *reader, path string, table map[string]any) {
	backend, _ := table["backend"].(string)
	u := newEngine("", backend)
	u.path = path
	var address string
	keys := u.keys(&address)
	own := ownDefaults(u.config)
	known := append(names(keys), slices.Sorted(maps.Keys(own))...)
	before := len(r.problems)
	r.table(path, table, keys, func(name string, v any) bool {
		if u.config == nil {
			return true // nobody knows which keys the backend would have
		}
		if n, isNumber := v.(int64); isNumber && isDuration(own[name]) {
			r.fail(child(path, name), durationUnit, n)
			return true
		}
		return readOwn(r, child(path, name), name, v, u.config, known)
	})
	if u.MaxDelay == 0 {
		u.MaxDelay = u.Timeout / 10
	}
	u.checkNames(r, table)
	u.checkAddresses(r, table, address)
	if u.config != nil && len(r.problems) == before {
		u.tryOpen(r) // else it would say the same again
	}
	f.Engines = append(f.Engines, u)
}

func (u *Engine) checkNames(r *reader, table map[string]any) {
	if _, ok := table["name"]; !ok {
		r.fail(u.path, "the engine has no name; want name = \"...\", for the log and the status line")
	}
	v, ok := table["backend"]
	if !ok {
		r.fail(u.path, "the engine has no backend; want one of %s", strings.Join(registry.Keys(), ", "))
	}
	if _, isText := v.(string); isText && u.config == nil {
		r.fail(child(u.path, "backend"), "%v", unknown("backend", u.Backend, registry.Keys()))
	}
}

func (u *Engine) checkAddresses(r *reader, table map[string]any, address string) {
	path := child(u.path, "addresses")
	at := func(i int) string { return element(path, i) }
	if _, ok := table["address"]; ok {
		if _, both := table["addresses"]; both {
			r.fail(path, "both address and addresses are given; want one of them")
			return
		}
		at = func(int) string { return child(u.path, "address") }
		u.Addresses = []string{address}
		if _, isText := table["address"].(string); !isText {
			return
		}
	} else if list, ok := table["addresses"].([]any); ok && len(list) == 0 {
		r.fail(path, "there is no node in it; want at least one address")
	}
	seen := map[string]bool{}
	for i, a := range u.Addresses {
		network, hostPort, err := backends.ParseAddress(a)
		switch {
		case err != nil:
			r.fail(at(i), "%v", err)
		case seen[a]:
			r.fail(at(i), "address %q stands twice; want each node once", a)
		case network == "tcp":
			checkPort(r, at(i), a, hostPort, 1)
		}
		seen[a] = true
	}
}

// nodes returns the address of each node, "" for an engine without one.
func (u *Engine) nodes() []string {
	if len(u.Addresses) == 0 {
		return []string{""}
	}
	return u.Addresses
}

// ScanMemory is how much memory the daemon needs for one scan beside its object, if
// that is more than the buffers of a conversation.
func (u *Engine) ScanMemory() int64 {
	if c, ok := u.config.(interface{ ScanMemory() int64 }); ok {
		return c.ScanMemory()
	}
	return 0
}

// RunsPrograms reports whether each scan starts a process.
func (u *Engine) RunsPrograms() bool { return u.Backend == "command" }

// tryOpen has the backend check its keys. Nothing is dialled.
func (u *Engine) tryOpen(r *reader) {
	for _, address := range u.nodes() {
		b, err := u.config.Open(address)
		if err != nil {
			r.failAll(u.path, err)
			return
		}
		if p, ok := b.(backends.PathReader); ok && p.ReadsPaths() {
			u.readsPaths = true
		}
		if c, ok := b.(io.Closer); ok {
			c.Close()
		}
	}
}

// readOwn reads one key into the backend's struct and reports false if that has
// no such key. Each key is decoded as a document of its own: decoding the table
// at once would stop at the first error, and could not tell one engine's
// unknown key from another's known one.
func readOwn(r *reader, path, name string, v any, config backends.Config, known []string) bool {
	doc, err := toml.Marshal(map[string]any{name: v})
	if err != nil {
		r.fail(path, "%v", err)
		return true
	}
	md, err := toml.Decode(string(doc), config)
	if err != nil {
		r.fail(path, "%s", decodeText(err))
		return true
	}
	if undecoded := md.Undecoded(); len(undecoded) > 0 {
		if k := undecoded[0]; len(k) > 1 {
			r.fail(path, "unknown key %q in it", strings.Join(k[1:], "."))
			return true
		}
		r.unknownKey(path, name, known)
		return true
	}
	// The library takes "Timeout" for a key "timeout". There is one spelling.
	if name != strings.ToLower(name) {
		r.unknownKey(path, name, known)
	}
	return true
}

// decodeText is an error of the TOML library about a value, without its line,
// which is that of a document of one key, and without Go's names of types.
func decodeText(err error) string {
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return syntax.Message
	}
	text := err.Error()
	if i := strings.LastIndex(text, "toml: "); i >= 0 {
		text = text[i+len("toml: "):]
	}
	if _, after, ok := strings.Cut(text, "): "); ok {
		text = after
	}
	text = strings.TrimPrefix(text, "incompatible types: TOML value has type ")
	if found, want, ok := strings.Cut(text, "; destination has type "); ok {
		return fmt.Sprintf("want %s, not %s", plainType(want), plainType(found))
	}
	return text
}

// plainType is a type in TOML's words instead of Go's.
func plainType(goType string) string {
	switch goType {
	case "string":
		return "a string"
	case "bool", "boolean":
		return "a boolean"
	case "int64", "integer":
		return "an integer"
	case "float64", "float":
		return "a float"
	case "[]any", "slice":
		return "an array"
	case "map[string]any", "map":
		return "a table"
	}
	return goType
}

// ownDefaults returns a backend's keys with their defaults, as a document has them.
// Keys that are empty by default may be missing.
func ownDefaults(config backends.Config) map[string]any {
	if config == nil {
		return nil
	}
	doc, err := toml.Marshal(config)
	if err != nil {
		return nil
	}
	var table map[string]any
	if err := toml.Unmarshal(doc, &table); err != nil {
		return nil
	}
	return table
}

// isDuration reports whether a key with this default wants a duration: the TOML
// library would take a bare number for nanoseconds.
func isDuration(value any) bool {
	text, ok := value.(string)
	if !ok {
		return false
	}
	_, err := time.ParseDuration(text)
	return err == nil
}
