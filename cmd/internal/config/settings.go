package config

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Settings are the values of all keys of a File, as text, at one moment. They also have the
// state of the files that the values name. [Settings.Changes] compares two of them.
type Settings struct {
	tables  []*settingsTable // the first has no title
	byTitle map[string]*settingsTable
}

// settingsTable is one table. Tables of an array, such as [[engine]], have a title; all
// others share one without a title, where a key has its full name: "limits.stream".
type settingsTable struct {
	kind, title string // "engine", "engine clamav"
	settings    []*setting
	byKey       map[string]*setting
}

type setting struct {
	key, value string
	isSecret   bool
	files      []fileState
}

// fileState identifies the content of a file.
type fileState struct{ path, state string }

// Settings returns the values. It reads the state of files, and so may hang like a file
// system. Call it before the file is adapted to the machine: it then has what an operator
// wrote, or the defaults.
func (f *File) Settings() *Settings {
	s := &settingsWalk{settings: &Settings{byTitle: map[string]*settingsTable{}}}
	s.begin("", "")
	all := *f
	all.Listeners = slices.Clone(f.Listeners)
	for _, l := range f.Services { // [http] and [admin] have their own tables
		if l.Service == ServiceAgent {
			all.Listeners = append(all.Listeners, l)
		}
	}
	s.fields("", reflect.ValueOf(&all).Elem(), nil)
	return s.settings
}

type settingsWalk struct {
	settings *Settings
	at       *settingsTable // the table that is filled
}

// begin begins a table, and returns the one that was filled before.
func (s *settingsWalk) begin(kind, title string) (before *settingsTable) {
	before, s.at = s.at, &settingsTable{kind: kind, title: title, byKey: map[string]*setting{}}
	s.settings.tables = append(s.settings.tables, s.at)
	s.settings.byTitle[title] = s.at
	return before
}

// tagged calls visit for each field of a struct with a toml tag, including those of embedded
// structs.
func tagged(v reflect.Value, visit func(key string, v reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			tagged(v.Field(i), visit)
		case name != "" && name != "-":
			visit(name, v.Field(i))
		}
	}
}

// fields adds the keys of a table, except some; prefix ends in a dot or is empty.
func (s *settingsWalk) fields(prefix string, v reflect.Value, except []string) {
	tagged(v, func(key string, v reflect.Value) {
		if !slices.Contains(except, key) {
			s.add(prefix+key, v)
		}
	})
}

func (s *settingsWalk) add(key string, v reflect.Value) {
	switch {
	case isScalar(v):
	case v.Kind() == reflect.Struct:
		s.fields(key+".", v, nil)
		return
	case v.Kind() == reflect.Map:
		for _, name := range sortedKeys(v) {
			s.add(key+"."+name.String(), v.MapIndex(name))
		}
		return
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && s.at.kind == "" && !isScalar(reflect.Zero(v.Type().Elem())):
		for i := range v.Len() {
			s.table(key, i, v.Index(i))
		}
		return
	}
	one := &setting{key: key, value: valueText(v), files: namedFiles(v, nil)}
	one.isSecret = isSecret(key, one.value)
	s.at.settings = append(s.at.settings, one)
	s.at.byKey[key] = one
}

// table adds element i of an array of tables. Two with the same title are numbered.
func (s *settingsWalk) table(kind string, i int, v reflect.Value) {
	title, identity := kind+" "+fmt.Sprint(i+1), []string(nil)
	var more any
	switch t := v.Addr().Interface().(type) {
	case *Listener:
		title, identity = kind+" "+t.Address, []string{"address"}
	case *Engine:
		title, identity, more = kind+" "+t.Name, []string{"name"}, t.config
	case *Rule:
		title, identity = kind+" "+valueText(reflect.ValueOf(t.Name)), []string{"name", "engine"}
		if t.Engine != "" {
			title += " for " + t.Engine
		}
	}
	for n, base := 2, title; s.settings.byTitle[title] != nil; n++ {
		title = fmt.Sprintf("%s (%d)", base, n)
	}
	before := s.begin(kind, title)
	s.fields("", v, identity)
	if more != nil {
		s.fields("", reflect.Indirect(reflect.ValueOf(more)), nil)
	}
	s.at = before
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

// secretKeys are keys whose values may contain passwords. An argument of a program may be
// one.
var secretKeys = regexp.MustCompile(`^(headers|env|options|settings|argv|version_argv|extra_args)(\.|$)|arguments|pass|secret|token|credential|auth|api_key`)

// placeKeys are keys whose values may be URLs.
var placeKeys = regexp.MustCompile(`^(address|addresses|url|path|service|request)$`)

// isSecret reports whether the value of a key must not be shown. The path of a file with a
// secret may be shown.
func isSecret(key, value string) bool {
	switch {
	case strings.HasSuffix(key, "_file"):
		return false
	case secretKeys.MatchString(strings.ToLower(key)):
		return true
	}
	return placeKeys.MatchString(key) && strings.ContainsAny(value, "?@")
}

// namedFiles returns the files that a value names by an absolute path.
func namedFiles(v reflect.Value, list []fileState) []fileState {
	switch v.Kind() {
	case reflect.String:
		if state := stateOf(v.String()); state != "" {
			list = append(list, fileState{v.String(), state})
		}
	case reflect.Slice:
		for i := range v.Len() {
			list = namedFiles(v.Index(i), list)
		}
	}
	return list
}

// stateOf returns a text that changes with the content of a regular file, or "".
func stateOf(path string) string {
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim)
}
