package migrate

import (
	"regexp"
	"strings"
)

// readRspamd reads an antivirus.conf of rspamd, in the format UCL: blocks with the keys
// type and servers. A block of another type than clamav asks other scanners.
func readRspamd(data string) (list []mention) {
	type block struct {
		kind     string
		disabled bool
		servers  []mention
	}
	stack := []block{{}}
	finish := func() {
		b := stack[len(stack)-1]
		if !b.disabled && (b.kind == "" || b.kind == "clamav") && len(list) < maxMentions {
			list = append(list, b.servers...)
		}
		stack = stack[:len(stack)-1]
	}
	var words []uclToken // of the statement
	statement := func() {
		if len(words) < 2 {
			words = words[:0]
			return
		}
		b := &stack[len(stack)-1]
		switch value := strings.ToLower(words[1].text); strings.ToLower(words[0].text) {
		case "type":
			b.kind = value
		case "enabled":
			b.disabled = value == "false" || value == "no" || value == "off"
		case "servers":
			for _, w := range words[1:] {
				b.servers = append(b.servers, rspamdServers(w)...)
			}
		}
		words = words[:0]
	}
	for _, t := range uclTokens(data) {
		switch t.text {
		case "{":
			words = words[:0]
			if len(stack) < 100 {
				stack = append(stack, block{})
			}
			continue
		case "}":
			statement()
			if len(stack) > 1 {
				finish()
			}
			continue
		case ";":
			statement()
			continue
		}
		words = append(words, t)
	}
	statement()
	for len(stack) > 0 {
		finish()
	}
	return list
}

// rspamdServers reads a list of upstreams, "round-robin:a:3310:10,/path".
func rspamdServers(t uclToken) (list []mention) {
	for server := range strings.SplitSeq(t.text, ",") {
		server = strings.TrimSpace(server)
		for _, rotation := range []string{"round-robin:", "master-slave:", "random:", "hash:", "sequential:"} {
			server = strings.TrimPrefix(server, rotation)
		}
		if f := strings.Split(server, ":"); len(f) == 3 && f[0] != "" {
			server = f[0] + ":" + f[1] // the third is a weight
		}
		if address, ok := addressOf(server); ok && len(list) < maxMentions {
			list = append(list, mention{line: t.line, address: address})
		}
	}
	return list
}

type uclToken struct {
	line int
	text string // "{", "}" and ";", which is the end of a line too, or a word
}

// uclTokens splits UCL into words. It drops comments, and the signs between a key, its
// value and the parts of a list.
func uclTokens(data string) (list []uclToken) {
	line, depth := 1, 0 // of square brackets
	for i := 0; i < len(data); {
		c := data[i]
		start := i
		switch {
		case c == '\n':
			if depth == 0 {
				list = append(list, uclToken{line, ";"})
			}
			line++
			i++
		case c == '#', strings.HasPrefix(data[i:], "//"):
			i = endOf(data, i, "\n", 0)
		case strings.HasPrefix(data[i:], "/*"):
			i = endOf(data, i+2, "*/", 2)
			line += strings.Count(data[start:i], "\n")
		case c == '"', c == '\'':
			i = endOf(data, i+1, string(c), 1)
			list = append(list, uclToken{line, strings.Trim(data[start:i], string(c))})
			line += strings.Count(data[start:i], "\n")
		case c == '{', c == '}', c == ';':
			list = append(list, uclToken{line, string(c)})
			i++
		case strings.IndexByte(" \t\r=,[]", c) >= 0:
			switch c {
			case '[':
				depth++
			case ']':
				depth = max(0, depth-1)
			}
			i++
		default:
			for i < len(data) && strings.IndexByte(" \t\r\n={};,[]\"'", data[i]) < 0 {
				i++
			}
			word := data[start:i]
			if key, ok := strings.CutSuffix(word, ":"); ok {
				word = key // "key: value", as in JSON
			}
			list = append(list, uclToken{line, word})
		}
	}
	return list
}

// endOf returns the offset after the next mark, less what is not part of it, or the end.
func endOf(data string, from int, mark string, length int) int {
	if n := strings.Index(data[from:], mark); n >= 0 {
		return from + n + length
	}
	return len(data)
}

var eximMacro = regexp.MustCompile(`^([A-Z][A-Za-z0-9_]*)\s*==?\s*(.*)$`)

// readExim reads av_scanner of a configuration of Exim, or of a part of it.
func readExim(data string) (list []mention) {
	type macro struct{ name, value string }
	var macros []macro
	number, first, text := 0, 0, ""
	for line := range strings.Lines(data) {
		number++
		part := strings.TrimSpace(line)
		if strings.HasPrefix(part, "#") {
			continue // also within a continued line
		}
		if text == "" {
			first = number
		}
		part, continued := strings.CutSuffix(part, `\`)
		text += part
		if continued && len(text) < maxEximLine {
			continue
		}
		if f := eximMacro.FindStringSubmatch(text); f != nil && len(macros) < maxMentions {
			macros = append(macros, macro{f[1], f[2]})
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(text, "hide "), "=")
		if text = ""; !ok || strings.TrimSpace(key) != "av_scanner" {
			continue
		}
		for _, m := range macros {
			if value = strings.ReplaceAll(value, m.name, m.value); len(value) > maxEximLine {
				value = ""
			}
		}
		if len(list) < maxMentions {
			list = append(list, eximServers(first, value)...)
		}
	}
	return list
}

const maxEximLine = 4096

// eximServers reads "clamd:/path" or "clamd:HOST PORT OPTIONS:HOST PORT:local". As in all
// lists of Exim, "<;" at the beginning changes the separator.
func eximServers(line int, value string) (list []mention) {
	value = strings.Trim(strings.TrimSpace(value), `"`)
	separator := ":"
	if rest, ok := strings.CutPrefix(value, "<"); ok && rest != "" {
		separator, value = rest[:1], rest[1:]
	}
	const colon = "\x00"
	if separator == ":" {
		value = strings.ReplaceAll(value, "::", colon)
	}
	parts := strings.Split(value, separator)
	if strings.TrimSpace(parts[0]) != "clamd" {
		return nil
	}
	local := false
	for _, p := range parts[1:] {
		f := strings.Fields(strings.ReplaceAll(p, colon, ":"))
		if len(f) == 0 {
			continue
		}
		address, ok := "", false
		switch {
		case strings.HasPrefix(f[0], "/"):
			address, ok = addressOf(f[0])
		case f[0] == "local":
			local = true
		case len(f) > 1:
			address, ok = tcpOf(strings.Trim(f[0], "[]"), f[1])
		}
		if ok && len(list) < maxMentions {
			list = append(list, mention{line: line, address: address, paths: strings.HasPrefix(address, "unix:")})
		}
	}
	for i := range list {
		list[i].paths = list[i].paths || local
	}
	return list
}
