package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/machine"
	"polyclam/proxy/cache"
)

// TestBadCache checks what an operator reads about a mistake in [cache], or in the keys of an
// engine for the cache and for names. Each is one problem.
func TestBadCache(t *testing.T) {
	const good = "redis = \"tcp:192.0.2.6:6379\"\nkey_file = \"/etc/polyclam/cache.key\"\n"
	for _, tt := range []struct{ cache, engine, want string }{
		{cache: `budget = 20`, want: `cache.budget: a duration needs a unit; write "20ms"`},
		{cache: `budget = 5000`, want: `cache.budget: a duration needs a unit; write "1ms"`},
		{cache: `budget = "20"`, want: `cache.budget: "20" is not a duration; write a number with its unit, between "1ms" and "1s"`},
		{cache: `budget = "2s"`, want: `cache.budget: must be at most "1s", not "2s"`},
		{cache: `redis = 5`, want: `cache.redis: must be a string in quotes, or an array of such strings, not an integer`},
		{cache: `redis = [5]`, want: `cache.redis: must be a string in quotes, not an integer`},
		{cache: `redis = []`, want: `cache.redis: no address in it; write at least one, for example "tcp:127.0.0.1:6379", or delete the key`},
		{cache: `redis = "tcp:192.0.2.6:6379"`, want: `cache.redis: needs key_file: results are signed with a key that all hosts have`},
		{cache: `redis = "192.0.2.6:6379"`, want: `cache.redis: "192.0.2.6:6379" is not an address; write "tcp:host:port", "tls:host:port" or "unix:/path/of/socket"`},
		{cache: `redis = "rediss://me:hunter2@192.0.2.6/1"`, want: `cache.redis: is a URL; write "tcp:host:port", "tls:host:port" for one with rediss`},
		{cache: "redis = [\"tcp:a:1\", \"tcp:A.:01\"]", want: `cache.redis: "tcp:A.:01" is in the list twice; write each server once`},
		{cache: "redis = [\"tcp:[2001:db8::1]:1\", \"tcp:b:1\", \"tcp:[2001:db8::1]:1\"]", want: `cache.redis: "tcp:[2001:db8::1]:1" is in the list twice; write each server once`},
		{cache: "redis = \"unix:/run/r.sock\"\nsentinel = \"mail\"", want: `cache.redis: Sentinels have TCP addresses; write these, or delete sentinel`},
		{cache: good + `user = "me"`, want: `cache.user: needs password_file; write that too, or delete the key`},
		{cache: `password = "hunter2"`, want: `cache.password: unknown key "password"; write the password into a file that only polyclam can read, and password_file = "/path/of/it"`},
		{cache: `sentinel_password = "hunter2"`, want: `cache.sentinel_password: unknown key "sentinel_password"; write the password into a file that only polyclam can read, and sentinel_password_file = `},
		{cache: `pasword_file = "x"`, want: `cache.pasword_file: unknown key "pasword_file"; did you mean "password_file"?`},
		{cache: `secret = "hunter2"`, want: `cache.secret: unknown key "secret"; write the key into a file that only polyclam can read, and key_file = "/path/of/it"`},
		{cache: `hmac_key = "hunter2"`, want: `cache.hmac_key: unknown key "hmac_key"; write the key into a file`},
		{cache: `max_size = "1GiB"`, want: `cache.max_size: unknown key "max_size"; write memory = "32MiB"`},
		{cache: `enabled = true`, want: `cache.enabled: unknown key "enabled"; the cache is on unless memory = "0"`},
		{cache: `ttl = "10m"`, want: `cache.ttl: unknown key "ttl"; write cache_ttl = "10m" in [[engine]]`},
		{cache: `cache_ttl = "10m"`, want: `cache.cache_ttl: unknown key "cache_ttl"; write it in [[engine]]`},
		{cache: `timeout = "1s"`, want: `cache.timeout: unknown key "timeout"; budget = "20ms" is how long a scan waits for the store`},
		{cache: `url = "redis://x"`, want: `cache.url: unknown key "url"; write redis = "tcp:127.0.0.1:6379"`},
		{cache: `db = 1`, want: `cache.db: unknown key "db"; write database`},
		{cache: `reddis = "x"`, want: `cache.reddis: unknown key "reddis"; did you mean "redis"?`},
		{cache: `memory = 32`, want: `cache.memory: "32" holds almost nothing; write at least "1MiB", or "0" for no cache in memory`},
		{cache: `memory = "-1"`, want: `cache.memory: `},
		{cache: `memory = "99999999999GiB"`, want: `cache.memory: `},

		{engine: `cache_ttl = 5`, want: `engine.cache_ttl: must be a string in quotes, for example "10m", not an integer`},
		{engine: `cache_ttl = "1"`, want: `engine.cache_ttl: "1" has no unit; write "1m" for minutes, "1h" for hours, or "auto"`},
		{engine: `cache_ttl = "-1s"`, want: `engine.cache_ttl: "-1s" is negative; write "0s" to keep no results, at most "24h", or "auto"`},
		{engine: `cache_ttl = "48h"`, want: `engine.cache_ttl: "48h" is too long`},
		{engine: `cache_ttl = "never"`, want: `engine.cache_ttl: "never" is not a duration; write one such as "10m" or "1h", "0s" to keep no results, or "auto"`},
		{engine: `max_signature_age = 7`, want: `engine.max_signature_age: must be a string in quotes, for example "7d", not an integer`},
		{engine: `resolve = "0s"`, want: `engine.resolve: must be at least "1s", not "0s"`},
		{engine: `resolve = 10`, want: `engine.resolve: a duration needs a unit; write "10s"`},
		{engine: `name_servers = "x"`, want: `engine.name_servers: "x": write the IP address of a name server, with its port unless that is 53, for example "127.0.0.1:8600"`},
		{engine: `name_servers = ["127.0.0.1", "x"]`, want: `engine.name_servers: "x": write the IP address of a name server`},
		{engine: `name_servers = 5`, want: `engine.name_servers: must be a string in quotes, or an array of such strings, not an integer`},
		{engine: `nameserver = "192.0.2.1"`, want: `engine.nameserver: unknown key "nameserver"; did you mean "name_servers"?`},
		{engine: `max_nodes = 0`, want: `engine.max_nodes: must be a number between 1 and 64, not 0`},
		{engine: `max_nodes = "4"`, want: `engine.max_nodes: must be a number between 1 and 64, not a string`},
	} {
		t.Run(tt.cache+tt.engine, func(t *testing.T) {
			text := "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"dns:clamd.example.org:3310\"\n" + tt.engine + "\n[cache]\n" + tt.cache + "\n"
			if strings.HasPrefix(tt.cache, "redis = ") && !strings.Contains(tt.cache+tt.want, "key_file") {
				text += "key_file = \"/etc/polyclam/cache.key\"\n"
			}
			_, err := Parse("test", []byte(text))
			var problems Problems
			if !errors.As(err, &problems) || len(problems) != 1 {
				t.Fatalf("problems %v, want one: %s", err, tt.want)
			}
			_, got, _ := strings.Cut(strings.TrimPrefix(problems[0].String(), "test:"), ": ")
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("the message is\n%s\nwant\n%s", got, tt.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is in the message: %s", got)
			}
		})
	}
}

