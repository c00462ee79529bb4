// Package decode fills Go structs from a parsed TOML document.
//
// Unlike the TOML library's decoder, it continues after a fault, and reports all faults
// in words for operators. The keys of a table are the fields with a toml tag:
//
//	type Limits struct {
//		Connections int           `toml:"connections" range:"1..10000"`
//		Stream      int64         `toml:"stream"` // a size, "100MiB"
//		Wait        time.Duration `toml:"wait" range:"1s..24h"`
//	}
//
// An int64 is a size in bytes; other numbers are ints, or float64s with a range. An
// fs.FileMode is written in octal, "0660". Strings of other types are decoded by
// [encoding.TextUnmarshaler], and those that may also be true or false by [BoolUnmarshaler].
package decode

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"polyclam/cmd/internal/config/position"
)

// A Fault is something wrong in the document.
type Fault struct {
	Path position.Path
	Text string // what is wrong, and what to write
}

// A BoolUnmarshaler is a value that is written as a string or as true or false.
type BoolUnmarshaler interface {
	encoding.TextUnmarshaler
	UnmarshalBool(b bool)
}

// An Exampler is a value that shows how it is written, without quotes.
type Exampler interface{ Example() string }

// A Preparer is a table whose keys depend on each other.
type Preparer interface {
	// Prepare sets the defaults of a table before its keys are decoded. It may return
	// another struct with more keys of the same table. If open is true, the table may
	// have any other keys.
	Prepare(table map[string]any) (more any, open bool)
}

// Unknown returns the text of a fault for an unknown key; known are the keys that the
// table may have.
type Unknown func(path position.Path, key string, known []string) string

// Decode fills the struct that target points to, and returns everything that is wrong in
// the document. A key with a fault leaves its field unchanged.
func Decode(document map[string]any, target any, unknown Unknown) []Fault {
	d := &decoder{unknown: unknown}
	d.table("", document, reflect.ValueOf(target).Elem())
	return d.faults
}

// Keys returns the keys of a table, given as a struct or a pointer to one.
func Keys(table any) []string {
	var names []string
	for _, f := range fields(reflect.Indirect(reflect.ValueOf(table))) {
		names = append(names, f.name)
	}
	return names
}

// A List is an array of strings. A file may have one string instead, as its only element.
type List []string

type field struct {
	name   string
	limits string // the range tag
	value  reflect.Value
}

// fields returns the fields with a toml tag, including those of embedded structs.
func fields(v reflect.Value) []field {
	var list []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			list = append(list, fields(v.Field(i))...)
		case name != "" && name != "-":
			list = append(list, field{name, f.Tag.Get("range"), v.Field(i)})
		}
	}
	return list
}

type decoder struct {
	unknown Unknown
	faults  []Fault
}

func (d *decoder) fault(path position.Path, format string, args ...any) {
	d.faults = append(d.faults, Fault{path, fmt.Sprintf(format, args...)})
}

// table decodes the table at path into a struct.
func (d *decoder) table(path position.Path, v any, target reflect.Value) {
	table, ok := v.(map[string]any)
	if !ok {
		d.fault(path, "must be a table, for example [%s], not %s", path.Name(), typeName(v))
		return
	}
	var more any
	open := false
	if p, ok := target.Addr().Interface().(Preparer); ok {
		more, open = p.Prepare(table)
	}
	list := fields(target)
	if more != nil {
		list = append(list, fields(reflect.ValueOf(more).Elem())...)
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		i := slices.IndexFunc(list, func(f field) bool { return f.name == name })
		switch {
		case i >= 0:
			d.value(path.Key(name), table[name], list[i])
		case !open:
			d.unknownKey(path, name, table[name], list)
		}
	}
}

// unknownKey reports a key once, or once for each element of an array of tables.
func (d *decoder) unknownKey(table position.Path, name string, v any, known []field) {
	var names []string
	for _, f := range known {
		names = append(names, f.name)
	}
	path, text := table.Key(name), d.unknown(table, name, names)
	elements, _ := v.([]map[string]any)
	if len(elements) == 0 {
		d.fault(path, "%s", text)
	}
	for i := range elements {
		d.fault(path.Element(i), "%s", text)
	}
}

// value decodes v into a field unless v has a fault.
func (d *decoder) value(path position.Path, v any, to field) {
	isScalar, err := setScalar(to.value, v, to.limits)
	if err != nil {
		d.fault(path, "%v", err)
	}
	switch kind := to.value.Kind(); {
	case isScalar:
	case kind == reflect.Slice:
		d.slice(path, v, to.value)
	case kind == reflect.Map:
		d.mapping(path, v, to.value)
	case kind == reflect.Struct:
		d.table(path, v, to.value)
	default:
		panic("decode: key " + string(path) + " has the type " + to.value.Type().String())
	}
}

// slice decodes an array. Elements with faults become zero values.
func (d *decoder) slice(path position.Path, v any, to reflect.Value) {
	element := to.Type().Elem()
	if one, isText := v.(string); isText && to.Type() == reflect.TypeFor[List]() {
		to.Set(reflect.ValueOf(List{one}))
		return
	}
	values, ok := v.([]any)
	if tables, are := v.([]map[string]any); are {
		for _, t := range tables {
			values = append(values, t)
		}
		ok = isTable(element)
	}
	if !ok {
		want := `an array, for example ["..."]`
		if to.Type() == reflect.TypeFor[List]() {
			want = "a string in quotes, or an array of such strings"
		}
		if isTable(element) {
			want = fmt.Sprintf("an array of tables, for example [[%s]]", path.Name())
		}
		d.fault(path, "must be %s, not %s", want, typeName(v))
		return
	}
	list := reflect.MakeSlice(to.Type(), len(values), len(values))
	for i, one := range values {
		if _, ok := one.(map[string]any); isTable(element) && !ok {
			d.fault(path.Element(i), "must be a table, for example [[%s]], not %s", path.Name(), typeName(one))
			continue
		}
		d.value(path.Element(i), one, field{value: list.Index(i)})
	}
	to.Set(list)
}

// isTable reports whether values of a type are written as tables. A struct that decodes
// itself from text is written as a string.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// mapping decodes a table with arbitrary keys. It omits entries with faults.
func (d *decoder) mapping(path position.Path, v any, to reflect.Value) {
	table, ok := v.(map[string]any)
	if !ok {
		d.fault(path, "must be a table, for example [%s], not %s", path.Name(), typeName(v))
		return
	}
	entries := reflect.MakeMap(to.Type())
	for _, name := range slices.Sorted(maps.Keys(table)) {
		before := len(d.faults)
		entry := reflect.New(to.Type().Elem()).Elem()
		d.value(path.Key(name), table[name], field{value: entry})
		if len(d.faults) == before {
			entries.SetMapIndex(reflect.ValueOf(name).Convert(to.Type().Key()), entry)
		}
	}
	to.Set(entries)
}
