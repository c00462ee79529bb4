package sssp

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/sssp/ssspfake"
)

func TestRules(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for name, change := range map[string]func(*Config){"kept": nil, "once": once} {
		g.Run(name, func(t *testing.T) {
			backendtest.RunRules(t, backendtest.Rules{
				Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
					return open(t, ssspfake.Start(t, ssspfake.Options{Misbehaviour: m}).Address(), change)
				},
				Masked: map[string]string{
					"timeout":    locked + "FAIL 060F m.bin\r\nDONE FAIL 060F Scan terminated due to timeout\r\n\r\n",
					"no data":    locked + "FAIL 0222 m.bin\r\nDONE FAIL 0222 virus data missing\r\n\r\n",
					"done only":  locked + "DONE FAIL 0202 Sweep failure\r\n\r\n",
					"other way":  "FAIL 0202 a\r\n" + locked + "DONE FAIL 0212 File was encrypted\r\n\r\n",
					"corrupt":    "FAIL 021A a\r\nFAIL 0999 b\r\n" + done,
					"irregular":  locked + "PROGRESS 50\r\n" + done,
					"with virus": "VIRUS A \r\nFAIL 060F b\r\n" + doneVirus,
				},
				Failures: map[string]string{
					"password": "DONE FAIL 0202 File was encrypted, password\r\n\r\n", "limit": "FAIL 0999 limit\r\n" + done, "corrupt": "DONE FAIL 021D virus data corrupt\r\n\r\n",
					"name": "FAIL 0210 /0212 File was encrypted\r\n" + done, "irregular": "encrypted\r\n" + done, "rejected": "REJ 1 encrypted\r\n",
				},
				Blocked: map[string]string{"stealer": "VIRUS Troj/PasswordStealer \r\n" + doneVirus, "limit": "VIRUS Limit/Encrypted-A \r\n" + done},
			})
		})
	}
}
