package savapi

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return open(t, backendtest.StartDaemon(t, "tcp", backendtest.Script{linetest.Misbehave(m, greeting, '\n', fake)}).Address())
		},
		NoStream: true,
		Masked: map[string]string{
			"timeout": "499 file is encrypted\n220 timeout\n",
			"351":     "499 file is encrypted\n351 internal error\n",
			"unknown": "499 file is encrypted\n777 what\n",
			"damaged": "499 archive is damaged\n350 read error\n",
			"virus":   alert + "350 read error\n",
		},
		Failures: map[string]string{
			"password":  "350 password list.txt: read error\n",
			"limit":     "351 internal error, thread limit reached\n",
			"499":       "499 archive limit reached\n200 OK\n",
			"499 words": "499 engine not initialised\n200 OK\n",
			"450":       "450 plugin failed to load\n200 OK\n",
			"name":      "350 file is encrypted: read error\n",
		},
		Blocked: map[string]string{
			"stealer": "310 TR/PasswordStealer ; virus ; encrypted\n" + final,
			"with":    "499 file is encrypted\n310 Limit ; pua ; text\n200 OK\n",
		},
	})
}
