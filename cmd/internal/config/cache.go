package config

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/size"
	"polyclam/cmd/internal/sockaddr"
)

// Cache is the [cache] table.
type Cache struct {
	Memory int64 `toml:"memory"` // 0: off
	// Redis are the addresses of the shared store; empty: none.
	Redis                decode.List   `toml:"redis"`
	Sentinel             string        `toml:"sentinel"` // empty: Redis are no Sentinels
	SentinelUser         string        `toml:"sentinel_user"`
	SentinelPasswordFile string        `toml:"sentinel_password_file"`
	User                 string        `toml:"user"`
	PasswordFile         string        `toml:"password_file"`
	KeyFile              string        `toml:"key_file"`
	Budget               time.Duration `toml:"budget" range:"1ms..1s"`
	Database             int           `toml:"database" range:"0..65535"`
	Prefix               string        `toml:"prefix"`
	ClientTLS
}

const cachePath position.Path = "cache"

// smallestCache is the least that a cache in memory may have: it holds some thousand results.
const smallestCache = 1 << 20

// maxPrefix bounds the part of each key that the file sets.
const maxPrefix = 64

func defaultCache() Cache {
	return Cache{Memory: 32 << 20, Budget: 20 * time.Millisecond, Prefix: "polyclam:"}
}

// server returns the address of one server for package net, and whether it has TLS. The
// prefix "tls:" stands for "tcp:" with TLS.
func (c *Cache) server(address string) (network, addr string, isTLS bool, err error) {
	rest, isTLS := strings.CutPrefix(address, "tls:")
	if isTLS {
		address = "tcp:" + rest
	}
	network, addr, err = backends.ParseAddress(address)
	return network, addr, isTLS || c.TLS, err
}

// place returns the same text for two spellings of an address, or "" if it is not one.
func (c *Cache) place(address string) string {
	network, addr, _, err := c.server(address)
	if err != nil {
		return ""
	}
	if network == "unix" {
		return filepath.Clean(addr)
	}
	host, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strconv.Itoa(n))
}

// hasTLS reports whether connections to the servers use TLS.
func (c *Cache) hasTLS() bool {
	for _, address := range c.Redis {
		if _, _, isTLS, _ := c.server(address); isTLS {
			return true
		}
	}
	return c.TLS
}

// validateCache checks [cache] without reading files.
func validateCache(f *File, r *report) {
	c := &f.Cache
	if c.Memory > 0 && c.Memory < smallestCache && !r.isBad(cachePath.Key("memory")) {
		r.fail(cachePath.Key("memory"), "%q holds almost nothing; write at least %q, or \"0\" for no cache in memory", size.Format(c.Memory), size.Format(smallestCache))
	}
	if r.isBad(cachePath.Key("redis")) {
		return
	}
	if len(c.Redis) == 0 {
		if r.has(cachePath.Key("redis")) {
			r.fail(cachePath.Key("redis"), "no address in it; write at least one, for example \"tcp:127.0.0.1:6379\", or delete the key")
		}
		return
	}
	networks, seen := map[string]bool{}, map[string]bool{}
	for i, address := range c.Redis {
		at := cachePath.Key("redis").Element(i)
		if !r.has(at) {
			at = cachePath.Key("redis")
		}
		networks[validateRedis(c, r, at, address)] = true
		if sockaddrTaken(f, address) {
			r.fail(at, "%q is a listener of this file; write the address of Redis or Valkey", address)
		}
		place := c.place(address)
		if seen[place] {
			r.fail(at, "%q is in the list twice; write each server once", address)
		}
		seen[place] = place != ""
	}
	switch key := cachePath.Key("redis"); {
	case networks["tcp"] && networks["tls"]:
		r.fail(key, "some of the addresses have TLS and some do not; write \"tls:\" in all of them, or tls = true")
	case networks["unix"] && len(c.Redis) > 1:
		r.fail(key, "Sentinels and the nodes of a cluster have TCP addresses; write these, or one Unix socket")
	case networks["unix"] && c.Sentinel != "":
		r.fail(key, "Sentinels have TCP addresses; write these, or delete sentinel")
	case len(c.Redis) > 1 && c.Sentinel == "" && c.Database != 0:
		r.fail(cachePath.Key("database"), "a cluster has one database; delete the key")
	}
	validateCacheKeys(c, r)
}

