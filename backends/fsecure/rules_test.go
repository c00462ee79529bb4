package fsecure

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend {
			return open(t, backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Misbehave(m, greeting, '\n', fake)}).Address())
		},
		NoStream: true,
		Masked: map[string]string{
			"failure": "SCAN_FAILURE\tPATH/a\t0x12\tFile is encrypted [FSE]\n" + fault("Internal error"),
			"error":   "SCAN_FAILURE\tPATH/a\t0x12\tFile is encrypted [FSE]\nERROR\tbroken\n",
			"corrupt": "SCAN_FAILURE\tPATH/a\t0x12\tCorrupted archive [FSE]\n" + fault("Scan timed out"),
			"virus":   virus + fault("Internal error"),
		},
		Failures: map[string]string{
			"memory":   fault("out of memory limit"),
			"password": fault("cannot open password list"),
			"corrupt":  fault("database is corrupt"),
			"error":    "ERROR\tFile is encrypted\n",
		},
		Blocked: map[string]string{
			"stealer": "INFECTED\tPATH\tTrojan.PasswordStealer\tFSE\n" + end,
			"with":    "ARCHIVE_SUSPECTED\tPATH/encrypted\tLimit\tFSE\n" + fault("File is encrypted"),
		},
	})
}
