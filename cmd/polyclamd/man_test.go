package main

import (
	"testing"

	"polyclam/cmd/internal/manpage"
)

func TestManualPage(t *testing.T) {
	page, err := manpage.Command(newCommand(nil), "8", "main.go")
	if err != nil {
		t.Fatal(err)
	}
	manpage.Golden(t, "../../docs/man/polyclamd.8", page)
}
