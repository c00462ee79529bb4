package seven

import "testing"

// TestNumbers decodes numbers of all lengths.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want uint64
	}{
		{[]byte{0}, 0}, {[]byte{0x7f}, 0x7f}, {[]byte{0x80, 0x80}, 0x80}, {[]byte{0xbf, 0xff}, 0x3fff},
		{[]byte{0xc0, 1, 2}, 0x0201}, {[]byte{0xdf, 1, 2}, 0x1f0201}, {[]byte{0xfe, 1, 2, 3, 4, 5, 6, 7}, 0x07060504030201},
		{[]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8}, 0x0807060504030201},
	} {
		r := reader{b: c.b}
		if got := r.number(); got != c.want || r.bad || len(r.b) != 0 {
			t.Errorf("% x: got %#x, want %#x", c.b, got, c.want)
		}
		r = reader{b: c.b[:len(c.b)-1]}
		if r.number(); !r.bad {
			t.Errorf("% x, truncated: no error", c.b)
		}
	}
}
