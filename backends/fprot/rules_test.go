package fprot

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

// TestRules scans files; for streams see TestStreamEarly and TestRepeated.
func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return open(t, backendtest.StartDaemon(t, "tcp", backendtest.Script{linetest.Misbehave(m, "", '\n', fake)}).Address())
		},
		NoStream: true,
		Masked: map[string]string{
			"platform":    "80 <not scanned> PATH\n",
			"internal":    "96 <encrypted> PATH->a\n",
			"interrupted": "68 <not scanned> PATH\n",
			"restricted":  "24 <restricted> PATH\n",
			"virus":       "17 <infected: X> PATH\n",
		},
		Failures: map[string]string{
			"password": "16 <password list: I/O error> PATH\n", "limit": "32 <thread limit> PATH\n", "corrupt": "48 <corrupt> PATH\n",
			"zero": "0 <encrypted> PATH\n", "no object": "64 <encrypted>\n",
		},
		Blocked: map[string]string{"stealer": "1 <infected: PasswordStealer> PATH\n", "with": "66 <suspicious: Limit> PATH->encrypted\n"},
	})
}
