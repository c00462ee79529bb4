package sssp

import (
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/sssp/ssspfake"
)

// open opens a backend for address; change may be nil.
func open(tb testing.TB, address string, change func(*Config)) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, change).(*Backend)
}

func byFile(c *Config) { c.Transport = transportFile }

// half are incomplete answers after the greeting.
var half = []backendtest.Words{
	backendtest.Composed("A"),
	backendtest.Composed("ACC 1/1"),
	backendtest.Composed("ACC 1/1\r\nACC 1/2\r\n"),
	backendtest.Composed("ACC 1/1\r\nACC 1/2\r\n\r\nACC 1/3\r\nDONE OK 0000 The function call succeeded\r\n"),
	backendtest.Composed("ACC 1/1\r\nACC 1/2\r\n\r\nACC 1/3\r\nDONE OK 0000 The function call succeeded\r\n\r\nACC 1/4\r\nDONE OK 0000 The function call succeeded\r\n"),
	backendtest.Composed("DONE OK 0000 The function call succeeded\r\n\r\n"),
}

func TestConformance(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, c := range []struct {
		name   string
		fake   ssspfake.Options
		change func(*Config)
	}{
		{"data on unix", ssspfake.Options{}, nil},
		{"data on tcp", ssspfake.Options{Network: "tcp", EventLines: true, LF: true}, nil},
		{"one connection each", ssspfake.Options{}, func(c *Config) { c.Sessions = false }},
		{"file", ssspfake.Options{ScanFile: true, NoScanData: true}, byFile},
	} {
		g.Run(c.name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend {
				return open(t, ssspfake.Start(t, c.fake).Address(), c.change)
			}, backendtest.Options{
				Encrypted: true,
				Large:     4 << 20,
				Network:   c.fake.Network,
				Greeting:  "OK SSSP/1.0\r\n",
				Half:      half,
				Dial: func(t *testing.T, address string) backends.Backend {
					return open(t, address, func(config *Config) {
						config.ConnectTimeout = time.Minute
						if c.change != nil {
							c.change(config)
						}
					})
				},
			})
		})
	}
}
