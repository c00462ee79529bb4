package command

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/command/commandfake"
	"polyclam/backends/testfile"
)

func TestConformance(t *testing.T) {
	sweep := commandfake.Sweep(t)
	for name, set := range map[string]func(*Config){
		"plain": preset("sophos-sweep", sweep),
		"link":  func(c *Config) { preset("sophos-sweep", sweep)(c); c.Copy = copyLink },
		"copy":  func(c *Config) { preset("sophos-sweep", sweep)(c); c.Copy = copyFull },
		"argv":  func(c *Config) { preset("sophos-sweep", "")(c); c.Argv = []string{sweep, placeholder} },
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, set) },
				backendtest.Options{Encrypted: true, Large: 8 << 20, Parallel: 12})
		})
	}
}

// TestMarkers checks that the fake gives the answer that each marker asks for.
func TestMarkers(t *testing.T) {
	b := open(t, preset("sophos-sweep", commandfake.Sweep(t)))
	for mark, want := range map[string]backends.Category{
		"": backends.OK, backendtest.MarkEncrypted: backends.Encrypted, backendtest.MarkPartial: backends.Partial,
		backendtest.MarkError: backends.SWErr, string(testfile.EICAR()): backends.Virus,
	} {
		r, err := b.Scan(t.Context(), backendtest.Bytes(t, []byte("x "+mark)))
		if got := outcomeOf(r, err); got != want {
			t.Errorf("%q: %v, want %v: %+v, %v", mark, got, want, r, err)
		}
	}
}

// TestOddAnswers runs a program that reports several things about one object, or uses words
// that are not its own. Other objects must be judged as usual.
func TestOddAnswers(t *testing.T) {
	const mark = "ODD-ANSWER"
	const locked, virus = "Password protected file PATH/a.txt\n", ">>> Virus 'EICAR-AV-Test' found in file PATH/b\n"
	for _, c := range []struct {
		name, output string
		status       int
		want         string
	}{
		{"an encrypted member", locked, 2, "encrypted"},
		{"an encrypted member beside a failure", locked + "Could not open PATH/m.bin\n", 2, "encrypted+swerr"},
		{"the other way round", "Could not open PATH/m.bin\n" + locked, 3, "virus+swerr"},
		{"an encrypted member beside an interrupted scan", locked, 1, "encrypted+interrupted"},
		{"a corrupt member beside missing data", "Could not check PATH/a (corrupt)\nvirus data missing\n", 2, "partial+swerr"},
		{"a virus beside all of it", locked + "Could not open PATH/m.bin\n" + virus, 3, "virus+swerr"},
		{"a virus after progress", "10%\r50%\r" + virus, 3, "virus+swerr"},
		{"only a word", "password list of PATH is missing\n", 0, "swerr"},
		{"a name that has the word", "Could not check PATH/password protected (virus data missing)\n", 2, "swerr"},
		{"an archive of another kind", "Could not check PATH/a (Trojan not supported here)\n", 2, "swerr"},
		{"a failure, exit status 0", "Error: cannot load virus database\n", 0, "swerr"},
		{"nothing, exit status 2", "", 2, "swerr"},
		{"twice", locked + locked, 2, "encrypted"},
	} {
		b := open(t, preset("sophos-sweep", commandfake.Odd(t, mark, c.output, c.status)))
		r, err := b.Scan(t.Context(), backendtest.Bytes(t, []byte("x "+mark)))
		if got := said(r, err); got != c.want {
			t.Errorf("%s: %s, want %s: %+v, %v", c.name, got, c.want, r, err)
		}
		if r, err := b.Scan(t.Context(), backendtest.CleanObject(t)); said(r, err) != "ok" {
			t.Errorf("%s: a clean object: %+v, %v", c.name, r, err)
		}
	}
}
