package clients

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A cell is what a client concluded in one case.
type cell struct {
	polyclam finding
	bare     finding // with clamd alone; empty where clamd cannot produce the case
}

// A row is what one client concluded in all cases.
type row struct {
	client client
	cells  map[string]cell
}

// check compares the row with the expected outcomes and with clamd. It fails for a cell
// that passes an unscanned object without being marked.
func (r row) check(t *testing.T) {
	t.Helper()
	c := r.client
	for _, k := range cases {
		cell := r.cells[k.name]
		got, want := cell.polyclam, c.want(k.name)
		if got.outcome != want {
			t.Errorf("%s: %s (%s), want %s", k.name, got.outcome, got.text, want)
		}
		if got.outcome == infected && !strings.Contains(strings.ToLower(got.text), "eicar") && !c.known(k.name) {
			t.Errorf("%s: the client named %q, want the name of the virus in it", k.name, got.text)
		}
		if unscanned := got.outcome == clean && !scanned[k.name]; unscanned != (c.why(k.name) != "") {
			t.Errorf("%s: %s (%s), marked as let through without a scan: %q", k.name, got.outcome, got.text, c.why(k.name))
		}
		if differs := k.clamd && got.outcome != cell.bare.outcome; differs != (c.differs[k.name] != "") {
			t.Errorf("%s: %s (%s), with clamd %s (%s); the reason given for a difference is %q",
				k.name, got.outcome, got.text, cell.bare.outcome, cell.bare.text, c.differs[k.name])
		}
	}
	for _, named := range []map[string]string{c.open, c.differs} {
		for name := range named {
			if usual[name] == "" {
				t.Errorf("no case is called %q", name)
			}
		}
	}
}

// want is the outcome the client must reach.
func (c client) want(name string) outcome {
	if o, ok := c.but[name]; ok {
		return o
	}
	return usual[name]
}

// known reports whether the row sets its own outcome for the case: held as infected,
// for example, because the profile answers failures with FOUND.
func (c client) known(name string) bool { return c.but[name] == infected }

// why is the reason why the client may pass an unscanned object in a case.
func (c client) why(name string) string {
	if why, ok := c.open[name]; ok {
		return why
	}
	if name == caseEncrypted && c.want(name) == clean {
		return "the default action of encrypted is ok"
	}
	return ""
}

// A table collects rows. It is safe for concurrent use.
type table struct {
	mu   sync.Mutex
	rows []row
}

func (tb *table) add(r row) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.rows = append(tb.rows, r)
}

// print prints the table in the order of all, then the marks and counts.
func (tb *table) print(t *testing.T) {
	order := map[string]int{}
	for i, c := range all() {
		order[c.name] = i
	}
	slices.SortFunc(tb.rows, func(a, b row) int { return order[a.client.name] - order[b.client.name] })
	head := fmt.Sprintf("%-34s", "client")
	for _, k := range cases {
		head += fmt.Sprintf(" | %-17s", k.name)
	}
	t.Logf("table: %s", strings.TrimRight(head, " "))
	marks, counts, open := []string{}, map[outcome]int{}, 0
	for _, r := range tb.rows {
		line := fmt.Sprintf("%-34s", r.client.name)
		for _, k := range cases {
			cell := r.cells[k.name]
			text := string(cell.polyclam.outcome)
			counts[cell.polyclam.outcome]++
			if why := r.client.why(k.name); why != "" {
				open++
				marks = unique(append(marks, why))
				text += fmt.Sprintf(" [%d]", indexOf(marks, why))
			}
			if r.client.differs[k.name] != "" {
				text += fmt.Sprintf(" (%s)", cell.bare.outcome)
			}
			line += fmt.Sprintf(" | %-17s", text)
		}
		t.Logf("table: %s", strings.TrimRight(line, " "))
	}
	for i, why := range marks {
		t.Logf("table: [%d] let through without a scan: %s", i+1, why)
	}
	tb.printDifferences(t)
	var parts []string
	for _, o := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[o], o))
	}
	t.Logf("count: %d clients, %d cells: %s; %d let through without a scan, all of them marked",
		len(tb.rows), len(tb.rows)*len(cases), strings.Join(parts, ", "), open)
}

// printDifferences gives the reasons for outcomes that clamd alone has differently, in
// brackets.
func (tb *table) printDifferences(t *testing.T) {
	for _, r := range tb.rows {
		for _, k := range cases {
			if why := r.client.differs[k.name]; why != "" {
				t.Logf("table: %s, %s: %s; with clamd %s: %s", r.client.name, k.name,
					r.cells[k.name].polyclam.outcome, r.cells[k.name].bare.outcome, why)
			}
		}
	}
}

// unique removes repetitions and keeps the first of each.
func unique(list []string) []string {
	var once []string
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// indexOf counts from 1.
func indexOf(list []string, s string) int { return slices.Index(list, s) + 1 }
