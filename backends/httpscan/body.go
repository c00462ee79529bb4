package httpscan

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// entry is one answer in a body. A body may have several, and all of them count.
type entry struct {
	word  string // the answer; may be empty
	names []string
	// claims is the value where names belong, or nil if there is none, as in a clean
	// entry.
	claims any
}

// read adds every answer in a body. OK requires a body without contradictions.
func (s *service) read(r *wire.Response, a *backends.Answer) {
	for path, want := range s.must {
		if got, ok := (extractor{path: path}).word(r.Body); !ok || got != want {
			a.Fail(fmt.Errorf("%s is not %s: %.200q", path, want, r.Body))
		}
	}
	entries, err := s.entries(r.Body)
	a.Fail(err)
	if s.answer.re == nil && len(entries) > 1 {
		a.Fail(fmt.Errorf("%d answers about one object: %.200q", len(entries), r.Body))
	}
	for _, e := range entries {
		meaning, ok := s.answers[e.word]
		category := backends.Category(meaning)
		switch {
		case !ok:
			a.Fail(fmt.Errorf("answer %.100q is not in the table: %.200q", e.word, r.Body))
		case category.IsFailure():
			s.failed(r, category, a)
		case category == backends.OK:
			s.clean(&e, r, a)
		default:
			s.add(category, e.names, r, a)
		}
	}
}

// clean adds a clean entry, unless something else in the answer contradicts it.
func (s *service) clean(e *entry, r *wire.Response, a *backends.Answer) {
	_, isList := e.claims.([]any)
	switch {
	case r.Status >= http.StatusMultipleChoices:
		a.Fail(fmt.Errorf("HTTP status %d contradicts the answer %.100q: %.200q", r.Status, e.word, r.Body))
	case s.answer.re != nil && !s.answer.isWhole(r.Body):
		a.Fail(fmt.Errorf("the answer %.100q is only a part of the body, and answer_regex must match all of it: %.200q", e.word, r.Body))
	case isList:
		s.add(backends.Virus, e.names, r, a)
		a.Fail(fmt.Errorf("the answer %.100q contradicts the names next to it: %.200q", e.word, r.Body))
	case e.claims != nil && s.strict:
		a.Fail(fmt.Errorf("the answer %.100q contradicts the text next to it: %.200q", e.word, r.Body))
	default:
		s.add(backends.OK, nil, r, a)
	}
}

// entries returns all answers in a body.
func (s *service) entries(body []byte) ([]entry, error) {
	list, err := s.regexEntries(body)
	if s.answer.re == nil {
		list, err = s.jsonEntries(body)
	}
	if err == nil && len(list) == 0 {
		err = errors.New("no answer")
	}
	if err != nil {
		return nil, fmt.Errorf("%w in the body: %.200q", err, body)
	}
	return list, nil
}

func (s *service) regexEntries(body []byte) ([]entry, error) {
	if s.answer.re == nil {
		return nil, nil
	}
	var list []entry
	for _, word := range s.answer.matches(body) {
		list = append(list, entry{word: word})
	}
	s.share(list, s.name.words(body))
	return list, nil
}

func (s *service) jsonEntries(body []byte) ([]entry, error) {
	value, err := wire.JSON(body)
	if err != nil {
		return nil, err
	}
	found, err := places(value, s.answer.path)
	if err != nil {
		return nil, err
	}
	var list []entry
	for _, p := range found {
		word, ok := wire.Scalar(p.value)
		if !ok {
			return nil, errors.New("no answer")
		}
		e := entry{word: word}
		if s.name.path != "" {
			at, _ := wire.Lookup(value, pathOfName(p.keys, s.answer.path, s.name.path))
			e.names, e.claims = texts(at), claims(at)
		}
		list = append(list, e)
	}
	if s.name.path == "" {
		s.share(list, s.name.words(body))
	}
	return list, nil
}

// share assigns names that belong to no particular entry to the first detection.
func (s *service) share(list []entry, names []string) {
	for i := range list {
		switch backends.Category(s.answers[list[i].word]) {
		case backends.Virus, backends.Suspicious:
			list[i].names = names
			return
		}
	}
}

// claims returns a value found where names belong, or nil if it is empty.
func claims(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

// isWhole reports whether the expression matches the whole body except white space around
// it.
func (e extractor) isWhole(body []byte) bool { return e.whole.Match(bytes.TrimSpace(body)) }
