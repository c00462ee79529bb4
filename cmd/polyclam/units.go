package main

import (
	"strconv"
	"time"
)

// age formats a duration in its largest unit: "3 days".
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

// plural returns "1 file" or "2 files".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}

// seconds formats seconds with three decimals: "0.113".
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
