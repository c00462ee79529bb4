package extended

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestRecordString(t *testing.T) {
	tests := []struct {
		name string
		r    Record
		want string
	}{
		{"plain", Record{"stream", []Field{{"engine", "sophos"}, {"code", "2"}}, "ENGINE"}, "stream: engine=sophos code=2 ENGINE"},
		{"quoted", Record{"stream", []Field{{"msg", "Password protected file foo.zip/foo.txt"}}, "ENGINE"}, `stream: msg="Password protected file foo.zip/foo.txt" ENGINE`},
		{"empty value", Record{"stream", []Field{{"msg", ""}}, "ENGINE"}, `stream: msg="" ENGINE`},
		{"quotes", Record{"stream", []Field{{"msg", `a"b\`}}, "ENGINE"}, `stream: msg="a\"b\\" ENGINE`},
		{"control", Record{"stream", []Field{{"msg", "a\x00b\nc\x7f\xff"}}, "ENGINE"}, `stream: msg="a\x00b\x0ac\x7f\xff" ENGINE`},
		{"colon", Record{"stream", []Field{{"node", "unix:/s"}}, "ENGINE"}, `stream: node="unix:/s" ENGINE`},
		{"no fields", Record{"fd[10]", nil, "SUMMARY"}, "fd[10]: SUMMARY"},
		{"hostile object", Record{"/a: b=c ENGINE\n\x00", []Field{{"a", "b"}}, "ENGINE"}, `/a: b=c ENGINE\x0a\x00: a=b ENGINE`},
		{"wrong key and word", Record{"s", []Field{{"A b", "c"}, {"", "d"}}, "En"}, "s: __b=c _=d E_"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.r.String(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		line string
		want Record
	}{
		{"stream: engine=clamav category=ok ENGINE", Record{"stream", []Field{{"engine", "clamav"}, {"category", "ok"}}, "ENGINE"}},
		{"/a: b: c=d: x=y ENGINE", Record{"/a: b: c=d", []Field{{"x", "y"}}, "ENGINE"}},
		{`/a" b: x="y z" ENGINE`, Record{`/a" b`, []Field{{"x", "y z"}}, "ENGINE"}},
		{`/a: m="q": x="y z" k=v ENGINE`, Record{`/a: m="q"`, []Field{{"x", "y z"}, {"k", "v"}}, "ENGINE"}},
		{`s: x="a\\" y="\"" SUMMARY`, Record{"s", []Field{{"x", `a\`}, {"y", `"`}}, "SUMMARY"}},
		{`s: x="\x0A\xff" SUMMARY`, Record{"s", []Field{{"x", "\n\xff"}}, "SUMMARY"}},
		{"s: node=unix:/x k=a=b SUMMARY", Record{"s", []Field{{"node", "unix:/x"}, {"k", "a=b"}}, "SUMMARY"}},
		{": SUMMARY", Record{"", nil, "SUMMARY"}},
		{"a:: FUTURE", Record{"a:", nil, "FUTURE"}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.line)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: got %+v, %v, want %+v", tt.line, got, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{
		"", " ", "ENGINE", " ENGINE", "stream ENGINE", "stream: OK", "stream: x FOUND", "stream: x=y FOUND",
		"stream: x=y OK", "stream: x=y ERROR", "END", "stream: END", "stream: x=y", "stream: x=y engine",
		"stream: =y ENGINE", "stream: X=y ENGINE", "stream: xy ENGINE", "stream: x= ENGINE", `stream: x=" ENGINE`,
		`stream: x="\z" ENGINE`, `stream: x="\x0" ENGINE`, `stream: x="\xg0" ENGINE`, `stream: x="a"b" ENGINE`,
		`stream: x="` + "\n" + `" ENGINE`, `stream: x="` + "\xff" + `" ENGINE`, "stream: x=\xff ENGINE", `stream: x=a"b ENGINE`,
		`x="a b" ENGINE`, "stream: x=y  ENGINE", "stream: x=y ENGINE ", `stream: x="\" ENGINE`,
	} {
		if got, err := Parse(line); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

func TestRecordGet(t *testing.T) {
	r := Record{Fields: []Field{{"a", "1"}, {"b", "2"}, {"a", "3"}}}
	if r.Get("a") != "1" || r.Get("b") != "2" || r.Get("c") != "" {
		t.Errorf("got %q, %q, %q", r.Get("a"), r.Get("b"), r.Get("c"))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("stream", "engine", "sophos", "msg", "Password protected file", "stream: engine=sophos ENGINE")
	f.Add("/a: b=\"c\" d", "x", "\"\\", "y_z", "\x00\n\xff", `/a" b: x="y z" ENGINE`)
	f.Add("a:", "k", "", "k", "v:", `s: x="a\\" y="\"" SUMMARY`)
	f.Fuzz(func(t *testing.T, object, key1, value1, key2, value2, line string) {
		r := Record{object, []Field{{key1, value1}, {key2, value2}}, "ENGINE"}
		s := r.String()
		if strings.ContainsAny(s, "\n\x00") {
			t.Fatalf("%q holds a terminator", s)
		}
		got, err := Parse(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if got.String() != s {
			t.Fatalf("%q became %q", s, got.String())
		}
		if isWord(key1, 'a', 'z') && isWord(key2, 'a', 'z') && !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v became %+v", r, got)
		}
		if got.Fields[0].Value != value1 || got.Fields[1].Value != value2 {
			t.Fatalf("values %q, %q became %+v", value1, value2, got)
		}
		parsed, err := Parse(line)
		if err != nil {
			return
		}
		again, err := Parse(parsed.String())
		if err != nil || !reflect.DeepEqual(again, parsed) {
			t.Fatalf("%q: %+v became %+v, %v", line, parsed, again, err)
		}
	})
}
