package wire

import (
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestFileName(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"report.pdf", "report.pdf"},
		{"/srv/upload/report.pdf", "report.pdf"},
		{`C:\mail\invoice.exe`, "invoice.exe"},
		{"../../etc/passwd", "passwd"},
		{"mit Leerzeichen äöü.docx", "mit Leerzeichen äöü.docx"},
		{"a\r\nX-Virus-ID: b.exe", "a__X-Virus-ID: b.exe"},
		{"a\x00b\x1b[2J", "a_b_[2J"},
		{"exe\u202egnp.scr", "exe_gnp.scr"},
		{"\xff\xfe.zip", "_.zip"},
		{"", "neutral"}, {"/", "neutral"}, {"..", "neutral"}, {"a/..", "neutral"}, {" . ", "neutral"},
		{strings.Repeat("a", 300) + ".exe", strings.Repeat("a", 251) + ".exe"},
		{strings.Repeat("ä", 300) + ".exe", strings.Repeat("ä", 125) + ".exe"},
		{strings.Repeat("a", 1<<20) + "." + strings.Repeat("b", 100), strings.Repeat("a", 255)},
	} {
		if got := FileName(backendtest.WithName(nil, tt.name), "neutral"); got != tt.want {
			t.Errorf("%.60q: got %q, want %q", tt.name, got, tt.want)
		}
	}
	var nameless backends.Object
	if got := FileName(nameless, "neutral"); got != "neutral" {
		t.Errorf("got %q", got)
	}
	for name, ok := range map[string]bool{"object": true, "object.bin": true, "": false, "..": false, "a/b": false, "a\n": false, `a"b`: false} {
		if err := CheckFileName("file_name", name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzFileName checks that no encoded form of a name ends a line, a quoted string or a
// segment of a path, and that decoding returns the name.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{"report.pdf", "../a\r\nb: c", `a"b\c`, "ä%41.zip", "\xff", "a;b='c'?d#e", strings.Repeat("x", 300) + ".exe", "~ "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name := FileName(backendtest.WithName(nil, raw), NeutralName)
		if name == "" || len(name) > maxFileName || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\r\n\x00\x7f") || name != path.Base(name) {
			t.Fatalf("%q: name %q", raw, name)
		}
		segment, disposition, form := PathName(name), Disposition(name), FormName(name)
		for _, s := range []string{segment, disposition} {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q in a header", s)
			}
		}
		if strings.ContainsAny(segment, " /?#\\\"") || strings.ContainsAny(form, "\r\n\"\\") {
			t.Errorf("%q, %q", segment, form)
		}
		if back, err := url.PathUnescape(segment); err != nil || back != name {
			t.Errorf("segment %q is %q, %v", segment, back, err)
		}
		if _, err := http.NewRequest("GET", "http://localhost/"+segment, nil); err != nil {
			t.Error(err)
		}
		kind, params, err := mime.ParseMediaType(disposition)
		if err != nil || kind != "attachment" || strings.TrimSpace(params["filename"]) != strings.TrimSpace(name) {
			t.Errorf("%q is %q, %v", disposition, params, err)
		}
	})
}
