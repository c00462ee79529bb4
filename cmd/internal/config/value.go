package config

import (
	"fmt"
	"io/fs"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text takes a string.
func text(p *string) setter {
	return parsed(p, func(s string) (string, error) { return s, nil })
}

// parsed takes a string that parse understands.
func parsed[T any](p *T, parse func(string) (T, error)) setter {
	return func(r *reader, path string, v any) {
		s, ok := v.(string)
		if !ok {
			r.fail(path, "want a string in quotes, not %s", typeName(v))
			return
		}
		value, err := parse(s)
		if err != nil {
			r.fail(path, "%v", err)
			return
		}
		*p = value
	}
}

// word takes one of a few words.
func word[T ~string](p *T, known ...T) setter {
	return parsed(p, func(s string) (T, error) {
		if slices.Contains(known, T(s)) {
			return T(s), nil
		}
		return "", unknown("value", s, plain(known))
	})
}

func plain[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// flag takes a boolean.
func flag(p *bool) setter {
	return func(r *reader, path string, v any) {
		b, ok := v.(bool)
		if !ok {
			r.fail(path, "want true or false, not %s", typeName(v))
			return
		}
		*p = b
	}
}

// count takes an integer between low and high.
func count(p *int, low, high int64) setter {
	return func(r *reader, path string, v any) {
		n, ok := v.(int64)
		switch {
		case !ok:
			r.fail(path, "want a number between %d and %d, not %s", low, high, typeName(v))
		case n < low || n > high:
			r.fail(path, "%d is out of range; want a number between %d and %d", n, low, high)
		default:
			*p = int(n)
		}
	}
}

// size takes a number of bytes: an integer, or a string such as "100MiB".
func size(p *int64) setter {
	return func(r *reader, path string, v any) {
		if n, ok := v.(int64); ok {
			v = strconv.FormatInt(n, 10)
		}
		if s, ok := v.(string); ok {
			n, err := parseSize(s)
			if err != nil {
				r.fail(path, "%v", err)
				return
			}
			*p = n
			return
		}
		r.fail(path, "want a size, as in \"100MiB\", not %s", typeName(v))
	}
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

// maxSize keeps sums of sizes far from overflow.
const maxSize = 1 << 50

// parseSize parses "256KiB", "100MiB", "2GiB", "1TiB" or plain bytes.
func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = rest, u.bytes
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; want bytes, or KiB, MiB, GiB, TiB, as in \"100MiB\"", s)
	}
	if int64(n) > maxSize/unit {
		return 0, fmt.Errorf("%q is too large; want at most %q", s, formatSize(maxSize))
	}
	return int64(n) * unit, nil
}

// formatSize is the reverse of parseSize.
func formatSize(n int64) string {
	for _, u := range slices.Backward(sizeUnits) {
		if n > 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// maxDuration keeps a slip of the pen from waiting for ever.
const maxDuration = 24 * time.Hour

// durationUnit is what is said of a bare number.
const durationUnit = "want a duration with its unit; write \"%ds\""

// duration takes a length of time above zero, as in "110s".
func duration(p *time.Duration) setter { return atLeast(p, 1) }

// atLeast is duration with a lowest value.
func atLeast(p *time.Duration, low time.Duration) setter {
	return func(r *reader, path string, v any) {
		if n, ok := v.(int64); ok { // a bare number of the TOML library means nanoseconds
			r.fail(path, durationUnit, n)
			return
		}
		if _, ok := v.(string); !ok {
			r.fail(path, "want a duration, as in \"60s\", not %s", typeName(v))
			return
		}
		parsed(p, func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			switch {
			case err != nil:
				return 0, fmt.Errorf("%q is not a duration; want a number with its unit, as in \"110s\" or \"2m\"", s)
			case d < low && low <= 1:
				return 0, fmt.Errorf("%q is not above zero; want a duration as in \"60s\"", s)
			case d < low:
				return 0, fmt.Errorf("%q is too short; want at least \"%v\"", s, low)
			case d > maxDuration:
				return 0, fmt.Errorf("%q is too long; want at most \"24h\"", s)
			}
			return d, nil
		})(r, path, v)
	}
}

// parseMode parses the rights of a file in octal, as in "0666".
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not a mode; want three octal digits after a zero, as in \"0666\"", s)
	}
	return fs.FileMode(n), nil
}

// parsePathMode parses the rights of a file with content for engines to read.
func parsePathMode(s string) (fs.FileMode, error) {
	mode, err := parseMode(s)
	if err == nil && (mode&^0o664 != 0 || mode&0o400 == 0) {
		err = fmt.Errorf("%q is not for contents; want the owner to read, nothing executable and nothing writable for all, as in \"0600\" or \"0640\"", s)
	}
	return mode, err
}

// NoGroup is a group that was not given: files keep the daemon's own.
const NoGroup = -1

// parseGroup finds a group by its name or takes its number.
func parseGroup(s string) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(s)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q; want the name or number of a group of this machine", s)
	}
	return strconv.Atoi(g.Gid)
}

// parseAbs wants an absolute path.
func parseAbs(s string) (string, error) {
	if !strings.HasPrefix(s, "/") || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%q is not an absolute path; want one that begins with \"/\"", s)
	}
	return s, nil
}

// list takes an array of strings that parse understands.
func list[T any](p *[]T, parse func(string) (T, error)) setter {
	return func(r *reader, path string, v any) {
		values, ok := v.([]any)
		if !ok {
			r.fail(path, "want an array of strings, as in [\"...\"], not %s", typeName(v))
			return
		}
		out := make([]T, len(values))
		for i, one := range values {
			parsed(&out[i], parse)(r, element(path, i), one)
		}
		*p = out
	}
}
