package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"polyclam/proxy/cache/redis"
	"polyclam/test/testkit"
)

// TestRights takes a right of the user at a time, and then runs the command in the hint, which
// must repair it.
func TestRights(t *testing.T) {
	s := startServer(t)
	for _, tt := range []struct {
		name string
		take []string
		up   bool // it is still asked
	}{
		{"read", []string{"-getrange"}, false},
		{"keys", []string{"resetkeys", "~other:*"}, false},
		{"write", []string{"-set"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := *s
			s.t = t
			s.do("ACL", "SETUSER", "me", "reset", "on", ">secret", "~polyclam:*", "-@all", "+getrange", "+set", "+append", "+pexpire", "+ping")
			h := s.host(redis.Options{User: "me", Password: "secret"})
			h.waitUp()
			h.add("before")
			s.do(append([]string{"ACL", "SETUSER", "me"}, tt.take...)...)
			n := 0
			testkit.Eventually(t, "the reason is known", func() bool {
				h.Add(key(fmt.Sprint("during", n)), result(fmt.Sprint("during", n)), time.Hour)
				h.has(fmt.Sprint("other", n))
				n++
				shared := h.Stats().Shared
				return shared.Hint != "" && (shared.State == "up") == tt.up
			})
			shared := h.Stats().Shared
			if !strings.Contains(shared.Reason, "the user may not do this (NOPERM") {
				t.Errorf("reason %q", shared.Reason)
			}
			_, command, _ := strings.Cut(shared.Hint, "run in redis-cli: ")
			command, _, _ = strings.Cut(command, " (and")
			h.logged(command)
			words := strings.Fields(command)
			if len(words) < 4 || words[0] != "ACL" {
				t.Fatalf("hint %q", shared.Hint)
			}
			s.do(words...)
			h.waitUp()
			h.add("after")
			testkit.Eventually(t, "no reason is left", func() bool { return h.Stats().Shared.Reason == "" })
		})
	}
}

// TestFailuresRefused checks that a user who may not append costs no results.
func TestFailuresRefused(t *testing.T) {
	s := startServer(t)
	s.do("ACL", "SETUSER", "me", "reset", "on", ">secret", "~*", "-@all", "+getrange", "+set", "+ping")
	h := s.host(redis.Options{User: "me", Password: "secret"})
	h.waitUp()
	h.add("a")
	for i := range 20 {
		h.AddFailure(t.Context(), key(fmt.Sprint(i)), time.Hour)
	}
	if shared := h.Stats().Shared; shared.State != "up" || shared.Failed != 20 || !strings.Contains(shared.Hint, "+append") {
		t.Errorf("%+v", *shared)
	}
	if !h.has("a") {
		t.Error("a result is lost")
	}
}
