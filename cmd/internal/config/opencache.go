package config

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"polyclam/proxy/cache"
	"polyclam/proxy/cache/redis"
)

// UseCache sets the cache that Build gives to the engines. Without it there is none.
func (f *File) UseCache(c *cache.Cache) { f.cache = c }

// CheckCache reads the files of [cache], and reports what would keep it from being opened. It
// does not connect.
func (f *File) CheckCache() error {
	_, err := f.cacheConfig()
	return err
}

// OpenCache opens the cache, or returns running if the configuration of that is the same.
// running may be nil. It does not wait for a server.
func (f *File) OpenCache(running *cache.Cache, log zerolog.Logger) (*cache.Cache, error) {
	plan, err := f.cacheConfig()
	if err != nil || plan == nil {
		return nil, err
	}
	if plan.Identity != "" && running.Identity() == plan.Identity {
		return running, nil
	}
	plan.Log = log
	if plan.options != nil {
		plan.Store = redis.Open(*plan.options)
	}
	return cache.New(plan.Config), nil
}

type cachePlan struct {
	cache.Config
	options *redis.Options // nil: no store
}

// cacheConfig returns nil if there is no cache at all. An error is a [Problems].
func (f *File) cacheConfig() (*cachePlan, error) {
	c, r := &f.Cache, &report{file: f.Name, lines: f.lines}
	plan := &cachePlan{Config: cache.Config{Memory: c.Memory, Budget: c.Budget}}
	if len(c.Redis) > 0 {
		plan.Secret, plan.options = f.readSecret(r), f.redisOptions(r)
		if len(r.problems) > 0 {
			return nil, r.problems
		}
	} else if c.Memory == 0 {
		return nil, nil
	}
	configured := *c
	configured.Memory = cmp.Or(f.cacheMemory, c.Memory)
	plan.Identity = plan.identity(&configured)
	return plan, nil
}

// identity covers the keys as they are in the configuration, and what is in the files that
// they name. What the free memory allows differs from one reload to the next, and must not
// empty the cache.
func (p *cachePlan) identity(c *Cache) string {
	h := hmac.New(sha256.New, identityKey)
	fmt.Fprintf(h, "%q %+v", p.Secret, *c)
	if o := p.options; o != nil {
		fmt.Fprintf(h, " %q %q", o.Password, o.SentinelPassword)
		for _, path := range []string{c.CA, c.Certificate, c.Key} {
			addFile(h, path)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// redisOptions reads the passwords and certificates.
func (f *File) redisOptions(r *report) *redis.Options {
	c := &f.Cache
	o := &redis.Options{
		Name: strings.Join(c.Redis, " "), Sentinel: c.Sentinel, User: c.User, SentinelUser: c.SentinelUser, Database: c.Database, Prefix: c.Prefix,
	}
	for _, address := range c.Redis {
		_, addr, _, _ := c.server(address) // validated
		o.Addresses = append(o.Addresses, addr)
	}
	o.Password = f.readPassword(r, "password_file", c.PasswordFile)
	o.SentinelPassword = f.readPassword(r, "sentinel_password_file", c.SentinelPasswordFile)
	if c.hasTLS() {
		conf, err := c.load()
		if err != nil {
			r.fail(cachePath.Key(err.key), "%v", err)
		}
		o.TLS = conf
	}
	return o
}

func (f *File) readPassword(r *report, key, path string) string {
	if path == "" {
		return ""
	}
	at := cachePath.Key(key)
	data, err := readSecretFile(path)
	switch password := string(data); {
	case err != nil:
		r.fail(at, "%v", err)
	case password == "":
		r.fail(at, "%s is empty; write the password into it", path)
	case strings.ContainsAny(password, "\r\n\x00"):
		r.fail(at, "%s has more than one line; write one password", path)
	default:
		return password
	}
	return ""
}

// readSecret reads the key that signs results.
func (f *File) readSecret(r *report) []byte {
	at, path := cachePath.Key("key_file"), f.Cache.KeyFile
	const remedy = "make it with \"openssl rand -hex 32\", the same on every host"
	data, err := readSecretFile(path)
	switch {
	case err != nil:
		r.fail(at, "%v", err)
	case len(data) < cache.MinSecret:
		r.fail(at, "the key in %s has %d bytes, and at least %d are needed; %s", path, len(data), cache.MinSecret, remedy)
	case strings.Count(string(data), string(data[:1])) == len(data):
		r.fail(at, "the key in %s is one byte again and again and can be guessed; %s", path, remedy)
	default:
		return data
	}
	return nil
}

// maxSecret is the size of the largest file with a key or a password.
const maxSecret = 4 << 10

// readSecretFile reads a file that others must not be able to read. A line break at its end
// does not count if the rest is one line.
func readSecretFile(path string) ([]byte, error) {
	// Opening a pipe would block.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, plainPathError(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, plainPathError(err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&0o007 != 0:
		return nil, fmt.Errorf("every user of this machine can use %s; chmod 0640 it, or 0600", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	switch {
	case err != nil:
		return nil, plainPathError(err)
	case len(data) > maxSecret:
		return nil, errors.New(path + " is larger than 4096 bytes")
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		return []byte(text), nil
	}
	return data, nil
}
