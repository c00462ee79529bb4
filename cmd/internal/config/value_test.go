package config

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// take gives v, a value in TOML, to set and returns the problem, "" if none.
func take(t *testing.T, set setter, v string) string {
	t.Helper()
	var table map[string]any
	if err := toml.Unmarshal([]byte("v = "+v), &table); err != nil {
		t.Fatal(err)
	}
	r := &reader{}
	set(r, "v", table["v"])
	if len(r.problems) == 0 {
		return ""
	}
	return r.problems.Error()
}

// bad says that a value is refused, with this in the message.
type bad string

func TestValues(t *testing.T) {
	type row struct {
		kind, value string
		want        any
	}
	for _, test := range []row{
		{"size", `0`, int64(0)},
		{"size", `"0"`, int64(0)},
		{"size", `1048576`, int64(1 << 20)},
		{"size", `"1048576"`, int64(1 << 20)},
		{"size", `"256KiB"`, int64(256 << 10)},
		{"size", `"100MiB"`, int64(100 << 20)},
		{"size", `"2GiB"`, int64(2 << 30)},
		{"size", `"1024TiB"`, int64(1 << 50)},
		{"size", `"1025TiB"`, bad("too large")},
		{"size", `"9223372036854775807"`, bad("too large")},
		{"size", `"9223372036854775808"`, bad("not a size")},
		{"size", `-1`, bad("not a size")},
		{"size", `"+1"`, bad("not a size")},
		{"size", `""`, bad("not a size")},
		{"size", `"MiB"`, bad("not a size")},
		{"size", `"1 MiB"`, bad("not a size")},
		{"size", `"1MB"`, bad("not a size")},
		{"size", `"1.5MiB"`, bad("not a size")},
		{"size", `true`, bad("want a size")},
		{"duration", `"110s"`, 110 * time.Second},
		{"duration", `"1m30s"`, 90 * time.Second},
		{"duration", `"24h"`, 24 * time.Hour},
		{"duration", `"24h1ns"`, bad("too long")},
		{"duration", `"1ns"`, time.Duration(1)},
		{"duration", `"0s"`, bad("not above zero")},
		{"duration", `"-1s"`, bad("not above zero")},
		{"duration", `""`, bad("not a duration")},
		{"duration", `"1d"`, bad("not a duration")},
		{"duration", `30`, bad(`write "30s"`)},
		{"duration", `1.5`, bad("want a duration")},
		{"mode", `"0666"`, fs.FileMode(0o666)},
		{"mode", `"660"`, fs.FileMode(0o660)},
		{"mode", `"0"`, fs.FileMode(0)},
		{"mode", `"4755"`, bad("not a mode")},
		{"mode", `"0668"`, bad("not a mode")},
		{"mode", `"-1"`, bad("not a mode")},
		{"mode", `438`, bad("want a string")},
		{"path mode", `"0640"`, fs.FileMode(0o640)},
		{"path mode", `"0666"`, bad("not for contents")},
		{"path mode", `"0240"`, bad("not for contents")},
		{"group", `"0"`, 0},
		{"group", `"4294967296"`, bad("no group")},
		{"group", `"-1"`, bad("no group")},
		{"group", `"root"`, 0},
		{"group", `""`, bad("no group")},
		{"count", `1`, 1},
		{"count", `10`, 10},
		{"count", `0`, bad("out of range")},
		{"count", `11`, bad("out of range")},
		{"count", `"5"`, bad("want a number between 1 and 10")},
		{"abs", `"/srv"`, "/srv"},
		{"abs", `"srv"`, bad("not an absolute path")},
		{"abs", `""`, bad("not an absolute path")},
		{"abs", `"/a\u0000b"`, bad("not an absolute path")},
		{"name", `"clamav-2.local_x"`, "clamav-2.local_x"},
		{"name", `"ä"`, bad("not a name")},
		{"name", `"-a"`, bad("not a name")},
		{"name", `""`, bad("not a name")},
		{"name", `"` + strings.Repeat("a", 33) + `"`, bad("not a name")},
	} {
		t.Run(test.kind+" "+test.value, func(t *testing.T) {
			got, problem := takeKind(t, test.kind, test.value)
			if want, isBad := test.want.(bad); isBad {
				if !strings.Contains(problem, string(want)) {
					t.Errorf("%v, problem %q, want %q", got, problem, want)
				}
				return
			}
			if problem != "" || got != test.want {
				t.Errorf("%v (%T), problem %q, want %v", got, got, problem, test.want)
			}
		})
	}
}

func takeKind(t *testing.T, kind, value string) (got any, problem string) {
	t.Helper()
	var (
		bytes int64
		d     time.Duration
		mode  fs.FileMode
		n     int
		s     string
	)
	switch kind {
	case "size":
		problem = take(t, size(&bytes), value)
		return bytes, problem
	case "duration":
		problem = take(t, duration(&d), value)
		return d, problem
	case "mode":
		problem = take(t, parsed(&mode, parseMode), value)
		return mode, problem
	case "path mode":
		problem = take(t, parsed(&mode, parsePathMode), value)
		return mode, problem
	case "group":
		problem = take(t, parsed(&n, parseGroup), value)
		return n, problem
	case "count":
		problem = take(t, count(&n, 1, 10), value)
		return n, problem
	case "abs":
		problem = take(t, parsed(&s, parseAbs), value)
		return s, problem
	case "name":
		problem = take(t, parsed(&s, parseName), value)
		return s, problem
	}
	t.Fatalf("no kind %q", kind)
	return nil, ""
}

func TestFormatSize(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 1024, 1025, 256 << 10, 100 << 20, 3 << 30, maxSize} {
		s := formatSize(n)
		if back, err := parseSize(s); err != nil || back != n {
			t.Errorf("formatSize(%d) = %q, which is %d, %v", n, s, back, err)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"address", "addresses", "max_scans", "timeout"}
	for word, want := range map[string]string{
		"adress": "address", "Address": "address", "max-scans": "max_scans", "maxscans": "max_scans",
		"time_out": "timeout", "colour": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%.10q) = %q, want %q", word, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir + "/none"); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
	large := dir + "/large"
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || err.Error() != large+":1: the file is larger than 1MiB" {
		t.Errorf("a large file: %v", err)
	}
	if _, err := Load("/dev/zero"); err == nil {
		t.Error("a file without end was read")
	}
	if err := fmt.Sprint(Problems{{File: "f", Line: 3, Key: "a\nb", Text: "t\x1b"}}); err != "f:3: a?b: t?" {
		t.Errorf("a problem with control characters is %q", err)
	}
}
