package httpscan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends/internal/wire"
)

// Limits on the names in one answer.
const (
	maxNames = 1000
	maxName  = 1 << 10
)

// extractor extracts words from a body.
type extractor struct {
	path  string         // of JSON keys
	re    *regexp.Regexp // its last group that matched, or the whole match
	whole *regexp.Regexp // re, for a whole body
}

func (e extractor) none() bool { return e.path == "" && e.re == nil }

// expression returns the extractor for a regular expression.
func expression(re string) (extractor, error) {
	compiled, err := regexp.Compile(re)
	if err != nil {
		return extractor{}, err
	}
	whole, err := regexp.Compile(`\A(?:` + re + `)\z`)
	return extractor{re: compiled, whole: whole}, err
}

// mustExpression is expression without an error, for the tables of this package.
func mustExpression(re string) extractor {
	e, err := expression(re)
	if err != nil {
		panic(err)
	}
	return e
}

// word returns the word in a body, or false if there is none.
func (e extractor) word(body []byte) (string, bool) {
	if e.re != nil {
		list := e.matches(body)
		if len(list) == 0 {
			return "", false
		}
		return list[0], true
	}
	value, err := wire.JSON(body)
	if err != nil {
		return "", false
	}
	at, _ := wire.Lookup(value, e.path)
	return wire.Scalar(at)
}

// words returns the names in a body: of all matches, or all at a path of JSON keys.
func (e extractor) words(body []byte) []string {
	if e.re != nil {
		var list []string
		for _, name := range e.matches(body) {
			list = append(list, wire.Clip(name, maxName))
		}
		return list
	}
	value, err := wire.JSON(body)
	if e.none() || err != nil {
		return nil
	}
	var list []string
	found, _ := places(value, e.path)
	for _, p := range found[:min(len(found), maxNames)] {
		list = append(list, texts(p.value)...)
	}
	return list
}

// matches returns the words of all matches.
func (e extractor) matches(body []byte) []string {
	var list []string
	for _, m := range e.re.FindAllSubmatch(body, maxNames) {
		for len(m) > 1 && m[len(m)-1] == nil {
			m = m[:len(m)-1]
		}
		list = append(list, string(m[len(m)-1]))
	}
	return list
}

// texts returns a text, or the texts in a list.
func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var all []string
	for _, v := range list[:min(len(list), maxNames)] {
		if text, ok := wire.Scalar(v); ok {
			all = append(all, wire.Clip(text, maxName))
		}
	}
	return all
}

// place is a value in JSON and its path.
type place struct {
	value any
	keys  []string
}

// places returns the values at a path of keys and indices. An index matches every element
// of its list, so that no part of an answer about several objects is missed. A missing
// value is nil. Two keys that differ only in case are an error, because one of them would
// be ignored.
func places(v any, path string) ([]place, error) {
	at := []place{{value: v}}
	for key := range strings.SplitSeq(path, ".") {
		var next []place
		for _, p := range at {
			list, ok := p.value.([]any)
			if !ok || !isIndex(key, list) {
				if err := unique(p.value, key); err != nil {
					return nil, err
				}
				child, _ := wire.Lookup(p.value, key)
				next = append(next, place{child, append(slices.Clone(p.keys), key)})
				continue
			}
			for i, v := range list {
				next = append(next, place{v, append(slices.Clone(p.keys), strconv.Itoa(i))})
			}
		}
		at = next
	}
	return at, nil
}

// isIndex reports whether a key is an index into list. In an empty list, every number is.
func isIndex(key string, list []any) bool {
	i, err := strconv.Atoi(key)
	return err == nil && i >= 0 && (i < len(list) || len(list) == 0)
}

func unique(v any, key string) error {
	m, _ := v.(map[string]any)
	for other := range m {
		if other != key && strings.EqualFold(other, key) {
			return fmt.Errorf("keys %.50q and %.50q, no unique answer", key, other)
		}
	}
	return nil
}

// pathOfName returns the path of the name that belongs to the answer at keys: where both
// configured paths agree, it has that answer's indices.
func pathOfName(keys []string, answer, name string) string {
	answers, names := strings.Split(answer, "."), strings.Split(name, ".")
	for i := 0; i < len(names) && i < len(keys) && names[i] == answers[i]; i++ {
		names[i] = keys[i]
	}
	return strings.Join(names, ".")
}
