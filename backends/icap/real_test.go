package icap

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/cicaptest"
	"polyclam/test/clamdtest"
)

// zipped returns a ZIP archive of stored members.
func zipped(t *testing.T, members ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i, data := range members {
		m, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("member%d.bin", i), Method: zip.Store})
		if err == nil {
			_, err = m.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// with sets a service, a method and preview.
func with(service, method string, preview bool) func(c *Config) {
	return func(c *Config) { c.Service, c.Method, c.Preview = service, method, preview }
}

// realCase is a scan with a real c-icap and the outcome wanted.
type realCase struct {
	service, method string
	preview         bool
	object          string // a key of realObjects
	want            string // outcome
}

func realObjects(t *testing.T) map[string]backends.Object {
	eicar := testfile.EICAR()
	large := backendtest.LargeObject(t, 6<<20).Data()
	return map[string]backends.Object{
		"clean":          backendtest.Bytes(t, []byte(hello)),
		"empty":          backendtest.Bytes(t, nil),
		"EICAR":          backendtest.Bytes(t, eicar),
		"EICAR in ZIP":   backendtest.Bytes(t, zipped(t, eicar)),
		"encrypted ZIP":  backendtest.Bytes(t, testfile.Encrypted()),
		"6 MiB clean":    backendtest.Bytes(t, large),
		"6 MiB ZIP with": backendtest.Bytes(t, zipped(t, large, eicar)),
		// So large that the echo begins long before all of it is sent.
		"36 MiB ZIP with": backendtest.Bytes(t, zipped(t, slices.Repeat(large, 6), eicar)),
	}
}

const (
	cleanWanted = "ok/204[]"
	emptyWanted = "ok/200[]" // c-icap sends nothing back for an empty preview
	virusWanted = `virus/200["` + clamdtest.EICARName + `"]`
	lockWanted  = `encrypted/200["Heuristics.Encrypted.Zip"]`
	echoWanted  = "partial/200[]"
)

func play(t *testing.T, title, address string, cases []realCase, set ...func(c *Config)) {
	t.Helper()
	objects := realObjects(t)
	for _, tt := range cases {
		b := open(t, address, append(set, with(tt.service, tt.method, tt.preview))...)
		r, err := b.Scan(backendtest.Context(t), objects[tt.object])
		got := outcomeOf(r, err).String()
		verdict := "as wanted"
		if got != tt.want {
			verdict = "WRONG"
			t.Errorf("%s: %s %s of %q: got %s, want %s (%v, %q)", title, tt.method, tt.service, tt.object, got, tt.want, err, r.Detail)
		}
		t.Logf("table: c-icap, %-24s %-11s %-7s preview=%-5v %-14s expected %-45s got %-45s %s",
			title, tt.service, tt.method, tt.preview, tt.object, tt.want, got, verdict)
	}
}

// realCases are for a clamd whose answer to the encrypted ZIP
// is encrypted.
func realCases(encrypted string) []realCase {
	const avscan, srv, respmod, reqmod = cicaptest.AVScan, cicaptest.SrvClamav, methodRespmod, methodReqmod
	cases := []realCase{
		{avscan, respmod, false, "6 MiB clean", cleanWanted},
		{avscan, respmod, false, "6 MiB ZIP with", virusWanted},
		{avscan, reqmod, false, "6 MiB ZIP with", virusWanted},
		{avscan, respmod, true, "6 MiB ZIP with", virusWanted},
		// Over MaxObjectSize: passed without a scan and without a word.
		{srv, respmod, false, "6 MiB clean", echoWanted},
		{srv, respmod, false, "6 MiB ZIP with", echoWanted},
		{srv, reqmod, false, "6 MiB ZIP with", echoWanted},
		{cicaptest.Echo, respmod, false, "EICAR", echoWanted}, // scans nothing and does not use 204
		{"nosuchservice", respmod, false, "EICAR", "swerr/404[]"},
	}
	for _, way := range []struct {
		service, method string
		preview         bool
	}{{avscan, respmod, false}, {avscan, reqmod, false}, {avscan, respmod, true}, {srv, respmod, false}, {srv, reqmod, true}} {
		for _, c := range [][2]string{{"clean", cleanWanted}, {"empty", cleanWanted}, {"EICAR", virusWanted}, {"EICAR in ZIP", virusWanted}, {"encrypted ZIP", encrypted}} {
			if c[0] == "empty" && way.preview {
				c[1] = emptyWanted
			}
			cases = append(cases, realCase{way.service, way.method, way.preview, c[0], c[1]})
		}
	}
	return cases
}

// TestRealTable uses a real c-icap in front of a real clamd.
func TestRealTable(t *testing.T) {
	cicaptest.Require(t)
	for setting, encrypted := range map[string]string{"yes": lockWanted, "no": cleanWanted} {
		clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"AlertEncrypted " + setting}})
		s := cicaptest.Start(t, clamd.Socket, cicaptest.Options{})
		play(t, "AlertEncrypted "+setting, s.Address, realCases(encrypted))
		play(t, "echo_is ok", s.Address, []realCase{
			// It supports 204, so objects that it sends back are unscanned, whatever echo_is says.
			{cicaptest.Echo, methodRespmod, false, "clean", echoWanted},
			{cicaptest.SrvClamav, methodRespmod, false, "6 MiB ZIP with", echoWanted},
			{cicaptest.SrvClamav, methodRespmod, false, "36 MiB ZIP with", echoWanted},
			{cicaptest.SrvClamav, methodReqmod, false, "36 MiB ZIP with", echoWanted},
			{cicaptest.SrvClamav, methodRespmod, true, "6 MiB ZIP with", "partial/204[]"}, // decided by the preview
		}, func(c *Config) { c.EchoIs = echoOK })
		if setting == "no" {
			continue
		}
		v, err := open(t, s.Address).Version(backendtest.Context(t))
		t.Logf("table: c-icap, version %q, database %q", v.Text, v.Database)
		if err != nil || v.Text == "" || v.Database == "" {
			t.Errorf("version %+v, %v", v, err)
		}
		clamd.Kill()
		play(t, "clamd dead", s.Address, []realCase{
			{cicaptest.AVScan, methodRespmod, false, "clean", "swerr/500[]"},
			{cicaptest.AVScan, methodRespmod, false, "EICAR", "swerr/500[]"},
			{cicaptest.AVScan, methodReqmod, true, "EICAR", "swerr/500[]"},
			{cicaptest.SrvClamav, methodRespmod, false, "EICAR", "swerr/500[]"},
		})
	}
}

