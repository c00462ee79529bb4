package wire

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	v, err := JSON([]byte(` {"a": [1, {"b": "c\u00e9"}, true, null, 1e99], "A": {}, "d": []}` + "\r\n"))
	want := map[string]any{"a": []any{json.Number("1"), map[string]any{"b": "cé"}, true, nil, json.Number("1e99")}, "A": map[string]any{}, "d": []any{}}
	if err != nil || !reflect.DeepEqual(v, want) {
		t.Fatalf("got %#v, %v", v, err)
	}
	for path, want := range map[string]string{"a.0": "1", "a.1.b": "cé", "a.2": "true", "a.4": "1e99"} {
		at, ok := Lookup(v, path)
		if got, isText := Scalar(at); !ok || !isText || got != want {
			t.Errorf("%s: %q, %v, %v", path, got, ok, isText)
		}
	}
	for _, path := range []string{"", "x", "a.9", "a.-1", "a.x", "a.0.x", "a.1.b.c", "b"} {
		if at, ok := Lookup(v, path); ok {
			t.Errorf("%s: %v", path, at)
		}
	}
	for _, v := range []any{nil, []any{}, map[string]any{}} {
		if s, ok := Scalar(v); ok {
			t.Errorf("%v is %q", v, s)
		}
	}
	for _, bad := range []string{
		"", " ", "{", "[1", `{"a":1`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,]`, `{"a":1,}`, `{} {}`, `{}x`, "nul", `"a`, `{"a":1,"a":2}`, `{1:2}`, "]", `{"a":1 "b":2}`, `[1 2]`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "\x00", "<html>",
	} {
		if v, err := JSON([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,"b",{"c":null}]}`, `[{"Status":"OK"}]`, "[[[", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := JSON(body)
		if err != nil {
			return
		}
		var same any
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if err := d.Decode(&same); err != nil || !reflect.DeepEqual(v, same) {
			t.Errorf("%q: %#v, encoding/json returns %#v, %v", body, v, same, err)
		}
	})
}
