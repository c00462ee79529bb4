package pdf

import "io"

// maxRow bounds a predictor's row. Those of cross-reference streams have up to 24 bytes.
const maxRow = 4096

// unpredict undoes PNG predictors (ISO 32000-2, 7.4.4.4). It returns nil for unsupported
// ones.
func unpredict(r io.Reader, parameters dict) io.Reader {
	predictor, ok := parameters["Predictor"].(float64)
	if !ok || predictor == 1 {
		return r
	}
	columns, ok := parameters["Columns"].(float64)
	if !ok {
		columns = 1
	}
	if predictor < 10 || columns < 1 || columns > maxRow {
		return nil
	}
	return &unpredictor{from: r, row: make([]byte, int(columns)), before: make([]byte, int(columns))}
}

// unpredictor reads rows of one-byte columns.
type unpredictor struct {
	from        io.Reader
	row, before []byte
	rest        []byte
}

// Read implements [io.Reader].
func (u *unpredictor) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		if err := u.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unpredictor) next() error {
	var kind [1]byte
	if _, err := io.ReadFull(u.from, kind[:]); err != nil {
		return err
	}
	u.row, u.before = u.before, u.row
	if _, err := io.ReadFull(u.from, u.row); err != nil {
		return err
	}
	left, aboveLeft := byte(0), byte(0)
	for i := range u.row {
		above := u.before[i]
		switch kind[0] {
		case 1:
			u.row[i] += left
		case 2:
			u.row[i] += above
		case 3:
			u.row[i] += byte((int(left) + int(above)) / 2)
		case 4:
			u.row[i] += paeth(left, above, aboveLeft)
		}
		left, aboveLeft = u.row[i], above
	}
	u.rest = u.row
	return nil
}

// paeth is PNG's Paeth predictor.
func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	da, db, dc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case da <= db && da <= dc:
		return a
	case db <= dc:
		return b
	}
	return c
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