// TestReal runs the conformance suite with a real c-icap, plain and over TLS.
func TestReal(t *testing.T) {
	cicaptest.Require(t)
	clamd := clamdtest.Start(t, clamdtest.Options{Conf: []string{"AlertEncrypted yes", "StreamMaxLength 50M"}})
	s := cicaptest.Start(t, clamd.Socket, cicaptest.Options{TLS: true})
	secured := func(c *Config) { c.TLS.TLS, c.CA, c.ServerName = true, s.CA, "localhost" }
	for _, tt := range []struct {
		name, address string
		set           func(c *Config)
	}{
		{"respmod", s.Address, with("avscan", methodAuto, false)},
		{"reqmod", s.Address, with("avscan", methodReqmod, false)},
		{"preview", s.Address, with("avscan", methodAuto, true)},
		{"tls", s.TLSAddress, secured},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, tt.address, tt.set) },
				backendtest.Options{Encrypted: true, Parallel: 30, Large: 8 << 20})
		})
	}
}

// TestRealKeepAlive needs more scans than c-icap allows on one connection.
func TestRealKeepAlive(t *testing.T) {
	cicaptest.Require(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	s := cicaptest.Start(t, clamd.Socket, cicaptest.Options{Conf: []string{"MaxKeepAliveRequests 10"}})
	b := reuses(open(t, s.Address, keeps))
	clean, virus := backendtest.CleanObject(t), backendtest.Bytes(t, testfile.EICAR())
	for i := range 60 {
		o, want := clean, backends.OK
		if i%3 == 0 {
			o, want = virus, backends.Virus
		}
		if got := checked(t, b, o); got.category != want {
			t.Fatalf("scan %d: %v, want %v", i, got, want)
		}
	}
}
