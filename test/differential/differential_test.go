package differential

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"polyclam/test/clamdtest"
)

func TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }

// dialogues are all dialogues.
func dialogues(f *fixture) []dialogue {
	return slices.Concat(
		commandDialogues(f), framingDialogues(f), crlfDialogues(f), pipelineDialogues(f), streamDialogues(f), limitDialogues(f),
		sessionDialogues(f), refusedDialogues(f), timeoutDialogues(f), descriptorDialogues(f), pathDialogues(f), garbageDialogues(f), customDialogues(f), policyDialogues(f), verbDialogues(f), unitDialogues(f),
	)
}

// answers are the answers of both servers in one dialogue.
type answers struct {
	clamd    []outcome // one for each try
	polyclam outcome
	reset    bool // polyclam did not close cleanly
	err      error
}

func TestDifferential(t *testing.T) {
	clamdtest.Require(t)
	f := newFixture(t)
	ds := dialogues(f)
	opened := openWorlds(t, ds)
	got := playAll(ds, opened, f.dir)
	names, differ := map[string]bool{}, 0
	for i, d := range ds {
		if names[d.name] {
			t.Errorf("two dialogues are named %q", d.name)
		}
		names[d.name] = true
		if d.deviation != "" {
			differ++
		}
		t.Run(d.name, func(t *testing.T) { judge(t, &d, got[i]) })
	}
	t.Logf("count: differential: %d dialogues of distinct meaning, %d of them documented deviations", len(ds), differ)
	if len(ds) < 150 {
		t.Errorf("only %d dialogues", len(ds))
	}
}

// openWorlds starts the servers of every world that a dialogue needs.
func openWorlds(t *testing.T, ds []dialogue) map[string]*sides {
	t.Helper()
	opened := map[string]*sides{}
	for _, d := range ds {
		if opened[d.world] != nil {
			continue
		}
		w, ok := worlds[d.world]
		if !ok {
			t.Fatalf("%s: no world %q", d.name, d.world)
		}
		opened[d.world] = w.open(t)
	}
	return opened
}

// playAll plays all dialogues, many concurrently: most of them wait.
func playAll(ds []dialogue, opened map[string]*sides, fixture string) []answers {
	got := make([]answers, len(ds))
	slots := make(chan struct{}, 24)
	var wg sync.WaitGroup
	for i := range ds {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s := opened[ds[i].world]
			if worlds[ds[i].world].alone {
				s.mu.Lock()
				defer s.mu.Unlock()
			}
			got[i] = ds[i].ask(s, fixture)
		})
	}
	wg.Wait()
	return got
}

// ask plays the dialogue to both sides. If clamd is not deterministic, it plays it to
// clamd again until the answer differs from polyclam's where a deviation should show,
// and until it equals polyclam's otherwise. It plays every dialogue to clamd up to
// three times, because now and then clamd sends a reply on the wrong connection.
func (d *dialogue) ask(s *sides, fixture string) (a answers) {
	for i := range max(d.tries, 3) {
		if i == 0 || selfTest {
			if a.polyclam, a.reset, a.err = d.play(s.polyclam, fixture); a.err != nil {
				return a
			}
		}
		o, _, err := d.play(s.clamd, fixture)
		if err != nil {
			a.err = err
			return a
		}
		a.clamd = append(a.clamd, o)
		if (o == a.polyclam) == (d.deviation == "") {
			return a
		}
	}
	return a
}

// judge checks the answers.
func judge(t *testing.T, d *dialogue, a answers) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	t.Logf("clamd %v", a.clamd[0])
	a.clamd = slices.Compact(a.clamd)
	if d.deviation == "" && !d.open && slices.ContainsFunc(a.clamd, func(o outcome) bool { return strings.HasPrefix(o.end, "open") }) {
		t.Errorf("clamd did not close: %v", a.clamd)
	}
	if selfTest {
		if d.deviation == "" && !slices.Contains(a.clamd, a.polyclam) {
			t.Errorf("clamd is not deterministic:\n%v\n%v", a.clamd, a.polyclam)
		}
		return
	}
	if a.reset {
		t.Errorf("polyclam reset the connection: %v", a.polyclam)
	}
	if d.deviation == "" {
		if !slices.Contains(a.clamd, a.polyclam) {
			t.Errorf("undocumented difference:\nclamd    %v\npolyclam %v", a.clamd, a.polyclam)
		}
		return
	}
	if !slices.Contains(d.want, a.polyclam) {
		t.Errorf("%s: polyclam %v\nwant one of %v\nclamd %v", d.deviation, a.polyclam, d.want, a.clamd)
	}
	if !slices.ContainsFunc(a.clamd, func(o outcome) bool { return !slices.Contains(d.want, o) }) {
		t.Errorf("%s is stale: clamd, too, answered %v", d.deviation, a.clamd[0])
	}
}

// entry is the heading of a deviation in docs/deviations.md.
var entry = regexp.MustCompile(`(?m)^## (D\d+)\b.*$`)

// elsewhere marks an entry that another test shows.
var elsewhere = regexp.MustCompile("(?m)^Shown by `[^`]+`")

// TestDeviationsDocumented checks that docs/deviations.md has an entry for each
// deviation of a dialogue, and that a test shows each entry.
func TestDeviationsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/deviations.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, d := range dialogues(&fixture{t: t, dir: "/F"}) {
		if d.deviation != "" {
			used[d.deviation] = true
		}
	}
	heads := entry.FindAllSubmatchIndex(text, -1)
	documented := map[string]bool{}
	for i, h := range heads {
		id, until := string(text[h[2]:h[3]]), len(text)
		if i+1 < len(heads) {
			until = heads[i+1][0]
		}
		if documented[id] {
			t.Errorf("%s is there twice", id)
		}
		documented[id] = true
		if !used[id] && !elsewhere.Match(text[h[1]:until]) {
			t.Errorf("%s: no dialogue shows it, and the entry does not say what else does", id)
		}
	}
	for id := range used {
		if !documented[id] {
			t.Errorf("docs/deviations.md has no entry %s", id)
		}
	}
}
