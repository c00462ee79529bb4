package cache

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
)

// fill sets every field below v to a value that is not zero, and fails for a type that it
// does not know: then the format may not have the field either.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *backends.Category:
		*x = backends.Encrypted
		return
	case *time.Time:
		*x = time.Unix(1700000000+int64(*n), 123456789)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int:
		v.SetInt(int64(*n) - 1000)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	default:
		t.Fatalf("an entry has a %v; add it to the format", v.Type())
	}
}

func TestEncodeEveryField(t *testing.T) {
	var e Entry
	n := 0
	fill(t, reflect.ValueOf(&e).Elem(), &n)
	data, ok := encode(e)
	if !ok {
		t.Fatal("not encoded")
	}
	got, err := decode(string(data))
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("decoded\n%+v, %v, want\n%+v", got, err, e)
	}
}

func TestEncode(t *testing.T) {
	now := time.Unix(0, time.Now().UnixNano())
	for _, c := range backends.Categories() {
		_, ok := encode(Entry{backends.Result{Category: c, Findings: []backends.Finding{{Name: "x", Category: backends.Virus}}}, now})
		if ok == c.IsFailure() {
			t.Errorf("an entry of the category %s is kept: %v", c, ok)
		}
		_, ok = encode(Entry{backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Name: "x", Category: c}}}, now})
		if ok == c.IsFailure() {
			t.Errorf("a finding of the category %s is kept: %v", c, ok)
		}
	}
	for _, tt := range []struct {
		name string
		r    backends.Result
		ok   bool
	}{
		{"clean", backends.Clean(0), true},
		{"no code", backends.Clean(backends.NoCode), true},
		{"hostile name", backends.Found(1, "a\x00\n\xff: OK\r"), true},
		{"many findings", backends.Found(1, strings.Split(strings.Repeat("x,", 300), ",")...), true},
		{"too many findings", backends.Found(1, strings.Split(strings.Repeat("x,", 600), ",")...), false},
		{"long name", backends.Found(1, strings.Repeat("x", maxEntry-20)), true},
		{"too long a name", backends.Found(1, strings.Repeat("x", maxEntry)), false},
		{"huge name", backends.Found(1, strings.Repeat("x", 10<<20)), false},
		{"too long a detail", backends.Result{Category: backends.OK, Detail: strings.Repeat("x", maxEntry)}, false},
		{"no category", backends.Result{}, false},
		{"unknown category", backends.Result{Category: "fine"}, false},
	} {
		data, ok := encode(Entry{tt.r, now})
		if ok != tt.ok {
			t.Errorf("%s: encoded %v (%d bytes)", tt.name, ok, len(data))
		}
		if !ok {
			continue
		}
		if got, err := decode(string(data)); err != nil || !reflect.DeepEqual(got, Entry{tt.r, now}) {
			t.Errorf("%s: decoded %+v, %v", tt.name, got, err)
		}
		for i := range data {
			if _, err := decode(string(data[:i])); err == nil {
				t.Errorf("%s: decoded the first %d of %d bytes", tt.name, i, len(data))
			}
		}
		if _, err := decode(string(data) + "\x00"); err == nil {
			t.Errorf("%s: decoded with one byte more", tt.name)
		}
		if _, err := decode("\x02" + string(data[1:])); err == nil {
			t.Errorf("%s: decoded with another version", tt.name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, r := range []backends.Result{backends.Clean(0), backends.Found(1, "Eicar", "PUA.Win.x"), {Category: backends.Partial, Code: -5, Detail: "limit"}} {
		data, _ := encode(Entry{r, time.Unix(1700000000, 5)})
		f.Add(string(data))
	}
	f.Add("\x01\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Add("\x01\x01\x00\x00\x00\x80\x80\x80\x80\x80\x80\x01") // 2^42 findings
	f.Fuzz(func(t *testing.T, data string) {
		e, err := decode(data)
		if err != nil {
			return
		}
		if again, ok := encode(e); !ok || string(again) != data {
			t.Errorf("%q is decoded, and encoded as %q, %v", data, again, ok)
		}
		if e.Result.Category.IsFailure() {
			t.Errorf("%q is a failure", data)
		}
	})
}
