package migrate

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// layoutRow is a row of the table in docs/layouts.md: what is in backquotes, by column.
type layoutRow struct {
	system              string
	confs, sockets, how []string
}

func layoutRows(t *testing.T) (rows []layoutRow) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/layouts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "|---|")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || strings.Contains(line, "---") {
			continue
		}
		var columns [][]string
		for _, cell := range cells[2:5] {
			var texts []string
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				texts = append(texts, m[1])
			}
			columns = append(columns, texts)
		}
		rows = append(rows, layoutRow{strings.TrimSpace(cells[1]), columns[0], columns[1], columns[2]})
	}
	if len(rows) < 6 {
		t.Fatalf("the table of docs/layouts.md has the rows %v", rows)
	}
	return rows
}

// TestLayoutPage wants the paths in docs/layouts.md to be those that init looks at.
func TestLayoutPage(t *testing.T) {
	var confs, sockets, wantConfs, wantSockets []string
	for _, r := range layoutRows(t) {
		confs, sockets = append(confs, r.confs...), append(sockets, r.sockets...)
	}
	for _, f := range confFiles {
		wantConfs = append(wantConfs, f.path)
	}
	for _, s := range config.ClamdSockets {
		if run, ok := strings.CutPrefix(s, "/var/run/"); ok {
			s = "/run/" + run
		}
		wantSockets = append(wantSockets, s)
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{{"clamd.conf", confs, wantConfs}, {"socket", sockets, wantSockets}} {
		if got, want := set(c.got), set(c.want); !slices.Equal(got, want) {
			t.Errorf("%s: docs/layouts.md has\n%s\ninit knows\n%s", c.what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func set(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// TestLayoutRows makes a machine of each row of docs/layouts.md, and wants init to find
// its clamd, and what starts it.
func TestLayoutRows(t *testing.T) {
	for _, r := range layoutRows(t) {
		for _, conf := range r.confs {
			t.Run(r.system+" "+conf, func(t *testing.T) {
				start := r.how[0]
				files := []string{conf[1:], "LocalSocket " + r.sockets[0] + "\n"}
				if isUnit := !strings.HasPrefix(start, "/"); isUnit {
					name, instance, template := strings.Cut(start, "@")
					if template {
						start = name + "@.service"
						if want := strings.TrimSuffix(path.Base(conf), ".conf") + ".service"; instance != want {
							t.Errorf("the instance is %s, want %s", instance, want)
						}
					}
					files = append(files, "usr/lib/systemd/system/"+start, "[Service]\nExecStart=/usr/sbin/clamd\n")
				} else {
					files = append(files, start[1:], "#!/sbin/openrc-run\n")
				}
				m := look(t, Options{Root: tree(t, "", files...)})
				if m.clamd == nil || m.clamd.conf.path != conf || m.clamd.listeners[0].address != "unix:"+r.sockets[0] {
					t.Fatalf("found %v", m.Rows())
				}
				if steps := m.Steps(StepsOptions{Output: "/etc/polyclam/config.toml", Moved: true}); !strings.Contains(steps, r.how[0]) {
					t.Errorf("the steps do not mention %s:\n%s", r.how[0], steps)
				}
			})
		}
	}
}
