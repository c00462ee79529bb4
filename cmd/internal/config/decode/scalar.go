package decode

import (
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"time"

	"polyclam/cmd/internal/size"
)

// setScalar decodes v into a field and checks its range. It returns false for an array or
// a table.
func setScalar(to reflect.Value, v any, limits string) (isScalar bool, err error) {
	switch p := to.Addr().Interface().(type) {
	case *time.Duration:
		return true, setDuration(p, v, limits)
	case *int64:
		return true, setSize(p, v)
	case *fs.FileMode:
		return true, setMode(p, v)
	case BoolUnmarshaler:
		if b, ok := v.(bool); ok {
			p.UnmarshalBool(b)
			return true, nil
		}
		return true, setText(p, v)
	case encoding.TextUnmarshaler:
		return true, setText(p, v)
	}
	switch to.Kind() {
	case reflect.String:
		return true, setString(to, v)
	case reflect.Bool:
		return true, setBool(to, v)
	case reflect.Int:
		return true, setInt(to, v, limits)
	case reflect.Float64:
		return true, setFloat(to, v, limits)
	}
	return false, nil
}

func text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", fmt.Errorf("must be a string in quotes, not %s", typeName(v))
}

func setString(to reflect.Value, v any) error {
	s, err := text(v)
	if err == nil {
		to.SetString(s)
	}
	return err
}

func setText(to encoding.TextUnmarshaler, v any) error {
	s, err := text(v)
	if e, ok := to.(Exampler); ok && err != nil {
		return fmt.Errorf("must be a string in quotes, for example %q, not %s", e.Example(), typeName(v))
	}
	if err != nil {
		return err
	}
	return to.UnmarshalText([]byte(s))
}

func setBool(to reflect.Value, v any) error {
	b, ok := v.(bool)
	if !ok {
		return fmt.Errorf("must be true or false, not %s", typeName(v))
	}
	to.SetBool(b)
	return nil
}

// setInt decodes a number. The range has both ends or is empty.
func setInt(to reflect.Value, v any, limits string) error {
	want := "a number"
	low, high, limited := strings.Cut(limits, "..")
	if limited {
		want += " between " + low + " and " + high
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		return fmt.Errorf("must be %s, not %s", want, typeName(v))
	case limited && (n < end(strconv.Atoi, low) || n > end(strconv.Atoi, high)):
		return fmt.Errorf("must be %s, not %d", want, n)
	}
	to.SetInt(n)
	return nil
}

// setFloat decodes a number with or without a fraction. The range has both ends.
func setFloat(to reflect.Value, v any, limits string) error {
	low, high, _ := strings.Cut(limits, "..")
	want := "a number between " + low + " and " + high
	var n float64
	switch v := v.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		return fmt.Errorf("must be %s, not %s", want, typeName(v))
	}
	least, errLow := strconv.ParseFloat(low, 64)
	most, errHigh := strconv.ParseFloat(high, 64)
	if err := errors.Join(errLow, errHigh); err != nil {
		panic(err)
	}
	if !(n >= least && n <= most) { // neither for NaN
		return fmt.Errorf("must be %s, not %v", want, v)
	}
	to.SetFloat(n)
	return nil
}

// end parses one end of a range tag.
func end[T ~int | ~int64](parse func(string) (T, error), s string) int64 {
	n, err := parse(s)
	if err != nil {
		panic(err)
	}
	return int64(n)
}

// setSize decodes a number of bytes: an integer, or a string such as "100MiB".
func setSize(to *int64, v any) error {
	if n, ok := v.(int64); ok {
		v = strconv.FormatInt(n, 10)
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("must be a size, for example \"100MiB\", not %s", typeName(v))
	}
	n, err := size.Parse(s)
	if err == nil {
		*to = n
	}
	return err
}

// setDuration decodes a duration with its unit.
func setDuration(to *time.Duration, v any, limits string) error {
	switch v := v.(type) {
	case string:
		t, err := time.ParseDuration(v)
		if err != nil {
			return notDuration(v, limits)
		}
		if err := checkDuration(t, v, limits); err != nil {
			return err
		}
		*to = t
		return nil
	case int64:
		return fmt.Errorf("a duration needs a unit; write %q", withUnit(strconv.FormatInt(v, 10), limits))
	}
	return fmt.Errorf("must be a duration, for example \"60s\", not %s", typeName(v))
}

// notDuration says what to write instead of v.
func notDuration(v, limits string) error {
	example := `for example "110s" or "2m"`
	if low, high, _ := strings.Cut(limits, ".."); limits != "" && checkDuration(2*time.Minute, "", limits) != nil {
		example = fmt.Sprintf("between %q and %q", low, high)
	}
	return fmt.Errorf("%q is not a duration; write a number with its unit, %s", v, example)
}

// withUnit adds a unit to a number that has none: seconds, unless that is not in the range
// and milliseconds are.
func withUnit(number, limits string) string {
	for _, unit := range []string{"s", "ms"} {
		if d, err := time.ParseDuration(number + unit); err == nil && checkDuration(d, "", limits) == nil {
			return number + unit
		}
	}
	if low, _, ok := strings.Cut(limits, ".."); ok && low != "1ns" {
		return low
	}
	return number + "s"
}

func checkDuration(t time.Duration, written, limits string) error {
	low, high, limited := strings.Cut(limits, "..")
	if !limited {
		return nil
	}
	least, most := end(time.ParseDuration, low), end(time.ParseDuration, high)
	switch {
	case int64(t) < least && least == 1:
		return fmt.Errorf("must be positive, for example \"60s\", not %q", written)
	case int64(t) < least:
		return fmt.Errorf("must be at least %q, not %q", low, written)
	case int64(t) > most:
		return fmt.Errorf("must be at most %q, not %q", high, written)
	}
	return nil
}

// setMode decodes file permissions, "0660".
func setMode(to *fs.FileMode, v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("%q is not a mode; write three octal digits after a zero, for example \"0666\"", s)
	}
	*to = fs.FileMode(n)
	return nil
}

// typeName returns the TOML name of v's type, with an article.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	case []any:
		return "an array"
	}
	return "a date or time"
}
