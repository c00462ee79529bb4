package backends_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
)

func TestAnswer(t *testing.T) {
	type line struct {
		category backends.Category
		name     string
	}
	for _, tt := range []struct {
		name     string
		lines    []line
		err      error
		want     backends.Category
		findings []backends.Finding
		failures []backends.Category
	}{
		{name: "empty", failures: []backends.Category{backends.SWErr}},
		{name: "clean", lines: []line{{backends.OK, ""}}, want: backends.OK},
		{name: "clean, then cut off", lines: []line{{backends.OK, ""}}, err: io.ErrUnexpectedEOF, failures: []backends.Category{backends.SWErr}},
		{name: "clean and a failure", lines: []line{{backends.OK, ""}, {backends.SWErr, ""}}, failures: []backends.Category{backends.SWErr}},
		{name: "an unknown category", lines: []line{{"odd", ""}, {backends.OK, ""}}, failures: []backends.Category{backends.SWErr}},
		{name: "a virus without a name", lines: []line{{backends.Virus, ""}}, want: backends.Virus},
		{name: "the name decides", lines: []line{{backends.Virus, "Heuristics.Encrypted.Zip"}}, want: backends.Encrypted,
			findings: []backends.Finding{{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}}},
		{name: "locked and timed out", lines: []line{{backends.Encrypted, ""}, {backends.Interrupted, ""}}, want: backends.Encrypted,
			failures: []backends.Category{backends.Interrupted}},
		{name: "timed out and locked", lines: []line{{backends.Interrupted, ""}, {backends.Encrypted, ""}}, want: backends.Encrypted,
			failures: []backends.Category{backends.Interrupted}},
		{name: "two failures", lines: []line{{backends.Interrupted, ""}, {backends.SWErr, ""}, {backends.Interrupted, ""}},
			failures: []backends.Category{backends.SWErr, backends.Interrupted}},
		{name: "a failure and the end", lines: []line{{backends.Interrupted, ""}}, err: io.ErrUnexpectedEOF,
			failures: []backends.Category{backends.SWErr, backends.Interrupted}},
		{name: "several without names", lines: []line{{backends.Partial, ""}, {backends.Encrypted, ""}, {backends.Partial, ""}}, want: backends.Encrypted,
			findings: []backends.Finding{{Category: backends.Partial}, {Category: backends.Encrypted}}},
		{name: "a virus, then cut off", lines: []line{{backends.Virus, "X"}}, err: io.ErrUnexpectedEOF, want: backends.Virus,
			findings: []backends.Finding{{Name: "X", Category: backends.Virus}}, failures: []backends.Category{backends.SWErr}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a backends.Answer
			for _, l := range tt.lines {
				if l.name == "" {
					a.Add(l.category, 1, "detail")
				} else {
					a.Found(l.category, 1, l.name, "detail")
				}
			}
			a.Fail(tt.err)
			r, err := a.Result()
			if r.Category != tt.want || !reflect.DeepEqual(r.Findings, tt.findings) {
				t.Errorf("got %+v", r)
			}
			if (err != nil) != (tt.failures != nil) {
				t.Fatalf("got the error %v", err)
			}
			if err != nil && !reflect.DeepEqual(backends.CategoriesOf(err), tt.failures) {
				t.Errorf("%v is %v, want %v", err, backends.CategoriesOf(err), tt.failures)
			}
		})
	}
}

// TestAnswerOrder checks that the order of lines changes neither the category nor the
// failures, and that another line never makes an answer weaker.
func TestAnswerOrder(t *testing.T) {
	all := append(backends.Categories(), "unknown")
	for range 5000 {
		lines := make([]backends.Category, 1+rand.IntN(6))
		for i := range lines {
			lines[i] = all[rand.IntN(len(all))]
		}
		category, failures := summary(lines)
		rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		if c, f := summary(lines); c != category || f != failures {
			t.Fatalf("%v: %v and %v, or %v and %v", lines, category, failures, c, f)
		}
		more := append(lines, all[rand.IntN(len(all))])
		c, f := summary(more)
		if failures != "" && f == "" || category != "" && category != backends.OK && (c == "" || backends.Stronger(category, c)) {
			t.Fatalf("%v: %v and %v, with one more line %v and %v", more, category, failures, c, f)
		}
	}
}

