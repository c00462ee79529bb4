package httpscan

import (
	"fmt"
	"net/http"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Bounds on the names taken out of one answer.
const (
	maxNames = 1000
	maxName  = 1 << 10
)

// judge maps an answer about an object of size bytes.
func (s *service) judge(r *wire.Response, size int64, a *backends.Answer) {
	said, ok := s.statuses[r.Status]
	if ok && said == fromBody {
		var err error
		if said, err = s.read(r.Body); err != nil {
			a.Fail(err)
			return
		}
	}
	category := backends.Category(said)
	switch failed := !ok || category.IsFailure(); {
	case failed && s.isTooLarge(r):
		a.Refuse(r.Status, string(r.Body))
	case failed:
		a.Fail(failedStatus(r, category))
	case r.Status == http.StatusRequestEntityTooLarge && category == backends.Partial:
		s.refused(r, size, a)
	default:
		s.add(category, r, a)
	}
	if !r.Measured && a.Category() != backends.Virus && a.Category() != backends.Suspicious {
		a.Fail(fmt.Errorf("an answer without an end, which may be cut off: %.200q", r.Body))
	}
}

// isTooLarge reports whether an answer has the service's exact text for an object that
// is too large.
func (s *service) isTooLarge(r *wire.Response) bool {
	if s.why.none() {
		return false
	}
	text, ok := s.why.word(r.Body)
	return ok && text == tooLargeText
}

// refused takes a 413, which is permanent only if the object may really be too large.
func (s *service) refused(r *wire.Response, size int64, a *backends.Answer) {
	if size < s.tooLarge {
		a.Add(backends.CannotExecute, r.Status, fmt.Sprintf("says that %d bytes are too large: can it reach its clamd? %.200q", size, r.Body))
		return
	}
	a.Refuse(r.Status, string(r.Body))
}

// read says what a body means: a category.
func (s *service) read(body []byte) (string, error) {
	for path, want := range s.must {
		if got, ok := (extractor{path: path}).word(body); !ok || got != want {
			return "", fmt.Errorf("%s is not %s: %.200q", path, want, body)
		}
	}
	word, ok := s.answer.word(body)
	if !ok || !s.answer.alone(body) {
		return "", fmt.Errorf("no answer in the body: %.200q", body)
	}
	said, ok := s.answers[word]
	if !ok {
		return "", fmt.Errorf("answer %.100q is not in the table: %.200q", word, body)
	}
	return said, nil
}

// add takes an answer that is no failure, with the names that it has for what it found.
func (s *service) add(category backends.Category, r *wire.Response, a *backends.Answer) {
	if category == backends.OK {
		a.Add(category, r.Status, "")
		return
	}
	none := true
	if category == backends.Virus || category == backends.Suspicious {
		for _, name := range s.name.words(r.Body) {
			if name != "" {
				a.Found(category, r.Status, name, string(r.Body))
				none = false
			}
		}
	}
	if none {
		a.Add(category, r.Status, string(r.Body))
	}
}

// word takes one word out of a body, false if there is none.
func (e extractor) word(body []byte) (string, bool) {
	if e.re != nil {
		m := e.re.FindSubmatch(body)
		if m == nil {
			return "", false
		}
		return string(m[len(m)-1]), true
	}
	value, err := wire.JSON(body)
	if err != nil {
		return "", false
	}
	at, _ := wire.Lookup(value, e.path)
	return wire.Scalar(at)
}

// words takes names out of a body: of a list in JSON each element that is text.
func (e extractor) words(body []byte) []string {
	if e.none() {
		return nil
	}
	if word, ok := e.word(body); ok {
		return []string{wire.Clip(word, maxName)}
	}
	value, err := wire.JSON(body)
	if e.re != nil || err != nil {
		return nil
	}
	at, _ := wire.Lookup(value, e.path)
	list, _ := at.([]any)
	var words []string
	for _, v := range list[:min(len(list), maxNames)] {
		if text, ok := wire.Scalar(v); ok {
			words = append(words, wire.Clip(text, maxName))
		}
	}
	return words
}

// alone reports whether no list on the path has more than one element: one object was
// sent, and what is said of another is not about it.
func (e extractor) alone(body []byte) bool {
	if e.re != nil {
		return true
	}
	value, err := wire.JSON(body)
	if err != nil {
		return false
	}
	for key := range strings.SplitSeq(e.path, ".") {
		if list, ok := value.([]any); ok && len(list) != 1 {
			return false
		}
		value, _ = wire.Lookup(value, key)
	}
	return true
}

// failedStatus is the failure for an HTTP status.
func failedStatus(r *wire.Response, category backends.Category) *backends.Failure {
	text := fmt.Sprintf("HTTP status %d: %s", r.Status, wire.Clip(string(r.Body), wire.MaxDetail))
	if r.Location != "" {
		text += fmt.Sprintf(" (redirects are not followed; this one is to %.200q)", r.Location)
	}
	return &backends.Failure{Category: category, Code: r.Status, Text: text}
}
