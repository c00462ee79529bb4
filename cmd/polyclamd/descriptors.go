package main

import "golang.org/x/sys/unix"

// raiseDescriptorLimit raises the limit of open descriptors as far as the kernel allows, and
// returns the new limit.
func raiseDescriptorLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur == limit.Max {
		return limit.Cur, nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return limit.Cur, nil
}
