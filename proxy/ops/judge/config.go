package judge

import (
	"cmp"
	"time"

	"polyclam/protocol/extended"
	"polyclam/proxy/ops/human"
)

// ConfigTrouble says that the server has refused a reload, or returns "".
func ConfigTrouble(s *extended.Server, now time.Time) string {
	if s.ConfigRefused.IsZero() {
		return ""
	}
	return "the configuration on disk is refused since " + human.Clock(s.ConfigRefused, now) + ": " + cmp.Or(s.ConfigProblem, "see the log")
}
