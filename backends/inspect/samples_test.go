package inspect

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"polyclam/backends"
)

// samples maps the files of testdata to the details that they must give.
var samples = map[string]string{
	"zipcrypto.zip":          `member "hello.txt" in zip: ZipCrypto`,
	"zipcrypto-streamed.zip": `member "-" in zip: ZipCrypto`,
	"aes256.zip":             `member "hello.txt" in zip: AES`,
	"aes128.zip":             `member "hello.txt" in zip: AES`,
	"7z-zipcrypto.zip":       `member "hello.txt" in zip: ZipCrypto`,
	"plain.zip":              "",
	"plain-streamed.zip":     "",
	"mixed.zip":              `member "hello.txt" in zip: ZipCrypto`,
	"nested.zip":             `member "aes256.zip" in zip: member "hello.txt" in zip: AES`,
	"sfx.zip":                `member "hello.txt" in zip: ZipCrypto`,
	"sfx-adjusted.zip":       `member "hello.txt" in zip: ZipCrypto`,
}

func TestSamples(t *testing.T) {
	b := open(t, nil)
	names, err := filepath.Glob("testdata/*.zip")
	if err != nil || len(names) != len(samples) {
		t.Fatalf("%d files, %d expected, %v", len(names), len(samples), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := samples[filepath.Base(name)]
			r := scan(t, b, data)
			if want == "" {
				wantFinding(t, r, backends.OK, "")
				return
			}
			wantFinding(t, r, backends.Encrypted, encryptedZip)
			if r.Detail != want {
				t.Errorf("detail %q, want %q", r.Detail, want)
			}
		})
	}
}

// TestRealPrograms scans archives made by the installed programs.
func TestRealPrograms(t *testing.T) {
	b := open(t, nil)
	for _, c := range []struct {
		argv []string // followed by the names of the archive and the file
		want backends.Category
	}{
		{[]string{"zip", "-q"}, backends.OK},
		{[]string{"zip", "-q", "-0"}, backends.OK},
		{[]string{"zip", "-q", "-fz"}, backends.OK},
		{[]string{"zip", "-q", "-P", "secret"}, backends.Encrypted},
		{[]string{"zip", "-q", "-0", "-P", "secret"}, backends.Encrypted},
		{[]string{"zip", "-q", "-fz", "-P", "secret"}, backends.Encrypted},
		{[]string{"7z", "a", "-tzip"}, backends.OK},
		{[]string{"7z", "a", "-tzip", "-mm=LZMA"}, backends.OK},
		{[]string{"7z", "a", "-tzip", "-psecret"}, backends.Encrypted},
		{[]string{"7z", "a", "-tzip", "-mm=LZMA", "-mem=AES256", "-psecret"}, backends.Encrypted},
	} {
		t.Run(filepath.Join(c.argv...), func(t *testing.T) {
			program, err := exec.LookPath(c.argv[0])
			if err != nil {
				t.Skip(err)
			}
			archive := filepath.Join(t.TempDir(), "a.zip")
			argv := append(c.argv[1:len(c.argv):len(c.argv)], archive, "inspect.go")
			if out, err := exec.Command(program, argv...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			data, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			if r := scan(t, b, data); r.Category != c.want {
				t.Errorf("%+v, want %v", r, c.want)
			}
		})
	}
}
