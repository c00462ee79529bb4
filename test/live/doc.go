// Package live boots a real systemd and does in it what an administrator does.
//
// [Start] gives a test a machine: systemd-nspawn boots an overlay of this machine's root
// file system, with its packages but without its services, its temporary files and its
// network. A test configures Debian's daemons in it, runs commands ([Machine.Run]), reads
// the journal ([Machine.Journal]) and reaches sockets and loopback ports ([Machine.Dial]).
// A [Steady] client scans all the time, and a [MailFlow] sends mails; both record the
// results.
//
// Every run of all tests migrates MIMEDefang's host, breaks clamd, and kills and restarts
// polyclamd. POLYCLAM_LIVE=all, which make live sets, adds amavis, rspamd, a second engine,
// and what takes a minute. POLYCLAM_DEB names a package, so that none is built.
//
// It needs root and the Debian package systemd-container. Mounts are in a mount
// namespace, and all processes in a PID namespace: when the test process ends, however it
// ends, the kernel removes both.
package live
