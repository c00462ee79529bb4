package command

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/command/commandfake"
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

// TestMarkers: the fake says of each marker what it is to say.
func TestMarkers(t *testing.T) {
	b := open(t, preset("sophos-sweep", commandfake.Sweep(t)))
	for mark, want := range map[string]backends.Category{
		"": backends.OK, backendtest.MarkEncrypted: backends.Encrypted, backendtest.MarkPartial: backends.Partial,
		backendtest.MarkError: backends.SWErr, string(backendtest.EICAR()): backends.Virus,
	} {
		r, err := b.Scan(t.Context(), backendtest.Bytes(t, []byte("x "+mark)))
		if got := outcomeOf(r, err); got != want {
			t.Errorf("%q: %v, want %v: %+v, %v", mark, got, want, r, err)
		}
	}
}
