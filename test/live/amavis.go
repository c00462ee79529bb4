package live

// StartAmavis starts Debian's amavis with virus checks, as the filter after Postfix's queue
// (content_filter). It asks clamd as Debian's file 15-av_scanners does. The result is for
// [Machine.StartPostfix].
func (m *Machine) StartAmavis() []string {
	m.t.Helper()
	m.Sh(`adduser --quiet clamav amavis
cat >/etc/amavis/conf.d/50-user <<'END'
use strict;
$myhostname = 'mail.example';
@bypass_virus_checks_maps = (\%bypass_virus_checks, \@bypass_virus_checks_acl, \$bypass_virus_checks_re);
@bypass_spam_checks_maps = @bypass_banned_checks_maps = @bypass_header_checks_maps = (1);
@av_scanners = (['ClamAV-clamd', \&ask_daemon, ["CONTSCAN {}\n", "` + ClamdSocket + `"],
   qr/\bOK$/m, qr/\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@av_scanners_backup = ();
$virus_scanners_failure_is_fatal = 1;
$max_servers = 2;
1;
END
cat >>/etc/postfix/master.cf <<'END'
amavis unix - - n - 2 smtp -o smtp_send_xforward_command=yes
127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o smtpd_milters= -o mynetworks=127.0.0.0/8
END
systemctl start amavis.service`)
	m.WaitListen("127.0.0.1:10024")
	// What amavis defers comes back soon.
	return []string{"content_filter=amavis:[127.0.0.1]:10024", "minimal_backoff_time=2s", "maximal_backoff_time=2s", "queue_run_delay=2s"}
}
