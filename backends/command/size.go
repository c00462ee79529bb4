package command

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, in the configuration a plain number or one with a
// unit: "1MiB", "512KiB".
type Size int64

var units = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
		if err != nil || int64(n) > (1<<63-1)/u.factor {
			break
		}
		*s = Size(int64(n) * u.factor)
		return nil
	}
	return fmt.Errorf("%q is not a size, as in \"1MiB\", \"512KiB\" or 65536", text)
}
