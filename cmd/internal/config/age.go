package config

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Age is a duration that may also be written in days, as in "7d". "never" is 0: no limit.
type Age time.Duration

const (
	never  = "never"
	day    = 24 * time.Hour
	maxAge = Age(36500 * day)
)

// The values of the key stale.
const (
	staleUse     = "use"
	staleSuspend = "suspend"
)

var ageInDays = regexp.MustCompile(`^[0-9]{1,6}d$`)

// Example implements [decode.Exampler].
func (*Age) Example() string { return "7d" }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Age) UnmarshalText(text []byte) error {
	s := string(text)
	var d time.Duration
	switch {
	case s == never:
	case ageInDays.MatchString(s):
		n, _ := strconv.Atoi(s[:len(s)-1])
		d = time.Duration(min(n, int(maxAge/Age(day))+1)) * day
	default:
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return fmt.Errorf("%q is not an age; write one such as \"7d\" or \"36h\", or \"never\" for no limit", s)
		}
	}
	if *a = Age(d); *a < 0 || *a > maxAge {
		return fmt.Errorf("%q is out of range; write \"0s\" to \"36500d\", or \"never\" for no limit", s)
	}
	return nil
}
