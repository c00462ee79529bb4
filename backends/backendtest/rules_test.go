package backendtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
)

// toy is a backend whose engine is a function. Its answers are words: "locked",
// "failed", "virus", "clean". Each field breaks one rule.
type toy struct {
	m                                             Misbehaviour
	masks, trustsWords, trustsEarly, mixes, leaks bool

	last backends.Category
}

func (b *toy) Scan(_ context.Context, o backends.Object) (backends.Result, error) {
	if b.leaks {
		go func() { select {} }()
	}
	data := make([]byte, o.Size())
	if _, err := o.ReadAt(data, 0); err != nil {
		return backends.Result{}, err
	}
	var a backends.Answer
	if b.m.Odd != "" && bytes.Contains(data, []byte(MarkOdd)) {
		b.read(&a)
		return a.Result()
	}
	category := Marked(data[:min(len(data), 1024)])
	if b.mixes && b.m.Repeat > 0 && b.last != "" {
		category, b.last = b.last, category
	} else {
		b.last = category
	}
	a.Add(category, 0, "")
	if b.m.Early && len(data) > 1024 && !b.trustsEarly {
		a.Early()
	}
	return a.Result()
}

func (b *toy) read(a *backends.Answer) {
	for word := range strings.FieldsSeq(b.m.Odd) {
		switch {
		case word == "failed" && b.masks && a.Category() != "":
		case word == "locked", b.trustsWords && strings.Contains(word, "password"):
			a.Add(backends.Encrypted, 0, word)
		case word == "virus":
			a.Add(backends.Virus, 0, word)
		default:
			a.Fail(errors.New(word))
		}
	}
}

var toys = map[string]struct {
	part string // of the rules that notices
	toy  toy
}{
	"hides failures":       {"masked locked", toy{masks: true}},
	"trusts words":         {"failure named", toy{trustsWords: true}},
	"trusts early answers": {"early", toy{trustsEarly: true}},
	"mixes answers up":     {"stray", toy{mixes: true}},
	"leaks goroutines":     {"blocked named", toy{leaks: true}}, // of the whole group
}

func runToy(t *testing.T, b toy) {
	RunRules(t, Rules{
		Open: func(_ *testing.T, m Misbehaviour) backends.Backend {
			b := b
			b.m = m
			return &b
		},
		Masked:   map[string]string{"locked": "locked failed"},
		Failures: map[string]string{"named": "password-list:read-error"},
		Blocked:  map[string]string{"named": "virus password-stealer"},
	})
}

func TestRules(t *testing.T) { runToy(t, toy{}) }

const toyName = "POLYCLAM_TEST_TOY"

// TestBadRules runs one toy, in a child process of TestRulesCatch.
func TestBadRules(t *testing.T) {
	if bad, ok := toys[os.Getenv(toyName)]; ok {
		patience = 500 * time.Millisecond // the leak never ends
		runToy(t, bad.toy)
	}
}

func TestRulesCatch(t *testing.T) {
	for name, bad := range toys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestBadRules$/^"+strings.ReplaceAll(bad.part, " ", "_")+"$")
			cmd.Env = append(os.Environ(), toyName+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestBadRules") {
				t.Errorf("the rules accept a backend that %s: %v\n%s", name, err, out)
			}
		})
	}
}
