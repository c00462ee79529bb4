package config

import (
	"slices"
	"strings"
)

// maxShown is the length of a value in a line about a change, in bytes.
const maxShown = 200

// Changes returns a line for each difference between s, the older settings, and other: a
// table that was added or removed, a key with another value, a file that a key names and
// that has another content. It shows no secrets.
func (s *Settings) Changes(other *Settings) (lines []string) {
	for _, t := range s.tables {
		if other.byTitle[t.title] == nil {
			lines = append(lines, t.title+" removed")
		}
	}
	for _, t := range other.tables {
		old := s.byTitle[t.title]
		if old == nil {
			lines = append(lines, t.title+" added")
			continue
		}
		prefix := ""
		if t.title != "" {
			prefix = t.title + ": "
		}
		for _, line := range old.changes(t) {
			lines = append(lines, prefix+line)
		}
	}
	return append(lines, s.orderChanges(other)...)
}

// changes compares the keys of a table with those of a newer one. Only an entry of a table
// with arbitrary keys, or a key of another backend, can be missing. The latter is not
// reported: the new backend does not have it.
func (t *settingsTable) changes(newer *settingsTable) (lines []string) {
	other := t.value("backend") != newer.value("backend")
	for _, old := range t.settings {
		if newer.byKey[old.key] == nil && !other {
			lines = append(lines, old.key+" removed"+old.shown(" (it was ", ")"))
		}
	}
	for _, one := range newer.settings {
		switch old := t.byKey[one.key]; {
		case old == nil:
			lines = append(lines, one.key+" added"+one.shown(": ", ""))
		case old.value != one.value:
			lines = append(lines, one.key+": "+old.arrow(one))
		default:
			for _, path := range old.changedFiles(one) {
				lines = append(lines, one.key+": the file "+path+" changed")
			}
		}
	}
	return lines
}

// value returns the value of a key as text, or "" if the table does not have it.
func (t *settingsTable) value(key string) string {
	if one := t.byKey[key]; one != nil {
		return one.value
	}
	return ""
}

// shown returns the value between two texts, or nothing if it is a secret.
func (o *setting) shown(before, after string) string {
	if o.isSecret {
		return ""
	}
	return before + cutShown(o.value) + after
}

// arrow returns "old -> new", as far as the values may be shown and differ then.
func (o *setting) arrow(newer *setting) string {
	before, after := cutShown(o.value), cutShown(newer.value)
	switch {
	case o.isSecret || newer.isSecret:
		return "changed (such values are not shown)"
	case before == after:
		return "changed"
	}
	return before + " -> " + after
}

func cutShown(value string) string {
	if len(value) <= maxShown {
		return value
	}
	return strings.ToValidUTF8(value[:maxShown], "") + "..."
}

// changedFiles returns the files that both values name and whose content differs.
func (o *setting) changedFiles(newer *setting) (paths []string) {
	for _, f := range newer.files {
		if !slices.Contains(o.files, f) && !slices.Contains(paths, f.path) {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// orderChanges reports each kind of tables that are both in s and in other, in another order.
func (s *Settings) orderChanges(other *Settings) (lines []string) {
	var kinds []string
	for _, t := range other.tables {
		if t.kind != "" && !slices.Contains(kinds, t.kind) {
			kinds = append(kinds, t.kind)
		}
	}
	for _, kind := range kinds {
		if !slices.Equal(s.common(kind, other), other.common(kind, s)) {
			lines = append(lines, "the order of the "+kind+"s changed")
		}
	}
	return lines
}

// common returns the titles of one kind that other has, too, in the order of s.
func (s *Settings) common(kind string, other *Settings) (titles []string) {
	for _, t := range s.tables {
		if t.kind == kind && other.byTitle[t.title] != nil {
			titles = append(titles, t.title)
		}
	}
	return titles
}
