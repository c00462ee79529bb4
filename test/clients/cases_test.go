package clients

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

// The cases, one per column of the table.
const (
	caseClean       = "clean"
	caseEICAR       = "EICAR"
	caseEICARZip    = "EICAR in ZIP"
	caseEncrypted   = "encrypted ZIP"
	caseOversize    = "over the limit"
	caseFailing     = "engine failing"
	caseHanging     = "engine hanging"
	caseDown        = "all engines down"
	caseLongEICAR   = "EICAR, extended"
	caseLongFailing = "failing, extended"
)

// cases are the columns in the order they run. Cases that share a world are adjacent.
var cases = []struct {
	name   string
	world  string // the state of the engines
	sample string
	clamd  bool // clamd alone can produce it: compare
}{
	{caseClean, worldUp, sampleClean, true},
	{caseEICAR, worldUp, sampleEICAR, true},
	{caseEICARZip, worldUp, sampleEICARZip, true},
	{caseEncrypted, worldUp, sampleEncrypted, true},
	{caseOversize, worldUp, sampleLarge, true},
	{caseFailing, worldFailing, sampleClean, false},
	{caseHanging, worldHanging, sampleClean, false},
	{caseDown, worldDown, sampleClean, false},
	{caseLongEICAR, worldExtended, sampleEICAR, false},
	{caseLongFailing, worldExtendedFailing, sampleClean, false},
}

// usual is the outcome for a client that understands clamd, unless its profile changes
// it.
var usual = map[string]outcome{
	caseClean:       clean,
	caseEICAR:       infected,
	caseEICARZip:    infected,
	caseEncrypted:   clean,
	caseOversize:    refused,
	caseFailing:     refused,
	caseHanging:     refused,
	caseDown:        refused,
	caseLongEICAR:   infected,
	caseLongFailing: refused,
}

// scanned has the cases in which the whole object was scanned, so "clean" is true.
var scanned = map[string]bool{caseClean: true, caseEICAR: true, caseEICARZip: true, caseLongEICAR: true}

// The samples.
const (
	sampleClean     = "clean.txt"
	sampleEICAR     = "eicar.com"
	sampleEICARZip  = "eicar.zip"
	sampleEncrypted = "encrypted.zip"
	sampleLarge     = "large.txt"
)

// streamLimit is the suite's StreamMaxLength. The sample largeSize exceeds it.
const (
	streamLimit = 256 << 10
	largeSize   = 400 << 10
)

// A sample is an object to scan.
type sample struct {
	name    string
	content []byte
	path    string // of a world-readable file with the sample
}

// samples returns the samples by name. Their files are created once.
var samples = sync.OnceValue(makeSamples)

// samplesDir is where makeSamples puts them. TestMain removes it.
var samplesDir string

func makeSamples() map[string]sample {
	dir, err := os.MkdirTemp("", "pcs")
	if err != nil {
		panic(err)
	}
	samplesDir = dir
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	made := map[string]sample{}
	for name, content := range map[string][]byte{
		sampleClean:     []byte("nothing to be found here\n"),
		sampleEICAR:     []byte(clamdtest.EICAR()),
		sampleEICARZip:  zipped("eicar.com", []byte(clamdtest.EICAR())),
		sampleEncrypted: encryptedZip(dir),
		sampleLarge:     bytes.Repeat([]byte("forty bytes of text that nobody minds..\n"), largeSize/40),
	} {
		s := sample{name, content, filepath.Join(dir, name)}
		if err := os.WriteFile(s.path, content, 0o644); err != nil {
			panic(err)
		}
		made[name] = s
	}
	return made
}

func zipped(name string, content []byte) []byte { return zippedAll(map[string][]byte{name: content}) }

// zippedAll makes a ZIP of several members, in the order of their names.
func zippedAll(members map[string][]byte) []byte {
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		w, err := zw.Create(name)
		if err == nil {
			_, err = w.Write(members[name])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := zw.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// encryptedZip makes a password-protected archive with zip.
func encryptedZip(dir string) []byte {
	path := filepath.Join(dir, "made.zip")
	cmd := exec.Command("zip", "-q", "-P", "secret", path, "-")
	cmd.Stdin = strings.NewReader("what nobody can look into\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("zip: %v: %s", err, out))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return content
}

func TestSamples(t *testing.T) {
	clamdtest.RequireProgram(t, "zip")
	for name, s := range samples() {
		if got, err := os.ReadFile(s.path); err != nil || !bytes.Equal(got, s.content) || len(got) == 0 {
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		}
	}
}
