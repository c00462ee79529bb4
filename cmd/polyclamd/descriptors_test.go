package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestRaiseDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: limit.Max / 2, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	if got, err := raiseDescriptorLimit(); err != nil || got != limit.Max {
		t.Errorf("raiseDescriptorLimit = %d, %v, want %d", got, err, limit.Max)
	}
}
