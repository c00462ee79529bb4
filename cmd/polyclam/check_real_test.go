package main

import (
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// TestCheckRealClamd has a real clamd with settings that make it report OK for unscanned
// objects.
func TestCheckRealClamd(t *testing.T) {
	clamdtest.Require(t)
	for _, c := range []struct {
		name   string
		conf   []string
		status int
		want   []string
		not    string
	}{
		{"harmless", []string{"AlertEncrypted yes"}, exitOK, []string{" 20 MiB "}, "clamd.conf"},
		{"precedence", []string{"AlertEncrypted yes", "HeuristicScanPrecedence yes"}, exitOK, []string{" 20 MiB ", "set HeuristicScanPrecedence no in clamd.conf"}, "MaxFileSize"},
		{"small files", []string{"AlertEncrypted yes", "MaxFileSize 5M"}, exitPartial, []string{" 5 MiB of 20 MiB ", "set MaxFileSize to at least 20M", "or set max_size = \"5MiB\" here"}, "Precedence"},
		{"small files with an alert", []string{"AlertEncrypted yes", "MaxFileSize 5M", "AlertExceedsMax yes"}, exitOK, []string{"an object of 20 MiB is partial (Heuristics.Limits.Exceeded.MaxFileSize)"}, "says OK"},
		{"no mails", []string{"AlertEncrypted yes", "ScanMail no"}, exitOK, []string{"EICAR in a mail is ok: it does not look into mails: set ScanMail yes in clamd.conf"}, "MaxFileSize"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clamd := clamdtest.Start(t, clamdtest.Options{Conf: c.conf, HideLog: true})
			r := polyclam(t, files(t, "c.toml", anyListener+engineTable("clamav", "unix:"+clamd.Socket, "max_size = \"20MiB\"")), "check", "c.toml")
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.want...)
			if strings.Contains(r.stdout, c.not) {
				t.Errorf("got\n%s\nwant no %s in it", r.stdout, c.not)
			}
		})
	}
}

// TestCheckFullClamd has a clamd whose temporary directory is full.
func TestCheckFullClamd(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{TempSize: "256k", HideLog: true})
	dir := files(t, "c.toml", anyListener+engineTable("clamav", "unix:"+clamd.Socket, ""))
	polyclam(t, dir, "check", "--size-check=false", "c.toml").wantStatus(t, exitOK)
	clamd.Fill()
	r := polyclam(t, dir, "check", "c.toml")
	r.wantStatus(t, exitFound)
	wantParts(t, r.stdout, "is not scanned: Can't write to file (check TemporaryDirectory in clamd.conf: its free space and its owner); it may report OK for a virus in a mail, and polyclamd will not use the engine\n")
}
