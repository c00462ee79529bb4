package live

import "polyclam/test/testkit"

// StartMIMEDefang starts Debian's MIMEDefang with Debian's filter, which asks the daemon at
// a socket. clamd's user is in its group, and the group may read its spool. The result is
// for [Machine.StartPostfix].
func (m *Machine) StartMIMEDefang(socket string) []string {
	m.t.Helper()
	m.Sh(`adduser --quiet clamav defang
cat >>/etc/default/mimedefang <<'END'
SOCKET=inet:10047@127.0.0.1
MD_ALLOW_GROUP_ACCESS=yes
END
cat >/etc/mail/mimedefang.pl.conf <<'END'
$Features{'Virus:CLAMD'} = 1;
$ClamdSock = '` + socket + `';
1;
END
systemctl start mimedefang.service`)
	testkit.Eventually(m.t, "MIMEDefang has idle workers", func() bool {
		return m.enter("", "md-mx-ctrl", "-s", "/var/spool/MIMEDefang/mimedefang-multiplexor.sock", "rawstatus").Status == 0
	})
	return []string{"smtpd_milters=inet:127.0.0.1:10047"}
}
