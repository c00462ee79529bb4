package packaging

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// root is the top of the repository.
const root = "../.."

// run runs a program in dir and returns what it printed.
func run(t testing.TB, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", program, args, err, out, errs.String())
	}
	return string(out)
}

// packagingTool returns the path of a tool that packages are made with.
func packagingTool(t testing.TB, name string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(root, "contrib/packaging/tool"), name).Output()
	if err != nil {
		clamdtest.NotTested(t, "the packages: "+name+" cannot be built here: "+err.Error())
	}
	return strings.TrimSpace(string(out))
}

// copyTree copies the sources to a new directory, without what was built.
func copyTree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case slices.Contains([]string{".git", "bin", "dist", "node_modules"}, d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), data, info.Mode().Perm()&^0o077)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// files lists the files below dir with their modes.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		name, _ := filepath.Rel(dir, path)
		all = append(all, info.Mode().String()+" /"+name)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all
}

// isPage reports whether a line of a list is a page of the manual. Those come and go.
func isPage(line string) bool { return strings.Contains(line, "/share/doc/polyclam/docs/") }
