package main

import (
	"strconv"
	"time"

	"polyclam/proxy/ops/human"
)

func age(d time.Duration) string { return human.Age(d) }

func since(now, at time.Time) string { return human.Since(now, at) }

func clock(at, now time.Time) string { return human.Clock(at, now) }

func plural(n int64, noun string) string { return human.Plural(n, noun) }

// seconds formats seconds with three decimals: "0.113".
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 3, 64) }
