package engine

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/policy"
)

// mailWorld is what a fake clamd does with mails and archives. It always finds plain EICAR.
type mailWorld struct {
	mail, archives error // nil: EICAR is found inside; errMissed: the object is ok
}

var (
	errMissed = errors.New("missed")
	errNoRoom = &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "Can't write to file", NoRoom: true}
	errOther  = &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "Can't allocate memory"}

	wellWorld = mailWorld{}
	fullWorld = mailWorld{errMissed, errNoRoom} // clamd 1.4.6 with a full TemporaryDirectory
	scanMail  = mailWorld{mail: errMissed}      // ScanMail no
	neither   = mailWorld{errMissed, errMissed} // also ScanArchive no
)

// fakeMailClamd is an engine in a changing world. It counts its reloads.
type fakeMailClamd struct {
	answering
	reloads atomic.Int32
	refuses error
}

func (f *fakeMailClamd) Reload(context.Context) error {
	f.reloads.Add(1)
	return f.refuses
}

func (f *fakeMailClamd) enter(w mailWorld) {
	f.set(func(data []byte) (backends.Result, error, bool) {
		err := error(nil)
		switch {
		case isTestMail(data) || string(data) == "virus in a mail":
			err = w.mail
		case bytes.HasPrefix(data, []byte("PK")) && !bytes.Equal(data, testfile.Encrypted()):
			err = w.archives
		}
		switch {
		case err == errMissed:
			return backends.Clean(0), nil, true
		case err != nil:
			return backends.Result{}, err, true
		case string(data) == "virus in a mail":
			return backends.Found(1, "V"), nil, true
		}
		return backends.Result{}, nil, false
	})
}

// phase is a world that lasts for some time, and what must be seen at its end.
type phase struct {
	world mailWorld
	lasts time.Duration
	state string
	part  string // of the node's reason
	scan  backends.Category
}

const (
	noLonger = "no longer inside a mail"
	room     = "may miss viruses in mails and archives: test file ("
)

func TestMail(t *testing.T) {
	const soon, interval, settled = time.Second / 2, 5*time.Minute + time.Second, 10 * time.Second
	well := phase{wellWorld, soon, "up", "", backends.Virus}
	for _, tt := range []struct {
		name    string
		phases  []phase
		reloads int32
		unread  bool
	}{
		{"fills up and is emptied", []phase{well,
			{fullWorld, interval, "down", room, backends.SWErr},
			{wellWorld, time.Minute, "up", "", backends.Virus}}, 1, false},
		{"full at the start", []phase{
			{fullWorld, soon, "down", room, backends.SWErr},
			{wellWorld, time.Minute, "up", "", backends.Virus}}, 1, false},
		{"full, without archives", []phase{well,
			{neither, time.Hour, "down", noLonger, backends.SWErr},
			{wellWorld, time.Minute, "up", "", backends.Virus}}, 1, false},
		{"ScanMail no", []phase{{scanMail, time.Hour, "up", "", backends.OK}}, 0, true},
		{"neither mails nor archives", []phase{{neither, time.Hour, "up", "", backends.OK}}, 0, false},
		{"ScanMail no, and full", []phase{{scanMail, soon, "up", "", backends.OK},
			{fullWorld, interval, "down", room, backends.SWErr},
			{scanMail, time.Minute, "up", "", backends.OK}}, 1, true},
		{"ScanMail is switched off", []phase{well,
			{scanMail, interval, "down", noLonger, backends.SWErr},
			{scanMail, settled, "up", "", backends.OK}}, 0, true},
		{"ScanMail is switched on", []phase{{scanMail, soon, "up", "", backends.OK},
			{wellWorld, interval, "up", "", backends.Virus}}, 0, false},
		{"mails fail", []phase{well,
			{mailWorld{mail: errOther}, interval, "down", "Can't allocate memory", backends.SWErr},
			{wellWorld, time.Minute, "up", "", backends.Virus}}, 0, false},
		{"mails always failed", []phase{{mailWorld{mail: errOther}, time.Hour, "up", "", backends.SWErr}}, 0, false},
		{"no room for a mail", []phase{{mailWorld{mail: errNoRoom}, soon, "down", room, backends.SWErr}}, 0, false},
		{"archives fail", []phase{{mailWorld{archives: errOther}, time.Hour, "up", "", backends.Virus}}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := &fakeMailClamd{}, &lines{}
				cfg := withCanary(f)
				cfg.Log = zerolog.New(log)
				f.enter(tt.phases[0].world)
				e := New(cfg)
				run(t, e)
				for i, ph := range tt.phases {
					f.enter(ph.world)
					time.Sleep(ph.lasts)
					n := e.Status().Nodes[0]
					if n.State != ph.state || ph.part == "" != (n.Reason == "") || !bytes.Contains([]byte(n.Reason), []byte(ph.part)) {
						t.Errorf("phase %d: %s (%q), want %s (%q)", i, n.State, n.Reason, ph.state, ph.part)
					}
					wantScan(t, e, "virus in a mail", ph.scan)
				}
				synctest.Wait()
				unread := e.Status().Nodes[0].MailUnread
				if f.reloads.Load() != tt.reloads || unread != tt.unread || log.count("mail not scanned") > 1 || tt.unread && log.count("mail not scanned") == 0 {
					t.Errorf("%d reloads, unread %v, %d warnings; want %d, %v", f.reloads.Load(), unread, log.count("mail not scanned"), tt.reloads, tt.unread)
				}
			})
		})
	}
}

// TestMailWindow: a scan that fails because there is no room starts a check, so the fault
// does not last for a whole interval.
func TestMailWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeMailClamd{}
		f.enter(wellWorld)
		e := New(withCanary(f))
		run(t, e)
		time.Sleep(10 * time.Second)
		f.enter(fullWorld)
		wantScan(t, e, "virus in a mail", backends.OK) // nothing shows the fault yet
		wantScan(t, e, "PK", backends.SWErr)
		synctest.Wait()
		wantState(t, e, "down")
	})
}

// TestMailDiscards: an ok that arrives after the fault is noticed does not count.
func TestMailDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, gate := &fakeMailClamd{}, make(chan struct{})
		f.enter(wellWorld)
		slow := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "slow" {
				<-gate
			}
			return f.Scan(ctx, o)
		})
		cfg := withCanary(slow)
		cfg.Timeout, cfg.CanaryInterval = time.Hour, time.Minute
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		done := make(chan policy.Report, 1)
		go func() { done <- e.Scan(within(t, time.Hour), text("slow"), false) }()
		f.enter(neither)
		time.Sleep(61 * time.Second)
		close(gate)
		r := <-done
		wantCategory(t, r.Result, r.Err, backends.SWErr)
	})
}

// TestMailRefusesReload: clamd may not let us reload it.
func TestMailRefusesReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := &fakeMailClamd{refuses: errors.New("COMMAND UNAVAILABLE")}, &lines{}
		f.enter(fullWorld)
		cfg := withCanary(f)
		cfg.Log = zerolog.New(log)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		f.enter(wellWorld)
		time.Sleep(time.Hour)
		wantState(t, e, "up")
		if f.reloads.Load() != 1 || log.count("restart", "COMMAND UNAVAILABLE") != 1 {
			t.Errorf("%d reloads, log %s", f.reloads.Load(), log.buf.String())
		}
	})
}
