package packaging

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// TestPackages builds both packages twice, in different directories and with different
// permissions, time zones and locales, and looks at what is in them.
func TestPackages(t *testing.T) {
	t.Setenv("NFPM", packagingTool(t, "nfpm"))
	t.Setenv("CYCLONEDX", packagingTool(t, "cyclonedx-gomod"))
	clamdtest.RequireProgram(t, "ar")
	first, second := t.TempDir(), t.TempDir()
	build(t, root, first)
	t.Setenv("TZ", "Asia/Tokyo")
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	build(t, copyTree(t), second)
	for _, name := range []string{"polyclam_1.2.3_amd64.deb", "polyclam_1.2.3_amd64.rpm", "polyclam_1.2.3_amd64.cdx.json", "polyclamd_1.2.3_amd64.cdx.json"} {
		a, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("two builds of %s differ", name)
		}
	}
	t.Run("deb", func(t *testing.T) { testDeb(t, filepath.Join(first, "polyclam_1.2.3_amd64.deb")) })
	t.Run("rpm", func(t *testing.T) { testRPM(t, filepath.Join(first, "polyclam_1.2.3_amd64.rpm")) })
}

func build(t *testing.T, dir, dist string) {
	t.Helper()
	run(t, dir, "make", "-s", "deb", "rpm", "DIST="+dist, "VERSION=1.2.3", "COMMIT=c0ffee", "TIME=1795837168")
}

func testDeb(t *testing.T, deb string) {
	clamdtest.RequireProgram(t, "dpkg-deb")
	var list []string
	for line := range strings.Lines(run(t, ".", "dpkg-deb", "--contents", deb)) {
		f := strings.Fields(line) // mode, owner, size, date, time, name
		if name := strings.TrimPrefix(f[5], "."); !isPage(name) {
			list = append(list, f[0]+" "+f[1]+" "+name+"\n")
		}
	}
	testkit.Golden(t, "testdata/deb.golden", []byte(strings.Join(list, "")))
	if control := run(t, ".", "dpkg-deb", "--info", deb); strings.Contains(control, "conffiles") {
		t.Errorf("conffiles in\n%s\nwant none", control)
	}
	for field, want := range map[string]string{"Package": "polyclam", "Version": "1.2.3-1", "Architecture": "amd64", "Depends": "passwd"} {
		if got := strings.TrimSpace(run(t, ".", "dpkg-deb", "--field", deb, field)); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
	dir := t.TempDir()
	run(t, ".", "dpkg-deb", "--raw-extract", deb, dir)
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		run(t, dir, "sh", "-n", "DEBIAN/"+script)
	}
	testPrograms(t, filepath.Join(dir, "usr/bin"))
	testModules(t, dir, filepath.Dir(deb))
	clamdtest.RequireProgram(t, "lintian")
	run(t, ".", "lintian", "--allow-root", "--fail-on=error,warning", deb)
}

// testPrograms checks that the programs are static, and what they report as their version.
func testPrograms(t *testing.T, dir string) {
	t.Helper()
	for program, args := range map[string]string{"polyclamd": "--version", "polyclam": "version"} {
		path := filepath.Join(dir, program)
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
			t.Errorf("%s needs %q", program, libraries)
		}
		if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s is not static", program)
		}
		if f.Section(".debug_info") != nil || f.Section(".symtab") != nil {
			t.Errorf("%s has symbols", program)
		}
		want := program + " 1.2.3 (commit c0ffee, 2026-11-28T03:39:28Z, go"
		if got := run(t, ".", path, args); !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s...", got, want)
		}
	}
}

func testRPM(t *testing.T, rpm string) {
	clamdtest.RequireProgram(t, "rpm")
	var list []string
	for line := range strings.Lines(run(t, ".", "rpm", "-qp", "--qf", `[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]`, rpm)) {
		if !isPage(line) {
			list = append(list, line)
		}
	}
	testkit.Golden(t, "testdata/rpm.golden", []byte(strings.Join(list, "")))
	const want = "polyclam 1.2.3 1 x86_64 localhost"
	if got := run(t, ".", "rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{RELEASE} %{ARCH} %{BUILDHOST}", rpm); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	scripts := run(t, ".", "rpm", "-qp", "--scripts", rpm)
	for _, part := range []string{"postinstall scriptlet", "preuninstall scriptlet", "postuninstall scriptlet"} {
		if !strings.Contains(scripts, part) {
			t.Errorf("no %s", part)
		}
	}
}