// TestCacheSurvivesLessMemory checks that a reload keeps the cache although less memory is free
// than before, and opens another one if the key has changed.
func TestCacheSurvivesLessMemory(t *testing.T) {
	for _, memory := range []string{"", "memory = \"9999GiB\"\n"} {
		open := func(text string, free int64, running *cache.Cache) *cache.Cache {
			f, err := Parse("test", []byte("[[engine]]\nname = \"x\"\nbackend = \"inspect\"\n[cache]\n"+text))
			if err != nil {
				t.Fatal(err)
			}
			f.FitSpool(machine.Limit{N: free, From: "x"})
			c, err := f.OpenCache(running, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return c
		}
		first := open(memory, 4<<30, nil)
		if open(memory, 3<<30, first) != first {
			t.Errorf("%q: another cache, because less memory is free", memory)
		}
		if open("memory = \"8MiB\"\n", 4<<30, first) == first {
			t.Errorf("%q: the same cache, although the key has changed", memory)
		}
	}
}

// TestOneNameServer checks that one name server needs no array.
func TestOneNameServer(t *testing.T) {
	f, err := Parse("test", []byte("[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"dns:a.example.org:1\"\nname_servers = \"192.0.2.1\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Engines[0].nameServers(); len(got) != 1 || got[0] != "192.0.2.1:53" {
		t.Errorf("name servers %q", got)
	}
}
