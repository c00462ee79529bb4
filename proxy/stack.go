package proxy

// A goroutine starts with 2 KiB of stack, which suits one that waits for a client. When
// it needs more, Go doubles the stack and copies every frame. Deep in a scan that takes
// ten times as long as from a shallow frame, so the stack is grown before it is needed.

// growStackForCommand grows the stack to 4 KiB, for reading a command and a stream. A
// client that stalls in its stream occupies no more than that.
//
//go:noinline
func growStackForCommand(i int) byte {
	var frame [2 << 10]byte
	return frame[i]
}

// growStackForScan grows the stack to 8 KiB, for a scan and its log line.
//
//go:noinline
func growStackForScan(i int) byte {
	var frame [5 << 10]byte
	return frame[i]
}
