package clamdtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"time"
)

// The version and time of the database that Options.Daily adds. clamd reports them in
// VERSION as "ClamAV 1.4.6/27123/Mon Nov 23 14:20:49 2026", in local time.
const (
	DailyVersion = 27123
	DailyTime    = 1795443649
)

// daily makes the daily.cud of Options.Daily. Without a container named daily clamd has no
// database version to report.
func daily() ([]byte, error) {
	return Container("daily", time.Unix(DailyTime, 0), "Polyclam.Test.Daily:0:*:d1a5d1a5d1a5d1a5d1a5d1a5\n")
}

// Container makes a signature database, "main" or "daily", with body signatures (an ndb),
// of DailyVersion and a time. It is an unsigned container like that of sigtool --unsigned:
// a header of 512 bytes and a tar.gz with an index. clamd accepts it as NAME.cud.
func Container(name string, at time.Time, ndb string) ([]byte, error) {
	made := at.UTC().Format("02 Jan 2006 15-04 -0700")
	head := fmt.Sprintf("ClamAV-VDB:%s:%d:1:90", made, DailyVersion)
	list := fmt.Sprintf("%s:X:X:test:%d\n%s.ndb:%d:%x\n", head, at.Unix(), name, len(ndb), sha256.Sum256([]byte(ndb)))
	var body bytes.Buffer
	zw := gzip.NewWriter(&body)
	tw := tar.NewWriter(zw)
	for _, f := range [][2]string{{"COPYING", "x\n"}, {name + ".info", list}, {name + ".ndb", ndb}} {
		if err := tw.WriteHeader(&tar.Header{Name: f[0], Size: int64(len(f[1])), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := tw.Write([]byte(f[1])); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	first := fmt.Sprintf("%s:%x:X:test:%d", head, md5.Sum(body.Bytes()), at.Unix())
	return append([]byte(fmt.Sprintf("%-512s", first)), body.Bytes()...), nil
}
