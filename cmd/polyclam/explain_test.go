package main

import (
	"testing"

	"polyclam/protocol/extended"
)

func TestWho(t *testing.T) {
	for _, c := range []struct{ user, groups, want string }{
		{"", "", "polyclamd"},
		{"p", "p", "polyclamd (p, group p)"},
		{"p", "p,q", "polyclamd (p, groups p and q)"},
		{"p", "p,q,r", "polyclamd (p, groups p, q and r)"},
	} {
		if got := who(&extended.Server{About: extended.About{User: c.user, Groups: c.groups}}); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
