package config

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
)

// identityKey prevents anyone from guessing secret keys from their hash.
var identityKey = []byte(rand.Text())

// settleTime is how long a file must be unchanged before its state can be trusted: on a
// file system with a coarse clock, two changes may look the same.
var settleTime = 2 * time.Second

// identity identifies the configuration of a node's backend: its keys, and every file
// that they name. A reload keeps a node whose identity has not changed.
//
// Backends read only files that their keys name, such as hash lists and certificates. So
// a value counts as a path if a file of that name exists.
func (e *Engine) identity(address string) string {
	keys, err := toml.Marshal(e.config)
	if err != nil {
		return "" // equal to no other
	}
	var table map[string]any
	if err := toml.Unmarshal(keys, &table); err != nil {
		return ""
	}
	h := hmac.New(sha256.New, identityKey)
	fmt.Fprintf(h, "%q %q %q", e.Backend, address, keys)
	addFiles(h, table)
	return hex.EncodeToString(h.Sum(nil))
}

// addFiles adds the state of every file that v names.
func addFiles(h hash.Hash, v any) {
	switch v := v.(type) {
	case string:
		addFile(h, v)
	case []any:
		for _, one := range v {
			addFiles(h, one)
		}
	case []map[string]any:
		for _, one := range v {
			addFiles(h, one)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			addFiles(h, v[name])
		}
	}
}

func addFile(h hash.Hash, name string) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	changed := time.Unix(st.Ctim.Unix())
	fmt.Fprintf(h, " %q %d %d %d %d %d", name, st.Dev, st.Ino, st.Size, info.ModTime().UnixNano(), changed.UnixNano())
	if time.Since(changed) < settleTime {
		h.Write([]byte(rand.Text()))
	}
}
