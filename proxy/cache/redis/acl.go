package redis

import (
	"strconv"
	"strings"
)

// aclHint says which command gives the user its rights, after the server has refused one of
// the commands that polyclam needs.
func (o *Options) aclHint(refusal string) string {
	if lower := strings.ToLower(refusal); o.Sentinel != "" && (strings.Contains(lower, "'sentinel") || strings.Contains(lower, "'subscribe") || strings.Contains(lower, "channel")) {
		return "run in redis-cli on each Sentinel: ACL SETUSER " + aclName(o.SentinelUser) + " &* +sentinel|sentinels +sentinel|get-master-addr-by-name +subscribe +ping"
	}
	return "run in redis-cli: ACL SETUSER " + aclName(o.User) + " ~" + aclPattern(o.Prefix) + " " + strings.Join(o.aclCommands(refusal), " ") +
		" (and ACL SAVE if the server has an aclfile)"
}

// aclCommands are the rights that polyclam needs, as ACL SETUSER has them. One address may be
// that of a cluster, which the refusal shows.
func (o *Options) aclCommands(refusal string) []string {
	list := []string{"+getrange", "+set", "+append", "+pexpire", "+ping"}
	switch {
	case o.Sentinel != "":
		list = append(list, "+role")
	case len(o.Addresses) > 1, strings.Contains(strings.ToLower(refusal), "'cluster"):
		list = append(list, "+cluster|slots", "+cluster|shards")
	}
	if o.Database != 0 {
		list = append(list, "+select")
	}
	return list
}

// aclName is a user as redis-cli reads it. No user is the one called default.
func aclName(user string) string {
	switch {
	case user == "":
		return "default"
	case strings.ContainsFunc(user, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\'' || c == '\\' }):
		return strconv.QuoteToASCII(user)
	}
	return user
}

// aclPattern is the pattern of the keys with a prefix. Quotes would end the word in redis-cli,
// so any character may be in their places.
func aclPattern(prefix string) string {
	return strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, `\`, `\\`, `"`, "?", "'", "?").Replace(prefix) + "*"
}
