package avast

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return open(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Misbehave(m, hello, '\n', fake)}).Address())
		},
		NoStream: true,
		Masked: map[string]string{
			"denied":   begin + encrypted + denied + end,
			"licence":  begin + encrypted + "SCAN PATH\t[E]0.0\tError 1 License\\ expired\r\n" + end,
			"451":      begin + encrypted + "451 SCAN Engine error\r\n",
			"bomb":     begin + bomb + denied + end,
			"unknown":  begin + encrypted + "SCAN PATH\t[?]0.0\r\n" + end,
			"infected": begin + virus + denied + end,
		},
		Failures: map[string]string{
			"sandbox":  fault(`Error 42056 Sandbox\ state\ is\ corrupt`),
			"password": fault(`Error 1 cannot\ open\ password\ list`),
			"limit":    fault(`Error 42999 thread\ limit`),
			"466":      "466 License: password protected\r\n",
		},
		Blocked: map[string]string{
			"stealer": begin + "SCAN PATH\t[L]0.0\t0 Win32:PasswordStealer\r\n" + end,
			"with":    begin + encrypted + "SCAN PATH|>Archive\\ is\\ encrypted\t[L]1.0\t0 Limit\r\n" + end,
		},
	})
}
