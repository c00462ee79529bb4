package command

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

// realCase is an object and the expected category.
type realCase struct {
	name string
	data []byte
	want backends.Category
}

func realCases() []realCase {
	return []realCase{
		{"clean", []byte("Nothing to see here.\n"), backends.OK},
		{"empty", nil, backends.OK},
		{"EICAR", testfile.EICAR(), backends.Virus},
		{"EICAR in a ZIP", zipOf(testfile.EICAR(), "eicar.com"), backends.Virus},
		{"encrypted ZIP", testfile.Encrypted(), backends.Encrypted},
		{"EICAR beside an encrypted member", mixedZip(), backends.Virus},
		{"PDF with nothing in it", []byte("%PDF-1.4\n%%EOF\n"), backends.OK},
	}
}

// wantReal scans the cases and logs a table of the results.
func wantReal(t *testing.T, engine string, b backends.Backend, cases []realCase) {
	t.Helper()
	for _, c := range cases {
		r, err := b.Scan(t.Context(), readable(t, c.data))
		got := outcomeOf(r, err)
		t.Logf("table: %-10s %-34s expected %-10s got %-10s %d %v", engine, c.name, c.want, got, r.Code, r.Findings)
		if got != c.want {
			t.Errorf("%s, %s: %v, want %v: %+v, %v", engine, c.name, got, c.want, r, err)
		}
	}
	v, err := b.(backends.Versioner).Version(t.Context())
	t.Logf("table: %-10s version %q, database %q of %v", engine, v.Engine, v.Database, v.DatabaseTime)
	if err != nil || v.Engine == "" {
		t.Errorf("%s: %+v, %v", engine, v, err)
	}
}

// readable returns an object whose file every user can read.
func readable(t *testing.T, data []byte) backends.Object {
	t.Helper()
	path := filepath.Join(clamdtest.Dir(t, ""), "polyclam-X")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return at{backendtest.Bytes(t, data), path, nil}
}

func TestRealClamscan(t *testing.T) {
	clamscan := clamdtest.RequireProgram(t, "clamscan")
	d := clamdtest.Start(t, clamdtest.Options{}) // for its database
	db := filepath.Join(d.Dir, "db")
	for _, how := range []string{copyNone, copyLink, copyFull} {
		b := open(t, func(c *Config) {
			preset("clamscan", clamscan)(c)
			c.ExtraArgs, c.Copy = []string{"--database=" + db}, how
		})
		wantReal(t, "clamscan", b, append(realCases(),
			realCase{"more files than it scans", manyZip(), backends.OK}))
	}
	limited := open(t, func(c *Config) {
		preset("clamscan", clamscan)(c)
		c.ExtraArgs = []string{"--database=" + db, "--max-files=5"}
	})
	wantReal(t, "clamscan", limited, []realCase{{"over --max-files", manyZip(), backends.Partial}})
	blind := open(t, func(c *Config) {
		preset("clamscan", clamscan)(c)
		c.ExtraArgs = []string{"--database=/nonexistent"}
	})
	if r, err := blind.Scan(t.Context(), readable(t, nil)); outcomeOf(r, err) != backends.SWErr {
		t.Errorf("without a database: %+v, %v", r, err)
	}
}

// TestRealConformance runs the suite with a real program.
func TestRealConformance(t *testing.T) {
	clamscan := clamdtest.RequireProgram(t, "clamscan")
	d := clamdtest.Start(t, clamdtest.Options{})
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, func(c *Config) {
			preset("clamscan", clamscan)(c)
			c.ExtraArgs = []string{"--database=" + filepath.Join(d.Dir, "db")}
		})
	}, backendtest.Options{Encrypted: true, Large: 4 << 20, Parallel: 6})
}

func TestRealClamdscan(t *testing.T) {
	clamdscan := clamdtest.RequireProgram(t, "clamdscan")
	d := clamdtest.Start(t, clamdtest.Options{Conf: []string{"AlertEncrypted yes"}})
	b := open(t, func(c *Config) {
		preset("clamdscan", clamdscan)(c)
		c.ExtraArgs = []string{"--config-file=" + d.Conf}
	})
	wantReal(t, "clamdscan", b, realCases())
	d.Kill()
	if r, err := b.Scan(t.Context(), readable(t, nil)); outcomeOf(r, err) != backends.CannotExecute {
		t.Errorf("clamd is gone: %+v, %v", r, err)
	}
}

const rules = `
rule EICAR_Test : test malware { strings: $a = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE" condition: $a }
rule Zip_Encrypted : encrypted { condition: uint32(0) == 0x04034b50 and uint16(6) & 1 == 1 }
rule Macro : suspicious { strings: $a = "AutoOpen" condition: $a }
rule Untagged { strings: $a = "untagged" condition: $a }
`

func TestRealYara(t *testing.T) {
	yara := clamdtest.RequireProgram(t, "yara")
	file := filepath.Join(t.TempDir(), "rules.yar")
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	with := func(file string) backends.Backend {
		return open(t, func(c *Config) {
			c.Preset, c.Argv = "yara", []string{yara, "-w", "-g", file, placeholder}
		})
	}
	wantReal(t, "yara", with(file), []realCase{
		{"clean", []byte("Nothing to see here.\n"), backends.OK},
		{"empty", nil, backends.OK},
		{"EICAR", testfile.EICAR(), backends.Virus},
		{"EICAR in a ZIP, compressed", deflatedZip(), backends.OK}, // it does not unpack
		{"encrypted ZIP", testfile.Encrypted(), backends.Encrypted},
		{"tag suspicious", []byte("Sub AutoOpen()"), backends.Suspicious},
		{"no tag", []byte("untagged"), backends.Virus},
		{"encrypted and EICAR", append(testfile.Encrypted(), testfile.EICAR()...), backends.Virus},
	})
	for name, text := range map[string]string{"bad.yar": "rule bad { condition: foo }", "missing.yar": ""} {
		file := filepath.Join(t.TempDir(), name)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := with(file).Scan(t.Context(), readable(t, testfile.EICAR())); outcomeOf(r, err) != backends.SWErr {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
