package pgp

import "testing"

func TestPacketLengths(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want packet
	}{
		{[]byte{0xc1, 0}, packet{1, 2, 0, false}},
		{[]byte{0xc1, 191}, packet{1, 2, 191, false}},
		{[]byte{0xc1, 192, 0}, packet{1, 3, 192, false}},
		{[]byte{0xc1, 223, 255}, packet{1, 3, 8383, false}},
		{[]byte{0xc1, 255, 1, 2, 3, 4}, packet{1, 6, 0x01020304, false}},
		{[]byte{0xd2, 224}, packet{18, 2, 1, true}},
		{[]byte{0xd2, 254}, packet{18, 2, 1 << 30, true}},
		{[]byte{0x84, 9}, packet{1, 2, 9, false}},
		{[]byte{0x85, 1, 2}, packet{1, 3, 0x0102, false}},
		{[]byte{0x86, 1, 2, 3, 4}, packet{1, 5, 0x01020304, false}},
		{[]byte{0xa7, 0}, packet{9, 1, 0, true}},
	} {
		if got, ok := ReadPacket(c.b); !ok || got != c.want {
			t.Errorf("% x parsed to %+v, %v, want %+v", c.b, got, ok, c.want)
		}
	}
	for _, b := range [][]byte{nil, {0xc1}, {0x41, 1}, {0xc1, 192}, {0xc1, 255, 1, 2, 3}, {0x85, 1}, {0x86, 1, 2, 3}} {
		if got, ok := ReadPacket(b); ok {
			t.Errorf("% x accepted as %+v", b, got)
		}
	}
}
