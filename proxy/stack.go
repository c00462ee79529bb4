package proxy

// A goroutine begins with 2 KiB of stack, which is right for one that waits for a
// client, and doubles it, with a copy of every frame, whenever it needs more: deep
// in a scan that takes ten times as long as from a shallow place beforehand. These
// make it large enough before it is needed.

// reserveForCommand is for reading a command and a stream: 4 KiB, which a client that
// stalls in its stream keeps.
//
//go:noinline
func reserveForCommand(i int) byte {
	var room [2 << 10]byte
	return room[i]
}

// reserveForScan is for a scan and its log line: 8 KiB.
//
//go:noinline
func reserveForScan(i int) byte {
	var room [5 << 10]byte
	return room[i]
}