func summary(lines []backends.Category) (backends.Category, string) {
	var a backends.Answer
	for _, c := range lines {
		a.Add(c, backends.NoCode, "")
	}
	r, err := a.Result()
	if err == nil {
		return r.Category, ""
	}
	return r.Category, fmt.Sprint(backends.CategoriesOf(err))
}

func TestAnswerEarly(t *testing.T) {
	for _, tt := range []struct {
		lines []backends.Category
		want  backends.Category
		err   bool
	}{
		{[]backends.Category{backends.OK}, "", true},
		{[]backends.Category{backends.Encrypted}, "", true},
		{[]backends.Category{backends.Partial, backends.Encrypted}, "", true},
		{[]backends.Category{backends.Virus}, backends.Virus, false},
		{[]backends.Category{backends.Suspicious, backends.Partial}, backends.Suspicious, false},
		{[]backends.Category{backends.Virus, backends.SWErr}, backends.Virus, true},
		{[]backends.Category{backends.Interrupted}, "", true},
		{nil, "", true},
	} {
		var a backends.Answer
		for _, c := range tt.lines {
			a.Add(c, 7, "words")
		}
		a.Early()
		r, err := a.Result()
		if r.Category != tt.want || (err != nil) != tt.err {
			t.Errorf("%v: got %+v, %v", tt.lines, r, err)
		}
		for _, f := range r.Findings {
			if f.Category == backends.Encrypted || f.Category == backends.Partial {
				t.Errorf("%v: keeps %+v", tt.lines, f)
			}
		}
	}
	var a backends.Answer
	a.Refuse(4, "too large")
	a.Early()
	if r, err := a.Result(); r.Category != backends.Partial || err != nil {
		t.Errorf("a refusal for size: %+v, %v", r, err)
	}
}

// TestAnswerBounds checks that an answer stays small no matter what an engine sends, and
// that no category is lost.
func TestAnswerBounds(t *testing.T) {
	var a backends.Answer
	for i := range 5000 {
		a.Found(backends.Suspicious, 1, strings.Repeat("n", 100)+fmt.Sprint(i), strings.Repeat("d", 5000))
		a.Add(backends.Interrupted, 1, strings.Repeat("f", 5000))
	}
	a.Found(backends.Virus, 1, "late", "")
	a.Found(backends.Virus, 1, "Heuristics.Encrypted.Late", "")
	a.Add(backends.SWErr, 1, "late")
	r, err := a.Result()
	if len(r.Findings) > 1010 || len(r.Detail) > 512 || len(err.Error()) > 100_000 {
		t.Errorf("%d findings, %d bytes of detail, %d bytes of failures", len(r.Findings), len(r.Detail), len(err.Error()))
	}
	if r.Category != backends.Virus || backends.CategoriesOf(err)[0] != backends.SWErr {
		t.Errorf("category %v, failures %v", r.Category, backends.CategoriesOf(err))
	}
	have := map[backends.Category]bool{}
	for _, f := range r.Findings {
		have[f.Category] = true
	}
	if !have[backends.Virus] || !have[backends.Suspicious] || !have[backends.Encrypted] {
		t.Errorf("the findings are of %v", have)
	}
}

func TestUnreachable(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&backends.ConnError{Text: "no connection within 5s"}, true},
		{fmt.Errorf("test: %w", backends.ErrNoReply), true},
		{&backends.Failure{Category: backends.CannotExecute}, false},
		{backends.Failures{{Category: backends.NotInstalled}, {Category: backends.SWErr}}, false},
		{&backends.ObjectError{Doing: "reading the object", Err: io.EOF}, false},
		{&backends.TimeoutError{}, false},
		{errors.New("unexpected answer"), false},
	} {
		if got := backends.Unreachable(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}
