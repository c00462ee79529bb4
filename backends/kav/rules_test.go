package kav

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return openAve(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Misbehave(m, greeting, '\n', ave)}).Address())
		},
		NoStream: true,
		Masked: map[string]string{
			"virus": hit + "550 error\r\n",
			"cut":   hit + "unknown\r\n",
		},
		Failures: map[string]string{
			"password": "550 password protected\r\n",
			"limit":    "500 limit\r\n",
			"corrupt":  "323 corrupt PATH\r\n" + done,
		},
		Blocked: map[string]string{
			"stealer": "322-PasswordStealer PATH\r\n" + done,
			"limit":   "322 Limit PATH/encrypted\r\n" + done,
		},
	})
}

func TestDaemonRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return openDaemon(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Misbehave(m, "", 0, daemon)}).Address())
		},
		NoStream: true,
		Masked:   map[string]string{"virus": report(1, found), "suspicion": report(7, "x suspicion: S\n"), "cut": claims(8, 100, "x")},
		Failures: map[string]string{"password": report(1, "encrypted, password\n"), "corrupt": report(7, "corrupt\n"), "limit": "\x09\x00"},
		Blocked:  map[string]string{"stealer": report(4, "/q/x infected: PasswordStealer\n"), "limit": report(3, "encrypted suspicion: Limit\n")},
	})
}
