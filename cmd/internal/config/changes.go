package config

import (
	"fmt"
	"reflect"
	"slices"
)

// Changes returns a line for each difference between two configurations. It shows no values
// of a backend's keys, which may be secret.
func Changes(before, after *File) (lines []string) {
	a, b := keyed{}, keyed{}
	a.file(before)
	b.file(after)
	for _, name := range a.names(b) {
		x, inBefore := a[name]
		y, inAfter := b[name]
		switch {
		case !inBefore:
			lines = append(lines, name+" added")
		case !inAfter:
			lines = append(lines, name+" removed")
		default:
			lines = append(lines, differences(name, x, y)...)
		}
	}
	return lines
}

// keyed are the tables of a configuration by name.
type keyed map[string][]any

func (k keyed) file(f *File) {
	k[""] = []any{*f}
	for _, list := range [][]Listener{f.Listeners, f.Services} {
		for _, l := range list {
			if l.Service == ServiceClamd || l.Service == ServiceAgent {
				k[fmt.Sprintf("listener %s", l.Address)] = []any{l}
			}
		}
	}
	for i := range f.Engines {
		e := &f.Engines[i]
		k["engine "+e.Name] = []any{*e, hidden{e.config}}
	}
}

// hidden are keys whose values are not shown.
type hidden struct{ keys any }

func (k keyed) names(other keyed) (names []string) {
	for _, one := range []keyed{k, other} {
		for name := range one {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// differences compares two tables, each of which may be several structs.
func differences(name string, before, after []any) (lines []string) {
	if len(before) != len(after) {
		return []string{name + " changed"}
	}
	for i := range before {
		x, y, show := before[i], after[i], true
		if h, ok := x.(hidden); ok {
			x, y, show = h.keys, y.(hidden).keys, false
		}
		lines = append(lines, fieldDifferences(prefixOf(name), reflect.ValueOf(x), reflect.ValueOf(y), show)...)
	}
	return lines
}

func prefixOf(name string) string {
	if name == "" {
		return ""
	}
	return name + ": "
}

func fieldDifferences(prefix string, x, y reflect.Value, show bool) (lines []string) {
	x, y = reflect.Indirect(x), reflect.Indirect(y)
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() || x.Kind() != reflect.Struct {
		return nil
	}
	for i := range x.NumField() {
		field := x.Type().Field(i)
		key, ok := field.Tag.Lookup("toml")
		switch {
		case !field.IsExported() || !ok && !field.Anonymous:
		case field.Anonymous:
			lines = append(lines, fieldDifferences(prefix, x.Field(i), y.Field(i), show)...)
		case field.Type == reflect.TypeFor[[]Listener]() || field.Type == reflect.TypeFor[[]Engine]():
		case field.Type.Kind() == reflect.Struct && isTable(field.Type):
			lines = append(lines, fieldDifferences(prefix+key+".", x.Field(i), y.Field(i), show)...)
		case reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()):
		case show && isScalar(field.Type.Kind()):
			lines = append(lines, fmt.Sprintf("%s%s: %v -> %v", prefix, key, x.Field(i).Interface(), y.Field(i).Interface()))
		default:
			lines = append(lines, prefix+key+" changed")
		}
	}
	return lines
}

// isTable reports whether a struct is a table rather than one value.
func isTable(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("toml"); ok || t.Field(i).Anonymous && t.Field(i).Type.Kind() == reflect.Struct {
			return true
		}
	}
	return false
}

func isScalar(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}
