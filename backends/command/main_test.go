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

// patience is how long a test waits for something that should happen immediately.
const patience = 20 * time.Second

// open opens a backend as the configuration would.
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

// compiled returns the answer table of a preset.
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

// outcomeOf returns the category of a result, or of the error if there is none.
func outcomeOf(r backends.Result, err error) backends.Category {
	if r.Category == "" {
		return backends.CategoryOf(err)
	}
	return r.Category
}

// said lists all categories of an answer: "encrypted", "swerr", "encrypted+swerr".
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

// printed returns the result of a run on the file "/q/a".
func printed(output string, code int) runResult {
	return runResult{output: []byte(output), code: code, paths: []string{"/q/a"}}
}

// sampled returns the result of the run that a sample describes.
func sampled(s *Sample) runResult {
	e := printed(s.Output, s.Exit)
	if s.Path != "" {
		e.paths = []string{s.Path}
	}
	return e
}

// runName is the environment variable by which a test recognises its processes.
const runName = "POLYCLAM_TEST_RUN"

// marked adds a mark to the environment of a backend's processes and returns it.
func marked(c *Config) string {
	mark := rand.Text()
	c.Env = map[string]string{runName: mark}
	return mark
}

// survivors returns the processes, including zombies, with the mark in their environment.
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

// wantGone waits until no process with the mark is left.
func wantGone(t *testing.T, mark string) {
	t.Helper()
	for end := time.Now().Add(patience); len(survivors(mark)) > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still there: %v", survivors(mark))
		}
	}
}

// zombies returns our children that have not been reaped.
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
