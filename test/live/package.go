package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// packageVersion is the version of the package that the tests build.
const packageVersion = "0.0.1~live"

// deb builds the Debian package once for the test process, or takes the one that
// POLYCLAM_DEB names.
var deb = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("POLYCLAM_DEB"); path != "" {
		return path, nil
	}
	out, err := exec.Command("make", "-s", "-C", "../..", "deb", "VERSION="+packageVersion).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make deb: %w\n%s", err, out)
	}
	paths, err := filepath.Glob("../../dist/polyclam_" + packageVersion + "_*.deb")
	if err != nil || len(paths) != 1 {
		return "", fmt.Errorf("make deb left %q: %v\n%s", paths, err, out)
	}
	return paths[0], nil
})

// PutPackage copies the Debian package into the machine and returns its path there.
func (m *Machine) PutPackage() string {
	m.t.Helper()
	path, err := deb()
	if err != nil {
		m.t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	const at = "/root/polyclam.deb"
	m.Put(at, string(data), 0o644)
	return at
}

// Newer makes a package with the same files and a higher version from one in the machine,
// and returns its path there.
func (m *Machine) Newer(path string) string {
	m.t.Helper()
	newer := strings.TrimSuffix(path, ".deb") + "-newer.deb"
	m.Sh(`dir=$(mktemp -d)
dpkg-deb -R ` + path + ` "$dir"
sed -i 's/^Version: .*/&+newer/' "$dir/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$dir" ` + newer + ` >/dev/null
rm -r "$dir"`)
	return newer
}