// validateRedis checks one address, and returns "tcp", "tls" or "unix".
func validateRedis(c *Cache, r *report, at position.Path, address string) string {
	network, _, isTLS, err := c.server(address)
	switch {
	case strings.Contains(address, "://"): // it may have a password, so it is not repeated
		r.fail(at, "is a URL; write \"tcp:host:port\", \"tls:host:port\" for one with rediss, or \"unix:/path/of/socket\"; the rest of it has the keys user, password_file and database")
		return ""
	case err != nil:
		r.fail(at, "%q is not an address; write \"tcp:host:port\", \"tls:host:port\" or \"unix:/path/of/socket\", for example \"tcp:127.0.0.1:6379\"", address)
		return ""
	case network == "unix" && c.TLS:
		r.fail(cachePath.Key("tls"), "a Unix socket has no TLS, and needs none; delete the key")
	case isTLS:
		return "tls"
	}
	return network
}

// validateCacheKeys checks the keys besides the addresses.
func validateCacheKeys(c *Cache, r *report) {
	for _, file := range []struct{ key, path string }{
		{"key_file", c.KeyFile}, {"password_file", c.PasswordFile}, {"sentinel_password_file", c.SentinelPasswordFile},
		{"ca", c.CA}, {"certificate", c.Certificate}, {"key", c.Key},
	} {
		if file.path != "" && !filepath.IsAbs(file.path) {
			validatePath(r, cachePath.Key(file.key), file.path)
		}
	}
	if c.KeyFile == "" && !r.isBad(cachePath.Key("key_file")) {
		r.fail(cachePath.Key("redis"), "needs key_file: results are signed with a key that all hosts have, because others may be able to write to the store; make the file with \"openssl rand -hex 32\", the same on every host, and mode 0640")
	}
	for _, k := range []struct{ key, needs, value, other string }{
		{"user", "password_file", c.User, c.PasswordFile},
		{"sentinel_user", "sentinel_password_file", c.SentinelUser, c.SentinelPasswordFile},
		{"sentinel_user", "sentinel", c.SentinelUser, c.Sentinel},
		{"sentinel_password_file", "sentinel", c.SentinelPasswordFile, c.Sentinel},
	} {
		if key := cachePath.Key(k.key); k.value != "" && k.other == "" && !r.isBad(key) {
			r.fail(key, "needs %s; write that too, or delete the key", k.needs)
		}
	}
	if len(c.Prefix) > maxPrefix || strings.ContainsFunc(c.Prefix, func(c rune) bool { return c <= ' ' || c > '~' || c == '{' || c == '}' }) {
		r.fail(cachePath.Key("prefix"), "%q is not a prefix; write at most %d letters, digits and signs other than braces, for example \"polyclam:\"", c.Prefix, maxPrefix)
	}
	c.validate(r, cachePath, c.hasTLS())
}

// sockaddrTaken reports whether an address is a listener of the same file.
func sockaddrTaken(f *File, address string) bool {
	for _, l := range f.Listeners {
		if sockaddr.Conflict(l.Address, address) {
			return true
		}
	}
	return false
}

// warnCache warns of keys without effect, and of a store that others can read.
func warnCache(f *File, r *report) {
	c := &f.Cache
	if len(c.Redis) == 0 {
		for _, key := range r.keys(cachePath, c) {
			if key != "memory" && key != "redis" {
				r.warn(cachePath.Key(key), "there is no redis, so this has no effect; write redis = \"tcp:host:port\", or delete the key")
				return
			}
		}
		return
	}
	for _, address := range c.Redis {
		if !c.hasTLS() && !isLocal(address) && c.PasswordFile != "" {
			r.warn(cachePath.Key("redis"), "without TLS the password and the names of what was found can be read on their way to %s; write \"tls:\" instead of \"tcp:\" if the server has TLS", address)
			return
		}
	}
}
