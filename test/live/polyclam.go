package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// PolyclamSocket is where polyclam listens if it does not take clamd's place.
const PolyclamSocket = "/run/polyclam/clamd.sock"

// programsDir is where programs put them, for [Main] to remove.
var programsDir string

// programs builds polyclam's programs once for the test process, and says where they are.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", prefix+fmt.Sprint(os.Getpid())+"-")
	if err != nil {
		return "", err
	}
	programsDir = dir
	cmd := exec.Command("go", "build", "-o", dir+"/", "polyclam/cmd/polyclamd", "polyclam/cmd/polyclam")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// Main runs the tests of the package, and then removes what they built.
func Main(m *testing.M) int {
	status := m.Run()
	if programsDir != "" {
		os.RemoveAll(programsDir)
	}
	return status
}

// InstallByHand installs polyclam without a package: programs, user, and the units of
// contrib/systemd, with a configuration. groups are of the user. Nothing is started.
func (m *Machine) InstallByHand(config string, groups ...string) {
	m.t.Helper()
	dir, err := programs()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, file := range []struct {
		from, to string
		mode     os.FileMode
	}{
		{filepath.Join(dir, "polyclamd"), "/usr/bin/polyclamd", 0o755},
		{filepath.Join(dir, "polyclam"), "/usr/bin/polyclam", 0o755},
		{"../../contrib/systemd/polyclamd.service", "/usr/lib/systemd/system/polyclamd.service", 0o644},
		{"../../contrib/systemd/polyclamd.socket", "/usr/lib/systemd/system/polyclamd.socket", 0o644},
	} {
		data, err := os.ReadFile(file.from)
		if err != nil {
			m.t.Fatal(err)
		}
		m.Put(file.to, string(data), file.mode)
	}
	m.Put("/etc/polyclam/config.toml", config, 0o644)
	if len(groups) > 0 {
		m.Put("/etc/systemd/system/polyclamd.service.d/groups.conf", "[Service]\nSupplementaryGroups="+strings.Join(groups, " ")+"\n", 0o644)
	}
	m.Sh("useradd --system --home-dir / --shell /usr/sbin/nologin polyclam\nsystemctl daemon-reload")
}

// StartPolyclam starts the installed polyclam with its socket, and waits until it answers.
func (m *Machine) StartPolyclam() {
	m.t.Helper()
	m.Sh("systemctl start polyclamd.socket polyclamd.service")
	m.WaitPong(PolyclamSocket)
}
