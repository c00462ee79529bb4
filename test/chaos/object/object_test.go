package object

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestJudge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, MinSize, 1500, 12345, 64<<10 + 1} {
		for _, c := range []struct {
			truth            Truth
			engine           string
			generation       int
			virus, encrypted bool
		}{
			{Truth{}, "clam", 9, false, false},
			{Truth{Virus: true}, "clam", 0, true, false},
			{Truth{Encrypted: true}, "clam", 0, false, true},
			{Truth{Virus: true, Encrypted: true}, "clam", 0, true, true},
			{Truth{Virus: true, Only: "clam"}, "clam", 0, true, false},
			{Truth{Virus: true, Only: "clam"}, "sophos", 0, false, false},
			{Truth{Virus: true, Only: "clam", Later: 2, Encrypted: true}, "sophos", 2, true, true},
			{Truth{Later: 12}, "clam", 11, false, false},
			{Truth{Later: 12}, "clam", 12, true, false},
			{Truth{Later: 12, Only: "clam"}, "clam", 12, true, false},
			{Truth{Later: 12, Only: "clam"}, "clam", 11, false, false},
			{Truth{Later: 12, Only: "clam"}, "sophos", 12, false, false},
		} {
			for range 50 { // marks are in different places
				o := New(r, size, c.truth)
				if len(o.Data) != max(size, MinSize) || o.SHA != Sum(o.Data) || NonceOf(o.Data) != o.Nonce {
					t.Fatalf("object %s of %d bytes", o.Nonce, len(o.Data))
				}
				j := Judge(o.Data, c.engine, c.generation)
				want := ""
				if c.virus {
					want = VirusName + o.Nonce
				}
				if j.Nonce != o.Nonce || j.Virus != want || j.Encrypted != c.encrypted {
					t.Fatalf("%d bytes, %+v: %s with signatures %d judges %+v", size, c.truth, c.engine, c.generation, j)
				}
			}
		}
	}
}

// TestForeign judges the objects of polyclam's health checks.
func TestForeign(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Judgement
	}{
		{"empty", "", Judgement{}},
		{"text", "A harmless text", Judgement{}},
		{"EICAR", "X5O!...EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!", Judgement{Virus: "Eicar-Test-Signature"}},
		{"zip", "PK\x03\x04\x14\x00\x00\x00", Judgement{}},
		{"encrypted zip", "PK\x03\x04\x14\x00\x01\x00", Judgement{Encrypted: true}},
		{"half a head", head + "n01", Judgement{}},
	} {
		if got := Judge([]byte(c.data), "clam", 0); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestBeginning checks that the beginning of an object has the object's nonce.
func TestBeginning(t *testing.T) {
	o := New(rand.New(rand.NewPCG(1, 2)), 5000, Truth{Virus: true})
	if got := NonceOf(bytes.Clone(o.Data[:100])); got != o.Nonce {
		t.Errorf("got %q, want %q", got, o.Nonce)
	}
}
