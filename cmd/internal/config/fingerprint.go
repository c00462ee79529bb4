package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"polyclam/backends"
)

// unprinted are the keys of backends on which no result depends: how a connection is made,
// and how long it lasts. Hosts may differ in them and share results.
var unprinted = []string{
	"connect_timeout", "sessions", "keepalive", "idle_limit",
	"tls", "ca", "certificate", "key", "server_name", "insecure_skip_verify",
}

// namedBackends get the file names of objects, besides those that read files by their paths.
var namedBackends = []string{"httpscan", "icap"}

// maxPrinted is the size above which a file is identified by its size and time.
const maxPrinted = 64 << 20

// fingerprint stands for everything that results of the engine depend on, except the object
// and the engine's own version: polyclam's build, the engine's name, the backend, its keys and
// the files that they name. The name is part of it because two engines with the same options
// may differ in signatures that their version does not show. It is the same on all hosts with
// the same configuration. It is not a secret, but secret keys cannot be read from it. Empty: not known.
func (e *Engine) fingerprint() string {
	keys, err := toml.Marshal(e.config)
	if err != nil {
		return ""
	}
	var table map[string]any
	if err := toml.Unmarshal(keys, &table); err != nil {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "polyclam fingerprint 2 %q %q %q", build(), e.Name, e.Backend)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if slices.Contains(unprinted, name) {
			continue
		}
		value, err := json.Marshal(table[name])
		if err != nil {
			return ""
		}
		fmt.Fprintf(h, " %q %q", name, value)
		eachText(table[name], func(text string) { printFile(h, text) })
	}
	return hex.EncodeToString(h.Sum(nil))
}

// eachText calls f with every text in a value.
func eachText(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, one := range v {
			eachText(one, f)
		}
	case []map[string]any:
		for _, one := range v {
			eachText(one, f)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			eachText(v[name], f)
		}
	}
}

// printFile adds the bytes of a file, if name is one. A file that is being changed is equal
// to no other.
func printFile(h hash.Hash, name string) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	fmt.Fprintf(h, " file %d", info.Size())
	if time.Since(info.ModTime()) < settleTime {
		fmt.Fprintf(h, " %s", identityKey)
		return
	}
	if info.Size() > maxPrinted {
		fmt.Fprintf(h, " %d", info.ModTime().UnixNano())
		return
	}
	sum, err := sumOfFile(name)
	if err != nil {
		fmt.Fprintf(h, " %s", identityKey)
		return
	}
	fmt.Fprintf(h, " %x", sum)
}

func sumOfFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxPrinted+1)); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// build identifies this build of polyclam, whose tables map answers to results: the version
// and commit or, if they are not known, the bytes of the program.
var build = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" && settings["vcs.modified"] == "false" {
			return info.Main.Version + " " + revision
		}
	}
	if program, err := os.Executable(); err == nil {
		if sum, err := sumOfFile(program); err == nil {
			return hex.EncodeToString(sum)
		}
	}
	return string(identityKey)
})

// getsNames reports whether the engine gets the file names of objects with backend b.
func (e *Engine) getsNames(b backends.Backend) bool {
	p, ok := b.(backends.PathReader)
	return ok && p.ReadsPaths() || slices.Contains(namedBackends, e.Backend)
}
