package live

// StartRspamd starts Debian's rspamd as a milter of Debian's Postfix. It asks clamd, and
// rejects mails with a virus. The result is for [Machine.StartPostfix].
func (m *Machine) StartRspamd() []string {
	m.t.Helper()
	m.Put("/etc/rspamd/local.d/antivirus.conf", `clamav {
  type = "clamav";
  symbol = "CLAM_VIRUS";
  servers = "`+ClamdSocket+`";
  scan_mime_parts = false;
}
`, 0o644)
	m.Put("/etc/rspamd/local.d/force_actions.conf", `rules {
  AV_VIRUS { action = "reject"; expression = "CLAM_VIRUS"; message = "This message has a virus"; }
  AV_FAILED { action = "soft reject"; expression = "CLAM_VIRUS_FAIL & !CLAM_VIRUS"; message = "not scanned"; }
}
`, 0o644)
	// The checks that need names, and other scores, are not what is tested.
	m.Put("/etc/rspamd/local.d/options.inc", "filters = \"\";\ndns { nameserver = [\"127.0.0.1\"]; timeout = 0.1s; retransmits = 1; }\nsoft_reject_on_timeout = true;\n", 0o644)
	// Compiling the whole list of top-level domains takes a minute.
	m.Put("/etc/rspamd/override.d/options.inc", "url_tld = \"/etc/rspamd/override.d/tld\";\n", 0o644)
	m.Put("/etc/rspamd/override.d/tld", "example\n", 0o644)
	m.Put("/etc/rspamd/local.d/greylist.conf", "enabled = false;\n", 0o644)
	m.Put("/etc/rspamd/local.d/actions.conf", "reject = 999;\nadd_header = 998;\ngreylist = 997;\n", 0o644)
	m.Put("/etc/rspamd/local.d/worker-proxy.inc", "count = 1;\nupstream \"local\" { default = yes; self_scan = yes; }\n", 0o644)
	m.Sh("systemctl start rspamd.service")
	m.WaitListen("127.0.0.1:11332")
	return []string{"smtpd_milters=inet:127.0.0.1:11332"}
}
