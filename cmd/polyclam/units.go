package main

import (
	"fmt"
	"strconv"
	"time"
)

// age is a length of time in its largest unit, "3 days".
func age(d time.Duration) string {
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if d >= u.d {
			return plural(int64(d/u.d), u.name)
		}
	}
	return plural(int64(max(d, 0)/time.Second), "second")
}

// plural is "1 file", "2 files".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// size is a number of bytes as people read it, "12.3 MiB".
func size(n int64) string {
	if n < 1<<10 {
		return plural(n, "byte")
	}
	value, unit := float64(n)/(1<<10), 0
	for ; value >= 1<<10 && unit < len("KMGTPE")-1; unit++ {
		value /= 1 << 10
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}

// seconds is a length of time to the millisecond, "0.113".
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
