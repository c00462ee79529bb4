package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/report"
)

// card describes the machine and the programs of a run.
func card(polyclamd, load string) *report.Grid {
	g := &report.Grid{Head: []string{"machine", ""}}
	g.Add("processor", processor())
	g.Add("cores", fmt.Sprint(runtime.NumCPU()))
	g.Add("memory", memoryTotal())
	g.Add("kernel", "Linux "+kernel())
	g.Add("Go", strings.TrimPrefix(runtime.Version(), "go"))
	g.Add("polyclamd", buildOf(polyclamd))
	g.Add("clamd", versionOf("clamd", "--version"))
	g.Add("HAProxy", versionOf("haproxy", "-v"))
	g.Add("Redis", versionOf("redis-server", "--version"))
	g.Add("load at the start", load)
	return g
}

func kernel() string {
	var u unix.Utsname
	unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}

// field finds the value of a field of a file below /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && string(bytes.TrimSpace(key)) == name {
			return string(bytes.TrimSpace(value))
		}
	}
	return "unknown"
}

// processor is the name of the processor. Virtual machines may hide it.
func processor() string {
	name := field("/proc/cpuinfo", "model name")
	if name == "unknown" {
		name = "unknown, " + runtime.GOARCH
	}
	return name + ", family " + field("/proc/cpuinfo", "cpu family") + ", model " + field("/proc/cpuinfo", "model")
}

func memoryTotal() string {
	var kb int64
	fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb)
	return fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}

var versionPattern = regexp.MustCompile(`\d+\.\d+(\.\d+)?[-+\w.]*`)

// versionOf runs a program to get its version.
func versionOf(name, flag string) string {
	path, err := find(name)
	if err != nil {
		return "not installed"
	}
	out, err := exec.Command(path, flag).CombinedOutput()
	if err != nil {
		return "unknown"
	}
	if v := versionPattern.Find(out); v != nil {
		return string(v)
	}
	return "unknown"
}

// buildOf is the version of a polyclamd, with its commit.
func buildOf(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "polyclamd ")
}
