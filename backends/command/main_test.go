package command

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
)

// patience is how long a test waits for what should be so in no time.
const patience = 20 * time.Second

// open opens a backend of the keys, as the configuration would.
func open(t *testing.T, set func(*Config)) backends.Backend {
	t.Helper()
	c := NewConfig().(*Config)
	set(c)
	b, err := c.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func preset(name, program string) func(*Config) {
	return func(c *Config) { c.Preset, c.Program = name, program }
}

// compiled is the answer table of a preset.
func compiled(t *testing.T, name string) *table {
	t.Helper()
	p, err := presetNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := p.compile()
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// outcomeOf is the category of a result, or else of the error.
func outcomeOf(r backends.Result, err error) backends.Category {
	if r.Category == "" {
		return backends.CategoryOf(err)
	}
	return r.Category
}

// said is everything that an answer says: "encrypted", "swerr", "encrypted+swerr".
func said(r backends.Result, err error) string {
	var words []string
	if r.Category != "" {
		words = append(words, string(r.Category))
	}
	if err != nil {
		for _, c := range backends.CategoriesOf(err) {
			words = append(words, string(c))
		}
	}
	return strings.Join(words, "+")
}

// printed is the ending of a program that was given the file "/q/a".
func printed(output string, code int) ending {
	return ending{output: []byte(output), code: code, paths: []string{"/q/a"}}
}

// sampled is the ending of a sample.
func sampled(s *Sample) ending {
	e := printed(s.Output, s.Exit)
	if s.Path != "" {
		e.paths = []string{s.Path}
	}
	return e
}

// runName is a variable of the environment by which a test knows its processes.
const runName = "POLYCLAM_TEST_RUN"

// marked gives the processes of a backend a mark and returns it.
func marked(c *Config) string {
	mark := rand.Text()
	c.Env = map[string]string{runName: mark}
	return mark
}

// survivors are the processes, zombies too, with the mark in their environment.
func survivors(mark string) (pids []string) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	for _, dir := range entries {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && bytes.Contains(env, []byte(runName+"="+mark)) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

// wantGone waits until no process of the mark is left.
func wantGone(t *testing.T, mark string) {
	t.Helper()
	for end := time.Now().Add(patience); len(survivors(mark)) > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still there: %v", survivors(mark))
		}
	}
}

// zombies are our children that nobody has reaped.
func zombies(t *testing.T) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// pid (name) state parent ...; the name may hold anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 1 && string(fields[0]) == "Z" && string(fields[1]) == itoa(os.Getpid()) {
			found = append(found, file)
		}
	}
	return found
}

func wantNoZombies(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); len(zombies(t)) > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not reaped: %v", zombies(t))
		}
	}
}
