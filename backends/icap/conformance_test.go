package icap

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestConformance runs the suite with the fake server and with erratic ones.
func TestConformance(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": marked})
	half := []backendtest.Words{
		composed("ICAP/1.0 200 OK\r\n\r"), composed("ICAP/1.0 204 Unmodified\r\n"), composed(recordedOptions[:len(recordedOptions)-2]),
		// Answers to OPTIONS; the bytes after them do not answer the scan.
		composed(recordedOptions + recorded204), composed(recorded204 + recorded204), composed(recordedOptions + recorded204[:len(recorded204)-1]),
	}
	g := backendtest.Together(t)
	defer g.Wait()
	for name, set := range map[string]func(c *Config){
		"respmod": with("avscan", methodAuto, false),
		"reqmod":  with("avscan", methodReqmod, false),
		"preview": with("avscan", methodAuto, true),
		"kept":    keeps,
	} {
		g.Run(name, func(t *testing.T) {
			o := backendtest.Options{Encrypted: true, Network: "tcp", Half: half}
			if name == "respmod" || name == "preview" {
				o.Dial = func(t *testing.T, address string) backends.Backend { return open(t, address, set) }
			}
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, f.address(), set) }, o)
		})
	}
}

// TestMarked checks the category of every marker.
func TestMarked(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": marked})
	backendtest.CheckMarked(t, open(t, f.address()), nil)
}
