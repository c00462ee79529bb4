package config

import (
	"fmt"

	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/suggest"
)

// clamdNames maps options of clamd.conf to their names here.
var clamdNames = map[string]string{
	"StreamMaxLength":       "stream in [limits]",
	"CommandReadTimeout":    "command_read_timeout in [limits]",
	"ReadTimeout":           "read_timeout in [limits]",
	"SendBufTimeout":        "write_timeout in [limits]",
	"MaxDirectoryRecursion": "directory_depth in [limits]",
	"MaxThreads":            "max_scans in [[engine]]",
	"LocalSocket":           "address in [[listener]]",
	"TCPSocket":             "address in [[listener]]",
	"TCPAddr":               "address in [[listener]]",
	"LocalSocketMode":       "mode in [[listener]]",
	"LocalSocketGroup":      "group in [[listener]]",
	"TemporaryDirectory":    "directory in [spool]",
}

// cacheNames maps keys that [cache] might have to what it has instead.
var cacheNames = map[string]string{
	"password":          `write the password into a file that only polyclam can read, and password_file = "/path/of/it"`,
	"sentinel_password": `write the password into a file that only polyclam can read, and sentinel_password_file = "/path/of/it"`,
	"secret":            `write the key into a file that only polyclam can read, and key_file = "/path/of/it"`,
	"enabled":           `the cache is on unless memory = "0"`,
	"timeout":           `budget = "20ms" is how long a scan waits for the store`,
	"ttl":               `write cache_ttl = "10m" in [[engine]]`,
	"cache_ttl":         `write it in [[engine]]`,
	"port":              `it is part of the address, for example redis = "tcp:127.0.0.1:6379"`,
	"size":              `write memory = "32MiB"`,
	"address":           `write redis = "tcp:127.0.0.1:6379"`,
	"db":                `write database`,
	"username":          `write user`,
	"master":            `write sentinel`,
}

// cacheAliases are other spellings of keys of cacheNames.
var cacheAliases = map[string]string{
	"hmac_key": "secret", "signing_key": "secret", "key_secret": "secret",
	"enable": "enabled", "disabled": "enabled", "off": "enabled",
	"max_size": "size", "max_memory": "size", "maxmemory": "size", "limit": "size",
	"addresses": "address", "url": "address", "server": "address", "servers": "address", "host": "address", "hosts": "address", "valkey": "address",
	"acl_user": "username", "login": "username", "master_name": "master", "sentinel_master": "master",
	"expire": "ttl", "max_age": "ttl", "pass": "password", "requirepass": "password",
}

// cacheKey explains an unknown key of [cache], or returns "".
func cacheKey(key string) string {
	name := key
	if alias, ok := cacheAliases[key]; ok {
		name = alias
	}
	if text := cacheNames[name]; text != "" {
		return fmt.Sprintf("unknown key %q; %s", key, text)
	}
	return ""
}

// renamedKey is the former name of engine, as a table and as a key of [[rule]].
const renamedKey = "upstream"

// unknownKey explains an unknown key: as a misspelling, else as a key of another table,
// else as an option of clamd.conf.
func unknownKey(table position.Path, key string, known []string) string {
	home, misplaced := homes()[key]
	clamd, isClamd := clamdNames[key]
	switch {
	case table == cachePath && cacheKey(key) != "":
		return cacheKey(key)
	case key == renamedKey && table == "":
		return "renamed to engine; write [[engine]]"
	case key == renamedKey && table.Name() == "rule":
		return `renamed to engine; write engine = "..."`
	case suggest.Nearest(key, known) != "":
	case misplaced:
		return fmt.Sprintf("unknown key %q here; it belongs %s", key, home)
	case isClamd:
		return fmt.Sprintf("unknown key %q; the key for this option of clamd.conf is %s", key, clamd)
	}
	return suggest.Unknown("key", key, known)
}

// homes maps each key to the table where it belongs.
func homes() map[string]string {
	homes := map[string]string{}
	for _, table := range []struct {
		place string
		keys  any
	}{
		{"in [cache]", Cache{}},
		{"in [http]", HTTP{}},
		{"in [admin]", Admin{}},
		{"in [[engine]]", Engine{}},
		{"in [[listener]]", Listener{}},
		{"in [policy]", Policy{}},
		{"in [log]", Log{}},
		{"in [spool]", Spool{}},
		{"in [limits]", Limits{}},
		{"at the top of the file, before all tables", File{}},
	} {
		for _, key := range decode.Keys(table.keys) {
			homes[key] = table.place
		}
	}
	return homes
}
