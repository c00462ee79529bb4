package config

import (
	"io/fs"
	"reflect"
	"strconv"
	"strings"
	"time"

	"polyclam/cmd/internal/size"
)

// isScalar reports whether a value of the configuration is written as one word.
func isScalar(v reflect.Value) bool {
	switch v.Interface().(type) {
	case Pattern, Ports:
		return true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice:
		return false
	}
	return true
}

// valueText returns a value about as the file has it. Different values have different texts.
func valueText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return durationText(x)
	case Age:
		return x.text()
	case CacheTTL:
		return x.text()
	case fs.FileMode:
		return "0" + strconv.FormatUint(uint64(x), 8)
	case Group:
		if x == NoGroup {
			return "the daemon's own"
		}
	case Pattern:
		if x.Regexp == nil {
			return `""`
		}
		return strconv.Quote(x.String())
	case Ports:
		if x.First == 0 {
			return "any"
		}
		return strconv.Itoa(int(x.First)) + "-" + strconv.Itoa(int(x.Last))
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int64: // a size
		return size.Format(v.Int())
	case reflect.Int, reflect.Int32, reflect.Int16, reflect.Int8:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Slice:
		var list []string
		for i := range v.Len() {
			list = append(list, valueText(v.Index(i)))
		}
		return "[" + strings.Join(list, ", ") + "]"
	case reflect.Map:
		var list []string
		for _, k := range sortedKeys(v) {
			list = append(list, k.String()+" = "+valueText(v.MapIndex(k)))
		}
		return "{" + strings.Join(list, ", ") + "}"
	case reflect.Struct:
		var list []string
		tagged(v, func(key string, v reflect.Value) { list = append(list, key+" = "+valueText(v)) })
		return "{" + strings.Join(list, ", ") + "}"
	}
	panic("config: a key has the type " + v.Type().String())
}

// durationText writes "1m30s", and "1m" rather than "1m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// text writes an age as the file has it.
func (a Age) text() string {
	switch d := time.Duration(a); {
	case d == 0:
		return never
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	default:
		return durationText(d)
	}
}
