package clamd

import (
	"os"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestScanAll(t *testing.T) {
	o := x(t)
	path := backendtest.RealPath(t, o)
	p := path + ": "
	tests := []struct {
		name, reply string
		names       string
		want        string
	}{
		{"several", p + "A FOUND\x00" + p + "B FOUND\x00" + p + "A FOUND\x00" + p + "Heuristics.Encrypted.Zip FOUND\x00", "A B A Heuristics.Encrypted.Zip", "virus"},
		{"encrypted only", p + "Heuristics.Encrypted.Zip FOUND\x00", "Heuristics.Encrypted.Zip", "encrypted"},
		{"encrypted, and failed", p + "Heuristics.Encrypted.Zip FOUND\x00" + p + "Can't allocate memory ERROR\x00", "Heuristics.Encrypted.Zip", "encrypted swerr"},
		{"failed, and found", p + "Exceeded time limit ERROR\x00" + p + "A FOUND\x00", "A", "virus interrupted"},
		{"encrypted, and OK", p + "Heuristics.Encrypted.Zip FOUND\x00" + p + "OK\x00", "Heuristics.Encrypted.Zip", "encrypted swerr"},
		{"clean", p + "OK\x00", "", "ok"},
		{"two OK", p + "OK\x00" + p + "OK\x00", "", "swerr"},
		{"found, then cut off", p + "A FOUND\x00" + path, "A", "virus swerr"},
		{"another path", "/x: OK\x00", "", "swerr"},
		{"error and OK", p + "Not supported file type ERROR\x00" + p + "OK\x00", "", "swerr"},
		{"cut off", p + "OK", "", "swerr"},
		{"memory", p + "Can't allocate memory ERROR\x00", "", "swerr"},
		{"nothing", "", "", "cannot-execute"},
		{"too many", strings.Repeat(p+"A FOUND\x00", 1005), strings.TrimSpace(strings.Repeat("A ", 996)), "virus"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zALLMATCHSCAN " + path + "\x00"), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), transportStream).ScanAll(backendtest.Context(t), o)
			var names []string
			for _, f := range r.Findings {
				names = append(names, f.Name)
			}
			if got := categories(r, err); got != tt.want || strings.Join(names, " ") != tt.names {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestScanAllFallsBack checks that Scan's finding is returned if ALLMATCHSCAN fails.
func TestScanAllFallsBack(t *testing.T) {
	o := x(t)
	path := backendtest.RealPath(t, o)
	scan := backendtest.Script{want(session + instream), say("1: stream: X FOUND\x00"), backendtest.Drain()}
	for _, reply := range []string{
		path + ": File path check failure: No such file or directory. ERROR\x00",
		path + ": Access denied. ERROR\x00", path + ": " + textAllMatchDisabled + " ERROR\x00", "UNKNOWN COMMAND\x00",
	} {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zALLMATCHSCAN " + path + "\x00"), say(reply), backendtest.CloseWrite(), backendtest.Drain()}, scan)
		r, err := open(t, d.Address(), transportStream).ScanAll(backendtest.Context(t), o)
		if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
	d := backendtest.StartDaemon(t, "unix", scan)
	if r, err := open(t, d.Address(), transportStream).ScanAll(backendtest.Context(t), withoutFile{o}); err != nil || r.Category != backends.Virus {
		t.Errorf("without a path: got %+v, %v", r, err)
	}
}

// placed is a client's file without a copy that clamd can read.
type placed struct {
	withoutFile
	places []func() (backends.Place, error) // the results of Place, in order
}

func (p *placed) Place() (backends.Place, error) {
	next := p.places[0]
	p.places = p.places[1:]
	return next()
}

// TestScanAllPlaced checks that the file at the client's path never decides whether there
// is a finding, and that its list of names counts only if nothing contradicts it.
func TestScanAllPlaced(t *testing.T) {
	here := func() (backends.Place, error) { return backends.Place{Path: "/the/file", Inode: 1}, nil }
	other := func() (backends.Place, error) { return backends.Place{Path: "/the/file", Inode: 2}, nil }
	missing := func() (backends.Place, error) { return backends.Place{}, os.ErrNotExist }
	const both = "/the/file: A FOUND\x00/the/file: B FOUND\x00"
	tests := []struct {
		name   string
		scan   string // the answer to INSTREAM, after "1: stream: "
		list   string // the answer to ALLMATCHSCAN; empty: no request
		places []func() (backends.Place, error)
		want   string // the names
	}{
		{"all", "A FOUND", both, []func() (backends.Place, error){here, here}, "A B"},
		{"clean", "OK", "", nil, ""},
		{"no path", "A FOUND", "", []func() (backends.Place, error){missing}, "A"},
		{"another file afterwards", "A FOUND", both, []func() (backends.Place, error){here, other}, "A"},
		{"deleted afterwards", "A FOUND", both, []func() (backends.Place, error){here, missing}, "A"},
		{"clean at the path", "A FOUND", "/the/file: OK\x00", []func() (backends.Place, error){here, here}, "A"},
		{"something else at the path", "A FOUND", "/the/file: B FOUND\x00/the/file: C FOUND\x00", []func() (backends.Place, error){here, here}, "A"},
		{"not readable", "A FOUND", "/the/file: Access denied. ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"findings and an error", "A FOUND", both + "/the/file: Can't allocate memory ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"disabled", "A FOUND", "/the/file: " + textAllMatchDisabled + " ERROR\x00", []func() (backends.Place, error){here, here}, "A"},
		{"no answer", "A FOUND", " ", []func() (backends.Place, error){here, here}, "A"},
		{"encrypted and a virus", "Heuristics.Encrypted.Zip FOUND", "/the/file: Heuristics.Encrypted.Zip FOUND\x00/the/file: B FOUND\x00",
			[]func() (backends.Place, error){here, here}, "Heuristics.Encrypted.Zip B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			scripts := []backendtest.Script{{want(session + instream), say("1: stream: " + tt.scan + "\x00"), backendtest.Drain()}}
			if tt.list != "" {
				scripts = append(scripts, backendtest.Script{want("zALLMATCHSCAN /the/file\x00"), say(strings.TrimSpace(tt.list)), backendtest.CloseWrite(), backendtest.Drain()})
			}
			d := backendtest.StartDaemon(t, "unix", scripts...)
			c := &placed{withoutFile: withoutFile{x(t)}, places: tt.places}
			r, err := open(t, d.Address(), transportStream).ScanAll(backendtest.Context(t), c)
			var names []string
			for _, f := range r.Findings {
				names = append(names, f.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != tt.want || (r.Category == backends.OK) != (tt.want == "") {
				t.Errorf("got %+v, %v, want %q", r, err, tt.want)
			}
			if len(c.places) > 0 {
				t.Errorf("%d calls of Place are missing", len(c.places))
			}
		})
	}
}

// TestScanAllPlacedOverTCP checks that the path is not sent to another host.
func TestScanAllPlacedOverTCP(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), say("1: stream: A FOUND\x00"), backendtest.Drain()})
	r, err := open(t, d.Address(), transportStream).ScanAll(backendtest.Context(t), &placed{withoutFile: withoutFile{x(t)}})
	if err != nil || len(r.Findings) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}
