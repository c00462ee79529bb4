package main

import (
	"strings"
	"testing"
)

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
