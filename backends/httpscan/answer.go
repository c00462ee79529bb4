package httpscan

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Bounds on what is kept of one answer.
const (
	maxNames     = 1000
	maxName      = 1 << 10
	maxNameBytes = 32 << 10 // of all names
)

// amounts maps an answer to a request with a content of size bytes.
func (s *service) amounts(r *wire.Response, size int64) (backends.Result, error) {
	said, ok := s.statuses[r.Status]
	if !ok {
		return backends.Result{}, failedStatus(r)
	}
	refused := said != fromBody && r.Status >= 400
	if said == fromBody {
		var err error
		if said, err = s.read(r); err != nil {
			return backends.Result{}, err
		}
	}
	category := backends.Category(said)
	if category.IsFailure() {
		f := failedStatus(r)
		f.Category = category
		return backends.Result{}, f
	}
	if r.Status == http.StatusRequestEntityTooLarge && category == backends.Partial && size < s.tooLarge {
		return backends.Result{}, &backends.Failure{Category: backends.CannotExecute, Code: r.Status,
			Text: fmt.Sprintf("too large, it says of %d bytes: can it reach its clamd? %.200q", size, r.Body)}
	}
	result := s.result(category, r)
	found := result.Category == backends.Virus || result.Category == backends.Suspicious
	if r.Early && !found && !(refused && result.Category == backends.Partial) {
		return backends.Result{}, fmt.Errorf("HTTP status %d before it had the whole content", r.Status)
	}
	return result, nil
}

// read says what a body amounts to. A text that may be cut off says nothing: JSON
// has an end of its own, a text has one if its length was told or it is a line.
func (s *service) read(r *wire.Response) (string, error) {
	if s.answer.re != nil && !r.Measured && !bytes.HasSuffix(r.Body, []byte("\n")) {
		return "", fmt.Errorf("an answer without an end: %.200q", r.Body)
	}
	for path, want := range s.must {
		if got, ok := (extractor{path: path}).word(r.Body); !ok || got != want {
			return "", fmt.Errorf("%s is not %s: %.200q", path, want, r.Body)
		}
	}
	word, ok := s.answer.word(r.Body)
	if !ok || !s.answer.alone(r.Body) {
		return "", fmt.Errorf("no answer in the body: %.200q", r.Body)
	}
	said, ok := s.answers[word]
	if !ok {
		return "", fmt.Errorf("answer %.100q is not in the table: %.200q", word, r.Body)
	}
	return said, nil
}

// result is for an answer that is no failure. An ok with the name of something is
// none.
func (s *service) result(category backends.Category, r *wire.Response) backends.Result {
	if category == backends.OK {
		return backends.Clean(r.Status)
	}
	result := backends.Result{Category: category, Code: r.Status, Detail: wire.Clip(string(r.Body), wire.MaxDetail)}
	if s.name.none() || category == backends.Partial || category == backends.Encrypted {
		return result
	}
	names := s.name.words(r.Body)
	size := 0
	names = slices.DeleteFunc(names, func(n string) bool {
		size += len(n)
		return n == "" || size > maxNameBytes
	})
	if len(names) == 0 {
		return result
	}
	detail := result.Detail
	result = backends.Found(r.Status, names...)
	result.Detail = detail
	if category == backends.Suspicious {
		// The table says so of everything that the service finds in this way.
		result.Category = backends.Suspicious
		for i := range result.Findings {
			if backends.Stronger(result.Findings[i].Category, backends.Suspicious) {
				result.Findings[i].Category = backends.Suspicious
			}
		}
	}
	return result
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

// alone reports whether no list on the path has more than one element: they were
// sent one content, and what is said of another is not about it.
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
func failedStatus(r *wire.Response) *backends.Failure {
	text := fmt.Sprintf("HTTP status %d: %s", r.Status, wire.Clip(string(r.Body), wire.MaxDetail))
	if r.Location != "" {
		text += fmt.Sprintf(" (redirects are not followed; this one is to %.200q)", r.Location)
	}
	return &backends.Failure{Category: backends.SWErr, Code: r.Status, Text: text}
}
