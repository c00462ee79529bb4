package archive

import (
	"errors"
	"strings"
	"testing"
)

func TestReadFull(t *testing.T) {
	r := strings.NewReader("0123456789")
	for _, c := range []struct {
		off  int64
		n    int
		want error
	}{
		{0, 10, nil}, {9, 1, nil}, {10, 0, nil}, {0, 11, ErrCutOff}, {10, 1, ErrCutOff}, {-1, 1, ErrCutOff}, {1 << 62, 1, ErrCutOff},
	} {
		if err := ReadFull(r, make([]byte, c.n), c.off); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%d bytes at %d: %v, want %v", c.n, c.off, err, c.want)
		}
	}
}

func TestPrefix(t *testing.T) {
	r := strings.NewReader("0123456789")
	for _, c := range []struct {
		off  int64
		n    int
		want string
	}{{0, 3, "012"}, {8, 5, "89"}, {20, 5, ""}} {
		if got, err := Prefix(r, make([]byte, c.n), c.off); string(got) != c.want || err != nil {
			t.Errorf("%d bytes at %d: %q, %v, want %q", c.n, c.off, got, err, c.want)
		}
	}
	if _, err := Prefix(r, nil, -1); err == nil {
		t.Error("negative offset accepted")
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"a\x00b":                  "a",
		strings.Repeat("x", 1000): strings.Repeat("x", MaxName),
	} {
		if got := Name([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got, err := ReadName(strings.NewReader(strings.Repeat("y", 1000)), 1, 1<<60); len(got) != MaxName || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ReadName(strings.NewReader("abc"), 1, 3); !errors.Is(err, ErrCutOff) {
		t.Errorf("%v", err)
	}
	if got, err := ReadName(strings.NewReader("abc"), 1, -3); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		base int64
		want int64
		ok   bool
	}{
		{"0000644\x00", 8, 0o644, true},
		{"  644 \x00", 8, 0o644, true},
		{"644 junk", 8, 0o644, true},
		{"", 8, 0, true},
		{" \x00 ", 8, 0, true},
		{"648", 8, 0o64, false},
		{"x", 8, 0, false},
		{"-1", 10, 0, false},
		{"0000FFff", 16, 0xffff, true},
		{"9223372036854775807", 10, 1<<63 - 1, true},
		{"9223372036854775808", 10, 922337203685477580, false},
	} {
		if got, ok := Number([]byte(c.in), c.base); got != c.want || ok != c.ok {
			t.Errorf("%q: %d, %v, want %d, %v", c.in, got, ok, c.want, c.ok)
		}
	}
}
