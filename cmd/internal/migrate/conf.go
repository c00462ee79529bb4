package migrate

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// conf is a clamd.conf.
type conf struct {
	path    string // as requested
	real    string // with all symbolic links resolved
	data    []byte
	options []option
	example int // line of "Example", which keeps clamd from starting; 0: none
	// problems are lines that clamd 1.4.6 rejects or misunderstands.
	problems []problem
}

// option is a line of the file. Lines count from 1.
type option struct {
	line       int
	key, value string
}

// problem is a fault in a line.
type problem struct {
	file      string
	line      int
	key, text string
}

func (p problem) String() string {
	if p.key == "" {
		return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.file, p.line, p.key, p.text)
}

// parseConf reads a file as clamd 1.4.6 does (common/optparser.c, optparse):
//
//   - blanks and tabs before a key and around its value are ignored
//   - a line of at most one character, or that begins with "#", is ignored; there are
//     no comments after a value
//   - a value in quotes ends at the last quote of its line
//   - keys are case-sensitive
//   - a line that begins with "Example" keeps clamd from starting
func parseConf(path string, data []byte) *conf {
	c := &conf{path: path, real: path, data: data}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text, _, _ := strings.Cut(string(line), "\x00") // clamd stops at a NUL
		text = strings.TrimLeft(strings.TrimSuffix(text, "\n"), " \t")
		if len(text) <= 1 || text[0] == '#' {
			continue
		}
		if strings.HasPrefix(text, "Example") {
			if c.example == 0 {
				c.example = number
			}
			continue
		}
		c.add(number, text)
	}
	return c
}

func (c *conf) add(number int, text string) {
	at := strings.IndexAny(text, " \t")
	if at < 0 {
		c.complain(number, strings.TrimSuffix(text, "\r"), "there is no value; clamd does not start with such a line")
		return
	}
	key := text[:at]
	value := strings.Trim(text[at:], " \t")
	if trimmed, ok := strings.CutSuffix(value, "\r"); ok {
		c.complain(number, key, "the line ends in CR LF, and clamd reads the CR as part of the value")
		value = strings.TrimRight(trimmed, " \t")
	}
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		end := strings.LastIndexByte(inner, '"')
		if end < 0 {
			c.complain(number, key, "the quote is not closed; clamd does not start with such a line")
			return
		}
		value = inner[:end]
	}
	if value == "" {
		c.complain(number, key, "there is no value; clamd does not start with such a line")
		return
	}
	c.options = append(c.options, option{number, key, value})
}

func (c *conf) complain(line int, key, format string, args ...any) {
	p := problem{c.path, line, clip(key), clip(fmt.Sprintf(format, args...))}
	if len(c.problems) < maxProblems && !slices.Contains(c.problems, p) { // values are read more than once
		c.problems = append(c.problems, p)
	}
}

// maxProblems limits the problems: a file with more is not a clamd.conf.
const maxProblems = 20

// find returns the first line with the key. clamd ignores the others.
func (c *conf) find(key string) (option, bool) {
	for _, o := range c.options {
		if o.key == key {
			return o, true
		}
	}
	return option{}, false
}

// all returns all lines with the key.
func (c *conf) all(key string) []option {
	var list []option
	for _, o := range c.options {
		if o.key == key {
			list = append(list, o)
		}
	}
	return list
}

// source returns the position and text of an option.
func (c *conf) source(o option) string {
	return fmt.Sprintf("%s:%d: %s %s", c.path, o.line, clip(o.key), clip(o.value))
}

// clip shortens text from a file for a message.
func clip(s string) string {
	const maxClip = 200
	if len(s) <= maxClip {
		return s
	}
	return s[:maxClip] + "..."
}

// number returns the value of a numeric key. A value that clamd would reject counts as
// missing.
func (c *conf) number(key string) (int64, option, bool) {
	o, ok := c.find(key)
	if !ok {
		return 0, o, false
	}
	n, err := strconv.ParseUint(o.value, 10, 31)
	if err != nil {
		c.complain(o.line, key, "%q is not a number; left out", o.value)
		return 0, o, false
	}
	return int64(n), o, true
}

var sizeValue = regexp.MustCompile(`^[0-9]+[KMGkmg]?$`)

// bytes returns the value of a size key. clamd 1.4.6 accepts K, M and G, a leading zero
// for octal, and 0 for no limit, which is math.MaxInt64 here.
func (c *conf) bytes(key string) (int64, option, bool) {
	o, ok := c.find(key)
	if !ok {
		return 0, o, false
	}
	n, ok := parseSize(o.value)
	if !ok {
		c.complain(o.line, key, "%q is not a size; left out", o.value)
	}
	return n, o, ok
}

func parseSize(s string) (int64, bool) {
	if !sizeValue.MatchString(s) {
		return 0, false
	}
	shift := 0
	switch s[len(s)-1] | 0x20 {
	case 'k':
		shift = 10
	case 'm':
		shift = 20
	case 'g':
		shift = 30
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	base := 10
	if s[0] == '0' {
		base = 8
	}
	n, err := strconv.ParseInt(s, base, 64)
	switch {
	case err != nil:
		return 0, false
	case n == 0 || n > math.MaxInt64>>shift:
		return math.MaxInt64, true
	}
	return n << shift, true
}

// enabled reports whether a boolean option is on, and returns its line.
func (c *conf) enabled(key string) (option, bool) {
	o, ok := c.find(key)
	if !ok {
		return o, false
	}
	switch strings.ToLower(o.value) {
	case "yes", "true", "1":
		return o, true
	}
	return o, false
}

// disabled reports whether a boolean option is set and off, and returns its line.
func (c *conf) disabled(key string) (option, bool) {
	o, ok := c.find(key)
	if _, on := c.enabled(key); !ok || on {
		return o, false
	}
	return o, true
}
