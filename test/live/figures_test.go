package live

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	scan := func(ms, took int, eicar bool, reply string, err error) Scan {
		return Scan{Start: at(ms), Took: time.Duration(took) * time.Millisecond, How: "SCAN", EICAR: eicar, Reply: reply, Err: err}
	}
	scans := []Scan{
		scan(0, 10, false, "x: OK", nil),
		scan(100, 10, true, "x: Eicar FOUND", nil),
		scan(200, 10, true, "x: OK", nil), // wrong
		scan(300, 10, false, "x: Eicar FOUND", nil),
		scan(400, 10, false, "x: lstat() failed ERROR", nil),
		scan(500, 10, false, "", errors.New("refused")),
		scan(600, 10, false, "", errors.New("refused")),
		scan(700, 30, false, "x: OK", nil),
		scan(900, 10, false, "x: OK", nil),
	}
	got := FiguresOf(scans, at(100), at(800))
	want := Figures{
		Scans: 7, Failed: 3, Wrong: 2, P50: 30 * time.Millisecond, Longest: 30 * time.Millisecond, Gap: 620 * time.Millisecond,
		Errors: []string{"1 x SCAN: x: Eicar FOUND", "1 x SCAN: x: OK", "1 x SCAN: x: lstat() failed ERROR", "2 x SCAN: refused"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := FiguresOf(scans, at(0), at(100)); got.Failed+got.Wrong != 0 || got.Scans != 1 || got.Gap != 90*time.Millisecond {
		t.Errorf("the first part: %+v", got)
	}
}
