package clients

import (
	"os"
	"slices"
	"testing"

	"polyclam/test/clamdtest"
)

// gatewayClients scan what passes through a server that is not for mail.
var gatewayClients = slices.Concat(cicapClients, proftpdClients)

// missing skips the test for want of something that is no program, or fails it where
// the real thing is demanded, as [clamdtest.RequireProgram] does.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(clamdtest.RequireReal) == "1" {
		t.Fatalf("%s, and %s=1 demands it", what, clamdtest.RequireReal)
	}
	t.Skipf("NOT TESTED: %s", what)
}
