package drwebd

import (
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// outcome is an answer and the outcome wanted.
type outcome struct {
	reply    string
	category backends.Category // of the result; empty: none
	code     int
	names    string
	failure  backends.Category // of the error; empty: none
}

// fails returns an outcome without a result.
func fails(reply string, failure backends.Category) outcome {
	return outcome{reply, "", 0, "", failure}
}

func (o outcome) check(t *testing.T, r backends.Result, err error) {
	t.Helper()
	var failed backends.Category
	if err != nil {
		failed = backends.CategoryOf(err)
	}
	var names []string
	for _, f := range r.Findings {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	if failed != o.failure || r.Category != o.category || r.Category != "" && r.Code != o.code || strings.Join(names, "|") != o.names {
		t.Errorf("got %.500v, %.500v, want %v, %#x, %.50q, %q", r, err, o.category, o.code, o.names, o.failure)
	}
	if problem := backendtest.Check(r); r.Category != "" && problem != "" {
		t.Errorf("%+v: %s", r, problem)
	}
	if err != nil && len(err.Error()) > 10_000 {
		t.Errorf("%d bytes of error", len(err.Error()))
	}
}

const infected = "/var/spool/x infected with "

func outcomes() []outcome {
	list := []outcome{
		{reply(0), backends.OK, 0, "", ""},
		{reply(0x10000), backends.OK, 0x10000, "", ""},
		fails(reply(0x20000), backends.SWErr), // only spam
		fails(reply(0x30000), backends.SWErr),
		{reply(0x120000), backends.OK, 0x120000, "", ""},
		{reply(0x21000), backends.Partial, 0x21000, "", ""},
		{reply(0x100000), backends.OK, 0x100000, "", ""},
		{reply(0x130000), backends.OK, 0x130000, "", ""},
		{reply(0x101000), backends.Partial, 0x101000, "", ""},
		{reply(0x20, infected+"A\x00"), backends.Virus, 0x20, "A", ""},
		{reply(0x20, infected+"A B (C)"), backends.Virus, 0x20, "A B (C)", ""},
		{reply(0x20, infected+"A", "x infected\twith  B\x00more"), backends.Virus, 0x20, "A|B", ""},
		{reply(0x20, " a text of another form \x00"), backends.Virus, 0x20, "a text of another form", ""},
		{reply(0x20, ""), backends.Virus, 0x20, "", ""},
		{reply(0x20, "\x00\x00"), backends.Virus, 0x20, "", ""},
		{reply(0x20), backends.Virus, 0x20, "", ""},
		{reply(0x80), backends.Virus, 0x80, "", ""},
		{reply(0x100), backends.Virus, 0x100, "", ""},
		{reply(0x80000), backends.Virus, 0x80000, "", ""},
		{reply(0, infected+"A"), backends.Virus, 0, "A", ""},
		{reply(0x4, infected+"A"), backends.Virus, 0x4, "A", backends.SWErr},
		{reply(0x40, infected+"A"), backends.Virus, 0x40, "A", ""},
		{reply(0x80000000, infected+"A"), backends.Virus, 0x80000000, "A", backends.SWErr},
		{reply(0x20, infected+"Password protected"), backends.Virus, 0x20, "Password protected", ""},
		{reply(0x40, infected+"Password protected"), backends.Suspicious, 0x40, "Password protected", ""},
		{reply(0, infected+"Password protected"), backends.Encrypted, 0, "Password protected", ""},
		{reply(0x20, infected+strings.Repeat("A", 2000)), backends.Virus, 0x20, strings.Repeat("A", 1024), ""},
		{reply(0x20, make([]string, 1000)...), backends.Virus, 0x20, "", ""},
		fails(reply(0x20, make([]string, 1001)...), backends.SWErr),
		fails(reply(0x20, strings.Repeat("A", 4097)), backends.SWErr),
		fails(numbers(0)+numbers(0xffffffff), backends.SWErr),
		fails(numbers(0)+numbers(1)+numbers(0xffffffff), backends.SWErr),
		fails(numbers(0x20, 1, 0x7fffffff)+"A", backends.SWErr),
		// Two bits: both count.
		{reply(0x10020), backends.Virus, 0x10020, "", ""},
		{reply(0x60), backends.Virus, 0x60, "", ""},
		{reply(0x8000_0020), backends.Virus, 0x80000020, "", backends.SWErr},
		{reply(0x1220), backends.Virus, 0x1220, "", backends.Interrupted},
		{reply(0x1001), backends.Partial, 0x1001, "", backends.SWErr},
		{reply(0x100001), "", 0, "", backends.SWErr},
		{reply(0x41), backends.Suspicious, 0x41, "", backends.SWErr},
		fails(reply(0x201), backends.SWErr),
		{reply(0x1200), backends.Partial, 0x1200, "", backends.Interrupted},
		{reply(0x3000), backends.Partial, 0x3000, "", ""},
		fails(reply(0x08000000), backends.SWErr),
		fails(reply(0x08100000), backends.SWErr),
		{reply(0xffffffff), backends.Virus, 0xffffffff, "", backends.SWErr},
		fails(reply(0)+reply(0), backends.SWErr),
		fails(reply(0)+"\x00", backends.SWErr),
		fails("", backends.CannotExecute),
		fails("HTTP/1.1 400 Bad Request\r\n\r\n", backends.SWErr),
		fails("stream: OK\x00", backends.SWErr),
	}
	for mask, category := range map[uint32]backends.Category{
		0x1: backends.SWErr, 0x2: backends.SWErr, 0x4: backends.SWErr, 0x8: backends.SWErr, 0x10: backends.SWErr, 0x8000: backends.SWErr, 0x200000: backends.SWErr,
		0x40: backends.Suspicious, 0x400000: backends.Suspicious, 0x800000: backends.Suspicious, 0x1000000: backends.Suspicious, 0x2000000: backends.Suspicious, 0x4000000: backends.Suspicious,
		0x200: backends.Interrupted, 0x400: backends.Partial, 0x800: backends.Partial, 0x1000: backends.Partial, 0x2000: backends.Partial, 0x4000: backends.Partial, 0x40000: backends.Partial,
		0x8000000: backends.SWErr, 0x10000000: backends.SWErr, 0x20000000: backends.SWErr, 0x40000000: backends.SWErr, 0x80000000: backends.SWErr,
	} {
		if category.IsFailure() {
			list = append(list, fails(reply(mask), category))
			continue
		}
		list = append(list, outcome{reply(mask), category, int(mask), "", ""})
	}
	return list
}

func TestOutcomes(t *testing.T) {
	for _, tt := range outcomes() {
		t.Run(fmt.Sprintf("%.40q", tt.reply), func(t *testing.T) {
			for _, end := range []backendtest.Step{backendtest.CloseWrite(), backendtest.Drain()} { // drwebd may keep the connection
				if tt.reply == "" {
					end = backendtest.CloseWrite()
				}
				if len(tt.reply)%4 != 0 {
					end = backendtest.CloseWrite()
				}
				d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(request), say(tt.reply), end, backendtest.Drain()})
				r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t))
				tt.check(t, r, err)
			}
		})
	}
}

// TestBits checks that every bit of rc is in the table once.
func TestBits(t *testing.T) {
	var all uint32
	for _, b := range bits {
		if all&b.mask != 0 {
			t.Errorf("%#x is a duplicate", b.mask)
		}
		all |= b.mask
	}
	if all != 0xffffffff {
		t.Errorf("%#x are not in the table", ^all)
	}
}
