package httpscan

import (
	"fmt"
	"net/http"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// judge adds an answer about an object of size bytes.
func (s *service) judge(r *wire.Response, size int64, a *backends.Answer) {
	meaning, ok := s.statuses[r.Status]
	category := backends.Category(meaning)
	switch {
	case ok && meaning == fromBody:
		s.read(r, a)
	case !ok || category.IsFailure():
		s.failed(r, category, a)
	case r.Status == http.StatusRequestEntityTooLarge && category == backends.Partial:
		s.refused(r, size, a)
	default:
		s.add(category, s.name.words(r.Body), r, a)
	}
	if !r.Measured && a.Category() != backends.Virus && a.Category() != backends.Suspicious {
		a.Fail(fmt.Errorf("an answer that may be cut off: %.200q", r.Body))
	}
}

// failed adds a failure, or a refusal if the text says that the object is too large.
func (s *service) failed(r *wire.Response, category backends.Category, a *backends.Answer) {
	if s.isTooLarge(r) {
		a.Refuse(r.Status, string(r.Body))
		return
	}
	a.Fail(failedStatus(r, category))
}

// isTooLarge reports whether the answer is exactly the text for too large an object.
func (s *service) isTooLarge(r *wire.Response) bool {
	if s.why.none() {
		return false
	}
	text, ok := s.why.word(r.Body)
	return ok && text == tooLargeText
}

// refused adds a 413, which is permanent only if the object may actually be too large.
func (s *service) refused(r *wire.Response, size int64, a *backends.Answer) {
	if size < s.tooLarge {
		a.Add(backends.CannotExecute, r.Status, fmt.Sprintf("refuses %d bytes as too large: can the service reach its clamd? %.200q", size, r.Body))
		return
	}
	a.Refuse(r.Status, string(r.Body))
}

// add adds a category other than a failure, with names.
func (s *service) add(category backends.Category, names []string, r *wire.Response, a *backends.Answer) {
	if category == backends.OK {
		a.Add(category, r.Status, "")
		return
	}
	none := true
	if category == backends.Virus || category == backends.Suspicious {
		for _, name := range names {
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

// failedStatus returns the failure for an HTTP status.
func failedStatus(r *wire.Response, category backends.Category) *backends.Failure {
	text := fmt.Sprintf("HTTP status %d: %s", r.Status, wire.Clip(string(r.Body), wire.MaxDetail))
	if r.Location != "" {
		text += fmt.Sprintf(" (redirects are not followed; this one is to %.200q)", r.Location)
	}
	return &backends.Failure{Category: category, Code: r.Status, Text: text, Busy: wire.IsBusy(r.Status)}
}
