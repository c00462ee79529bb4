package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// reader walks the tables of one file and collects what is wrong.
type reader struct {
	file     string
	lines    lineTable
	homes    map[string]string // the table of each key, for keys in the wrong one
	problems Problems
	warnings Problems
}

// key is one key of a table: its name, and what takes its value.
type key struct {
	name string
	set  setter
}

// setter takes the value at path, or reports to r what is wrong with it.
type setter func(r *reader, path string, v any)

var indexes = regexp.MustCompile(`\[\d+\]`)

func (r *reader) problem(path, format string, args ...any) Problem {
	return Problem{File: r.file, Line: r.lines.line(path), Key: indexes.ReplaceAllString(path, ""), Text: fmt.Sprintf(format, args...)}
}

// fail reports what is wrong with the key at path.
func (r *reader) fail(path, format string, args ...any) {
	r.problems = append(r.problems, r.problem(path, format, args...))
}

// warn reports what is doubtful about the key at path.
func (r *reader) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, r.problem(path, format, args...))
}

// table reads v, the table at path, by keys. What is not among them goes to
// rest, which reports whether it knows the key; nil knows none.
func (r *reader) table(path string, v any, keys []key, rest func(name string, v any) bool) {
	table, ok := v.(map[string]any)
	if !ok {
		r.fail(path, "want a table, as in [%s], not %s", indexes.ReplaceAllString(path, ""), typeName(v))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		switch {
		case i >= 0:
			keys[i].set(r, child(path, name), table[name])
		case rest == nil || !rest(name, table[name]):
			r.unknownKey(child(path, name), name, names(keys))
		}
	}
}

// clamdNames are options of clamd.conf that have another name here.
var clamdNames = map[string]string{
	"StreamMaxLength":       "stream in [limits]",
	"CommandReadTimeout":    "command_read_timeout in [limits]",
	"ReadTimeout":           "read_timeout in [limits]",
	"SendBufTimeout":        "write_timeout in [limits]",
	"MaxDirectoryRecursion": "directory_depth in [limits]",
	"MaxThreads":            "max_scans in [[engine]]",
	"LocalSocket":           "address in [[listener]]",
	"TCPSocket":             "address in [[listener]]",
	"TCPAddr":               "address in [[listener]]",
	"LocalSocketMode":       "mode in [[listener]]",
	"LocalSocketGroup":      "group in [[listener]]",
	"TemporaryDirectory":    "directory in [spool]",
}

// unknownKey reports a key that its table does not have, known being those it
// has. A misspelling is guessed first, then a wrong table, then a clamd.conf.
func (r *reader) unknownKey(path, name string, known []string) {
	home, misplaced := r.homes[name]
	clamd, isClamd := clamdNames[name]
	switch {
	case nearest(name, known) != "":
		r.fail(path, "%v", unknown("key", name, known))
	case misplaced:
		r.fail(path, "unknown key %q here; its place is %s", name, home)
	case isClamd:
		r.fail(path, "unknown key %q; what clamd.conf calls so is %s", name, clamd)
	default:
		r.fail(path, "%v", unknown("key", name, known))
	}
}

func names(keys []key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.name
	}
	return out
}

// section is a key that holds a table.
func section(keys []key) setter {
	return func(r *reader, path string, v any) { r.table(path, v, keys, nil) }
}

// tables is a key that holds an array of tables, each read by one.
func tables(one func(r *reader, path string, table map[string]any)) setter {
	return func(r *reader, path string, v any) {
		list, ok := asTables(v)
		if !ok {
			r.fail(path, "want an array of tables, as in [[%s]], not %s", path, typeName(v))
			return
		}
		for i, table := range list {
			one(r, element(path, i), table)
		}
	}
}

// asTables takes both forms the TOML library gives: [[name]], and name = [{}].
func asTables(v any) ([]map[string]any, bool) {
	switch v := v.(type) {
	case []map[string]any:
		return v, true
	case []any:
		list := make([]map[string]any, len(v))
		for i, one := range v {
			table, ok := one.(map[string]any)
			if !ok {
				return nil, false
			}
			list[i] = table
		}
		return list, true
	}
	return nil, false
}

// typeName is the TOML name of the type of v, for messages.
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
