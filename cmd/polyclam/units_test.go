package main

import (
	"strings"
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-day: "0 seconds", 0: "0 seconds", time.Second: "1 second", 59 * time.Second: "59 seconds", time.Minute: "1 minute",
		time.Hour - 1: "59 minutes", time.Hour: "1 hour", day - 1: "23 hours", day: "1 day", 3*day + time.Hour: "3 days", 400 * day: "400 days",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	tab := newTable("A", "LONG", "C")
	tab.add("äöü", "", "x\ny")
	tab.add("b", "c", "")
	var b strings.Builder
	tab.write(&b, " ")
	if got, want := b.String(), " A    LONG  C\n äöü  -     x\\ny\n b    c     -\n"; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
