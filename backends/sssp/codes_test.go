package sssp

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

func failureCode(err error) int {
	var failure *backends.Failure
	if errors.As(err, &failure) {
		return failure.Code
	}
	return 0
}

// TestCodes checks that every code except these is a failure.
func TestCodes(t *testing.T) {
	want := map[int]backends.Category{
		0x0000: backends.OK, 0x021E: backends.OK, 0x0203: backends.Virus, 0x0212: backends.Encrypted,
		0x020F: backends.Partial, 0x0211: backends.Partial, 0x021A: backends.Partial, 0x0225: backends.Partial, 0x0231: backends.Partial,
		0x060F: backends.Interrupted,
	}
	for n := range 1 << 16 {
		category := want[n]
		if category == "" {
			category = backends.SWErr
		}
		digits := fmt.Sprintf("%04X", n)
		if got, code, _ := lookup("OK", digits); got != category || code != n {
			t.Errorf("OK %s: %v, %d", digits, got, code)
		}
		if category == backends.OK {
			category = backends.SWErr
		}
		if got, code, _ := lookup("FAIL", digits); got != category || code != n {
			t.Errorf("FAIL %s: %v, %d", digits, got, code)
		}
	}
	if got, code, _ := lookup("FAIL", "020f"); got != backends.Partial || code != 0x20F {
		t.Errorf("small letters: %v, %d", got, code)
	}
	for _, digits := range []string{"", "0", "000", "00000", " 000", "+000", "-000", "0x00", "00 0", "00000000", "80000000", "\x00000", "０000"} {
		if got, code, _ := lookup("OK", digits); got != backends.SWErr || code != backends.NoCode {
			t.Errorf("%q: %v, %d", digits, got, code)
		}
	}
}

// TestCodesOnce checks that the table is complete and has no duplicates.
func TestCodesOnce(t *testing.T) {
	var seen []int
	for _, row := range codes {
		if slices.Contains(seen, row.code) || !row.category.Valid() || row.text == "" {
			t.Errorf("%04X: duplicate or incomplete", row.code)
		}
		seen = append(seen, row.code)
	}
	// 0200-0204, 0208, 0209, 020B and 0210-0231 are known, and 020F, 0000, 060F.
	for _, n := range []int{0x200, 0x201, 0x202, 0x203, 0x204, 0x208, 0x209, 0x20B, 0x20F, 0x0, 0x60F} {
		if !slices.Contains(seen, n) {
			t.Errorf("%04X is missing", n)
		}
	}
	for n := 0x210; n <= 0x231; n++ {
		if !slices.Contains(seen, n) {
			t.Errorf("%04X is missing", n)
		}
	}
}

func TestRejections(t *testing.T) {
	for _, c := range []struct {
		request, line string
		category      backends.Category
		code          int
	}{
		{requestData, "REJ 1", "", 1},
		{requestData, "REJ 2", "", 2},
		{requestOptions, "REJ 3", "", 3},
		{requestData, "REJ 4", backends.Partial, 4},
		{requestFile, "REJ 4", "", 4},
		{requestFile, "REJ 5", "", 5},
		{requestData, "REJ 5 not permitted", "", 5},
		{requestData, "REJ 0", "", 0},
		{requestData, "REJ 99", "", 99},
	} {
		r, ok := parseRejection(c.request, c.line)
		if !ok || r.code != c.code {
			t.Errorf("%s: %+v", c.line, r)
			continue
		}
		var a backends.Answer
		a.Fail(refused(engineconn.NewConn(nil), &a, r))
		result, err := a.Result()
		switch {
		case result.Category != c.category, (err == nil) == (c.category == ""):
			t.Errorf("%s: %+v, %v", c.line, result, err)
		case err != nil && (backends.CategoryOf(err) != backends.SWErr || failureCode(err) != c.code):
			t.Errorf("%s: %v", c.line, err)
		}
	}
	for _, line := range []string{"REJ", "REJ ", "REJ x", "REJ -1", "REJ +4", "rej 4", "REJ4", "REJ 99999999999999999999", "ACC 1/1"} {
		if r, ok := parseRejection(requestData, line); ok {
			t.Errorf("%q: %+v", line, r)
		}
	}
}

func TestEscapePath(t *testing.T) {
	for in, want := range map[string]string{
		"/var/spool/polyclam/s-ABC_1.x~": "%2Fvar%2Fspool%2Fpolyclam%2Fs-ABC_1.x~",
		"/a b\r\nBYE\x00%41\xff+":        "%2Fa%20b%0D%0ABYE%00%2541%FF%2B",
	} {
		if got := escapePath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestNumbers checks the tokens of ACC lines.
func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		tokens []string
		want   bool // of the last
	}{
		{[]string{"5B992B5C/1"}, true},
		{[]string{"5B992B5C/1", "5B992B5C/2", "5B992B5C/3"}, true},
		{[]string{"5B992B5C/9", "5B992B5C/10"}, true},
		{[]string{"5B992B5C/1", "5B992B5C/1"}, false},
		{[]string{"5B992B5C/1", "5B992B5C/3"}, false},
		{[]string{"5B992B5C/2", "5B992B5C/1"}, false},
		{[]string{"5B992B5C/1", "5B992B5D/2"}, false},
		{[]string{"5B992B5C/1", "5b992b5c/2"}, false},
		{[]string{""}, false}, {[]string{"/1"}, false}, {[]string{"1"}, false}, {[]string{"1/"}, false}, {[]string{"1/01"}, false}, {[]string{"1/+1"}, false},
		{[]string{"1/-1"}, false}, {[]string{"x/1"}, false}, {[]string{"1/1/1"}, false}, {[]string{"1/1 "}, false}, {[]string{"1/99999999999999999999"}, false},
	} {
		s := &session{}
		got := false
		for _, token := range tt.tokens {
			got = s.next(token)
		}
		if got != tt.want {
			t.Errorf("%q: %v", tt.tokens, got)
		}
	}
}
