package engine

import "time"

// Defaults returns the settings of an engine whose configuration has only a name and a
// backend. MaxDelay is zero, which means a tenth of Timeout.
func Defaults() Config {
	return Config{
		Mode:           On,
		Required:       true,
		Timeout:        DefaultTimeout,
		MaxScans:       DefaultMaxScans,
		MaxSize:        100 << 20,
		Canary:         true,
		CanaryInterval: DefaultCanaryInterval,
		SizeCheck:      true,
		PoisonTime:     15 * time.Minute,
		// ClamAV publishes new signatures every day.
		MaxSignatureAge: 7 * 24 * time.Hour,
	}
}
