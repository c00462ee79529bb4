package redis

import (
	"strings"
	"testing"
)

// TestACLHint checks the command that a refusal asks for.
func TestACLHint(t *testing.T) {
	const rights = "+getrange +set +append +pexpire +ping"
	const refusal = "NOPERM this user has no permissions to run the 'set' command"
	one, many := []string{"192.0.2.1:6379"}, []string{"192.0.2.1:6379", "192.0.2.2:6379"}
	for _, tt := range []struct {
		name, refusal, want string
		options             Options
	}{
		{"one server", refusal, "run in redis-cli: ACL SETUSER polyclam ~polyclam:* " + rights + " (and ACL SAVE if the server has an aclfile)",
			Options{Addresses: one, User: "polyclam", Prefix: "polyclam:"}},
		{"no user", refusal, "run in redis-cli: ACL SETUSER default ~mail:* " + rights + " (and",
			Options{Addresses: one, Prefix: "mail:"}},
		{"no prefix", refusal, "ACL SETUSER u ~* " + rights + " (and", Options{Addresses: one, User: "u"}},
		{"pattern", refusal, `ACL SETUSER u ~a\*\?\[b\]\\?* ` + rights, Options{Addresses: one, User: "u", Prefix: `a*?[b]\"`}},
		{"odd user", refusal, `ACL SETUSER "a b\"" ~p* ` + rights, Options{Addresses: one, User: `a b"`, Prefix: "p"}},
		{"database", refusal, rights + " +select (and", Options{Addresses: one, User: "u", Database: 3}},
		{"cluster", refusal, rights + " +cluster|slots +cluster|shards (and", Options{Addresses: many, User: "u"}},
		{"one node of a cluster", "NOPERM this user has no permissions to run the 'cluster|slots' command", rights + " +cluster|slots +cluster|shards (and", Options{Addresses: one, User: "u"}},
		{"primary of Sentinels", refusal, "ACL SETUSER u ~p* " + rights + " +role (and", Options{Addresses: many, Sentinel: "m", User: "u", Prefix: "p"}},
		{"Sentinel", "NOPERM this user has no permissions to run the 'sentinel|sentinels' command", "run in redis-cli on each Sentinel: ACL SETUSER s &* ",
			Options{Addresses: many, Sentinel: "m", User: "u", SentinelUser: "s"}},
	} {
		if got := tt.options.aclHint(tt.refusal); !strings.Contains(got, tt.want) {
			t.Errorf("%s: the hint is\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}
