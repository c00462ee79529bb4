package live

import (
	"fmt"
	"strings"

	"polyclam/test/testkit"
)

// PolyclamSocket is where polyclam listens if it does not take clamd's place.
const PolyclamSocket = "/run/polyclam/clamd.sock"

// InstallPolyclam installs the package, and a configuration. groups are of polyclam's user.
// Nothing is started.
func (m *Machine) InstallPolyclam(config string, groups ...string) {
	m.t.Helper()
	m.Put("/etc/polyclam/config.toml", config, 0o644)
	m.Put("/etc/systemd/system/polyclamd.service.d/groups.conf", "[Service]\nSupplementaryGroups="+strings.Join(groups, " ")+"\n", 0o644)
	m.Sh("dpkg -i " + m.PutPackage())
}

// StartPolyclam starts the installed polyclam with its socket, and waits until it answers.
func (m *Machine) StartPolyclam() {
	m.t.Helper()
	m.Sh("systemctl start polyclamd.socket polyclamd.service")
	m.WaitPong(PolyclamSocket)
}

// WaitStatus waits until polyclam status has an exit status.
func (m *Machine) WaitStatus(want int) (last Result) {
	m.t.Helper()
	defer func() {
		if last.Status != want {
			m.t.Logf("polyclam status: %v", last)
		}
	}()
	testkit.Eventually(m.t, fmt.Sprintf("polyclam status exits with %d", want), func() bool {
		last = m.Run("polyclam", "status")
		return last.Status == want
	})
	return last
}
