// Package stack grows the stack of a goroutine before it is needed.
//
// A goroutine starts with 2 KiB of stack, which suits one that waits for a client. When
// it needs more, Go doubles the stack and copies every frame. Deep in a scan that takes
// ten times as long as from a shallow frame.
package stack

// GrowForCommand grows the stack to 4 KiB, for reading a command and a stream. A client
// that stalls in its stream occupies no more than that.
func GrowForCommand() { growForCommand(0) }

// GrowForScan grows the stack to 8 KiB, for a scan and its log line.
func GrowForScan() { growForScan(0) }

//go:noinline
func growForCommand(i int) byte {
	var frame [2 << 10]byte
	return frame[i]
}

//go:noinline
func growForScan(i int) byte {
	var frame [5 << 10]byte
	return frame[i]
}
