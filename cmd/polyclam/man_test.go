package main

import (
	"testing"

	"polyclam/cmd/internal/manpage"
	"polyclam/test/testkit"
)

func TestManualPage(t *testing.T) {
	page, err := manpage.Command(new(tool).newCommand(), "1", "main.go")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../docs/man/polyclam.1", []byte(page))
}
