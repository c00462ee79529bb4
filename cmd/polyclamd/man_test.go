package main

import (
	"testing"

	"polyclam/cmd/internal/manpage"
	"polyclam/test/testkit"
)

func TestManualPage(t *testing.T) {
	page, err := manpage.Command(newCommand(nil), "8", "main.go")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../docs/man/polyclamd.8", []byte(page))
}
