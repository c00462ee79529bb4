package size

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1048576": 1 << 20, "256KiB": 256 << 10, "100MiB": 100 << 20, "2GiB": 2 << 30, "1 GiB": 1 << 30,
		"1024TiB": Max, "1125899906842624": Max,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"1025TiB": "too large", "9223372036854775807": "too large",
		"9223372036854775808": "not a size", "-1": "not a size", "+1": "not a size", "": "not a size", "MiB": "not a size",
		"1MB": "not a size", "100M": "not a size", "1mib": "not a size", "1.5MiB": "not a size", "1 ": "not a size", " 1MiB": "not a size",
	} {
		if got, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %d, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1 << 10: "1KiB", 1025: "1025", 100 << 20: "100MiB", 1536 << 20: "1536MiB", 3 << 30: "3GiB", Max: "1024TiB"} {
		got := Format(n)
		if got != want {
			t.Errorf("Format(%d) = %q, want %q", n, got, want)
		}
		if back, err := Parse(got); err != nil || back != n {
			t.Errorf("Parse(%q) = %d, %v, want %d", got, back, err, n)
		}
	}
}

func TestFormatClamd(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1 << 10: "1024", 25 << 20: "25M", 2 << 30: "2048M", 1<<20 + 1: "1048577"} {
		if got := FormatClamd(n); got != want {
			t.Errorf("FormatClamd(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1 KiB", 1<<20 - 1: "1 MiB", 300 << 20: "300 MiB", 3 << 29: "1.5 GiB", 1<<63 - 1: "8 EiB",
	} {
		if got := Human(n); got != want {
			t.Errorf("Human(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestMiB(t *testing.T) {
	for n, want := range map[int64]string{0: "0.0 MiB", 256 << 10: "0.2 MiB", 8 << 20: "8.0 MiB", 10 << 20: "10 MiB", 10<<20 + 1: "11 MiB", 2 << 30: "2048 MiB"} {
		if got := MiB(n); got != want {
			t.Errorf("MiB(%d) = %q, want %q", n, got, want)
		}
	}
}
