package proxy

import (
	"time"

	"polyclam/proxy/files"
)

// DefaultLimits returns the limits of a server whose configuration sets none.
func DefaultLimits() Limits {
	return Limits{
		Stream:             100 << 20,
		CommandReadTimeout: 30 * time.Second,
		ReadTimeout:        120 * time.Second,
		WriteTimeout:       30 * time.Second,
		StreamMinRate:      100,
		StreamMaxTime:      time.Hour,
		Connections:        20000,
		Waiting:            4096, // the length of the kernel's backlog, somaxconn
		Handshakes:         256,
		HandshakeTimeout:   10 * time.Second,
		ClientShare:        75,
		SessionScans:       16,
		DirectoryDepth:     15, // clamd's MaxDirectoryRecursion
		FileThreads:        files.DefaultThreads,
	}
}
