// Package size parses and formats sizes in bytes: exactly, as in the configuration and
// clamd.conf, and rounded, for people.
//
// github.com/docker/go-units would not do: it also accepts "100M", "100MB" and "1.5MiB".
// The configuration refuses those, because readers disagree about what M means. go-units
// also rounds what it prints, so a size would change when read back.
package size

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"polyclam/proxy/ops/human"
)

// Max is the largest size that Parse accepts. Sums of sizes stay far from overflow.
const Max = 1 << 50

var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// Parse parses a size: "256KiB", "100MiB", "2GiB", "1TiB", or plain bytes.
func Parse(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = strings.TrimRight(rest, " "), u.bytes
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write bytes, or KiB, MiB, GiB or TiB, for example \"100MiB\"", s)
	}
	if int64(n) > Max/unit {
		return 0, fmt.Errorf("%q is too large; the most is %q", s, Format(Max))
	}
	return int64(n) * unit, nil
}

// Format prints n exactly, so that Parse returns n: "100MiB", or "1025" bytes.
func Format(n int64) string {
	for _, u := range slices.Backward(units) {
		if n > 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// FormatClamd prints n exactly for clamd.conf: "100M", or "1025" bytes.
func FormatClamd(n int64) string {
	if n > 0 && n%(1<<20) == 0 {
		return strconv.FormatInt(n>>20, 10) + "M"
	}
	return strconv.FormatInt(n, 10)
}

// Human prints n for people, rounded to a tenth: "1 byte", "1.5 GiB", "300 MiB".
func Human(n int64) string { return human.Size(n) }

// MiB prints n for tables whose rows people compare and add up: in whole MiB, rounded up,
// or to a tenth below 10 MiB.
func MiB(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
}
