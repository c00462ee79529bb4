package migrate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, dir, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func move(t *testing.T, dir string) string {
	t.Helper()
	done, err := look(t, Options{Root: dir}).MoveClamd()
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestMoveClamd(t *testing.T) {
	const conf = "# clamd\nLocalSocket \"/run/c/s.ctl\"\n\tTCPSocket 3310\nTCPAddr 127.0.0.1\nTCPAddr ::1\nUser clamav\n#LocalSocket /x\nLocalSocket /second\nLogTime yes"
	dir := tree(t, "", "etc/clamd.d/scan.conf", conf, "etc/clamd.conf", "->clamd.d/scan.conf")
	file := filepath.Join(dir, "etc/clamd.d/scan.conf")
	if err := os.Chmod(file, 0o440); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(file, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	wantParts(t, move(t, dir), "wrote /etc/clamd.d/scan-engine.conf")
	if got := read(t, dir, "etc/clamd.d/scan.conf"); got != conf {
		t.Errorf("clamd.conf is changed:\n%s", got)
	}
	got := read(t, dir, "etc/clamd.d/scan-engine.conf")
	want := "# clamd\nLocalSocket /run/c/s-engine.ctl\n#\tTCPSocket 3310\n#TCPAddr 127.0.0.1\n#TCPAddr ::1\nUser clamav\n#LocalSocket /x\n#LocalSocket /second\nLogTime yes"
	if !strings.HasSuffix(got, "\n"+want) || !strings.HasPrefix(got, engineConfHead) {
		t.Errorf("the engine's:\n%s\nwant at its end\n%s", got, want)
	}
	was, _ := os.Stat(file)
	is, err := os.Stat(filepath.Join(dir, "etc/clamd.d/scan-engine.conf"))
	if err != nil || Like(was) != Like(is) {
		t.Errorf("access %+v, want %+v", Like(is), Like(was))
	}
	wantParts(t, move(t, dir), "is already up to date")

	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(conf+"\nMaxThreads 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantParts(t, move(t, dir), "the old one is scan-engine.conf.bak")
	if read(t, dir, "etc/clamd.d/scan-engine.conf.bak") != got {
		t.Error("the backup is not what was there")
	}
	wantParts(t, read(t, dir, "etc/clamd.d/scan-engine.conf"), "MaxThreads 3")
	left, _ := filepath.Glob(filepath.Join(dir, "etc/clamd.d/.*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMovePort(t *testing.T) {
	dir := tree(t, "", "etc/clamd.conf", "TCPSocket 3310\nTCPAddr 192.0.2.1\n")
	move(t, dir)
	wantParts(t, read(t, dir, "etc/clamd-engine.conf"), "\nTCPSocket 3311\nTCPAddr 127.0.0.1\n#TCPAddr 192.0.2.1\n")
}

func TestMoveRefused(t *testing.T) {
	for name, files := range map[string][]string{
		"ends in CR LF":                   {"etc/clamd.conf", "LocalSocket /a\r\n"},
		"was not written by polyclam":     {"etc/clamd.conf", "LocalSocket /a\n", "etc/clamd-engine.conf", "LocalSocket /b\n"},
		"there is no clamd.conf, so noth": nil,
	} {
		dir := tree(t, "", files...)
		_, err := look(t, Options{Root: dir}).MoveClamd()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
	dir := tree(t, "", "etc/clamd.conf", "LocalSocket /a-engine\n")
	wantParts(t, move(t, dir), "already has clamd's new address")
	if _, err := os.Stat(filepath.Join(dir, "etc/clamd-engine.conf")); err == nil {
		t.Error("clamd was moved twice")
	}
}

// TestMigrated inspects a machine before and after the migration.
func TestMigrated(t *testing.T) {
	const conf = "LocalSocket /run/c/s.ctl\nTCPSocket 3310\n"
	for name, c := range map[string]struct {
		conf     string // clamd.conf at the second look
		migrated bool
	}{
		"as written":      {conf, true},
		"edited by hand":  {"LocalSocket /run/c/s-engine.ctl\n", true},
		"somewhere else":  {"LocalSocket /run/other.ctl\n", false},
		"the port is new": {"TCPSocket 3310\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, "", "etc/clamd.conf", conf)
			config := filepath.Join(dir, "config.toml")
			m := look(t, Options{Root: dir, Config: config})
			if why := m.Migrated(); why != "" {
				t.Errorf("at first: %s", why)
			}
			text := configOf(t, m)
			if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "etc/clamd.conf"), []byte(c.conf), 0o644); err != nil {
				t.Fatal(err)
			}
			m = look(t, Options{Root: dir, Config: config})
			if why := m.Migrated(); (why != "") != c.migrated {
				t.Errorf("migrated: %q, want %v", why, c.migrated)
			}
			wantParts(t, configOf(t, m), "!-engine-engine")
		})
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	steps := []struct {
		data    string
		replace bool
		backup  string
		err     error
	}{
		{"one", false, "", nil},
		{"one", false, "", fs.ErrExist},
		{"one", true, "", ErrSame},
		{"two", false, "", fs.ErrExist},
		{"two", true, "f.bak", nil},
		{"three", true, "f.bak2", nil},
	}
	for i, s := range steps {
		before, _ := os.ReadFile(path)
		backup, err := WriteFile(path, []byte(s.data), Plain, s.replace)
		if !errors.Is(err, s.err) || s.backup != "" && backup != filepath.Join(dir, s.backup) || s.backup == "" && backup != "" {
			t.Errorf("step %d: %q, %v", i, backup, err)
		}
		want := s.data
		if s.err != nil {
			want = string(before)
		}
		if got := read(t, dir, "f"); got != want {
			t.Errorf("step %d: the file has %q, want %q", i, got, want)
		}
		if s.backup != "" && read(t, dir, s.backup) != string(before) {
			t.Errorf("step %d: the backup is not what was there", i)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Symlink("f", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteFile(filepath.Join(dir, "link"), []byte("x"), Plain, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a link: %v", err)
	}
	if _, err := WriteFile(filepath.Join(dir, "link"), []byte("x"), Plain, true); err != nil || read(t, dir, "f") != "x" {
		t.Errorf("through a link: %v", err)
	}
	if _, err := WriteFile(filepath.Join(dir, "no", "f"), nil, Plain, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in no directory: %v", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 5 { // the file, three backups, the link
		t.Errorf("left behind: %v", entries)
	}
}
