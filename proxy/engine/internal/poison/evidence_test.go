package poison

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDeath(t *testing.T) {
	for _, tt := range []struct {
		name        string
		others      []bool // scans that end later: answered or not
		early       bool   // the object is known before they end
		immediately bool   // Blame decides
		returned    int    // objects that End returns
	}{
		{"alone", nil, true, true, 0},
		{"another is answered", []bool{true}, true, false, 0},
		{"another dies too", []bool{false}, true, false, 1},
		{"one of two is answered", []bool{false, true}, true, false, 0},
		{"both die too", []bool{false, false}, true, false, 1},
		{"another dies too, object known late", []bool{false}, false, true, 0},
		{"another is answered, object known late", []bool{true}, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e Evidence
				began := time.Now()
				e.Begin()
				for range tt.others {
					e.Begin()
				}
				time.Sleep(time.Second)
				if guilty := e.End(began, false); len(guilty) != 0 {
					t.Errorf("%d guilty before the death", len(guilty))
				}
				death, bomb := e.Died(2), object(1)
				blamed := false
				if tt.early {
					blamed = death.Blame(&bomb)
				}
				var guilty []Digest
				for _, answered := range tt.others {
					guilty = append(guilty, e.End(began, answered)...)
				}
				if !tt.early {
					blamed = death.Blame(&bomb)
				}
				if blamed != tt.immediately || len(guilty) != 2*tt.returned {
					t.Errorf("blamed %v, %d returned, want %v, %d for each death", blamed, len(guilty), tt.immediately, tt.returned)
				}
				if len(e.deaths) != 0 || e.scans != 0 {
					t.Errorf("%d deaths undecided, %d scans", len(e.deaths), e.scans)
				}
			})
		})
	}
}

func TestHang(t *testing.T) {
	const timeout = 10 * time.Second
	for _, tt := range []struct {
		name  string
		asked time.Duration // after the hanging scan began: another question
		alive bool
		want  bool // the object is to blame
	}{
		{"answered in the second half", 6 * time.Second, true, true},
		{"answered in the first half only", 4 * time.Second, true, false},
		{"answered afterwards", 12 * time.Second, true, true},
		{"not answered afterwards", 12 * time.Second, false, false},
	} {
		for _, late := range []bool{false, true} { // the object is known only afterwards
			synctest.Test(t, func(t *testing.T) {
				var e Evidence
				began := time.Now()
				asked := began.Add(tt.asked)
				tar := object(1)
				known := &tar
				if late {
					known = nil
				}
				if tt.asked < timeout {
					e.Resolve(asked, tt.alive)
				}
				time.Sleep(timeout)
				hang, blamed := e.Hung(began, known)
				if tt.asked > timeout {
					blamed = len(e.Resolve(asked, tt.alive)) > 0 || blamed
				}
				if late {
					blamed = hang.Blame(&tar) || blamed
				}
				if blamed != tt.want {
					t.Errorf("%s, known late %v: blamed %v", tt.name, late, blamed)
				}
			})
		}
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	var e Evidence
	for range 2 * maxUndecided {
		e.Begin()
		e.Hung(time.Now(), nil)
		e.Died(1)
	}
	if len(e.hangs) != maxUndecided || len(e.deaths) != maxUndecided {
		t.Errorf("%d hangs and %d deaths undecided", len(e.hangs), len(e.deaths))
	}
	if h, guilty := e.Hung(time.Now(), nil); h != nil || guilty {
		t.Error("one more is recorded")
	}
}
