package icap

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxHead limits an ICAP or HTTP header section.
const maxHead = 64 << 10

var errHead = fmt.Errorf("a header of more than %d bytes", maxHead)

// field is a header field with its name in lower case. A folded value has its lines
// trimmed and joined with line feeds.
type field struct{ name, value string }

// head is a header section: its first line and its fields in order.
type head struct {
	start  string
	fields []field
	bytes  int // with CRLF after each line
}

// get returns the first value of the field with this lower-case name.
func (h *head) get(name string) string {
	for _, f := range h.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// list returns the elements of all fields with this name, which are comma-separated
// lists.
func (h *head) list(name string) []string {
	var all []string
	for _, f := range h.fields {
		if f.name != name {
			continue
		}
		for e := range strings.FieldsFuncSeq(f.value, func(r rune) bool { return r == ',' || r == '\n' }) {
			all = append(all, strings.TrimSpace(e))
		}
	}
	return all
}

// liner reads lines without their line breaks.
type liner interface{ Line() (string, error) }

// readHead reads a header section and the empty line after it. Lines end in CRLF or LF.
func readHead(r liner) (head, error) {
	var h head
	for {
		line, err := r.Line()
		if err != nil {
			return h, err
		}
		if h.bytes += len(line) + len("\r\n"); h.bytes > maxHead {
			return h, errHead
		}
		switch {
		case h.start == "" && line == "":
			return h, errors.New("an empty line instead of a header")
		case h.start == "":
			h.start = line
		case line == "":
			return h, nil
		default:
			if err := h.add(line); err != nil {
				return h, err
			}
		}
	}
}

// add adds a line after the first.
func (h *head) add(line string) error {
	if line[0] == ' ' || line[0] == '\t' {
		if len(h.fields) == 0 {
			return fmt.Errorf("a continuation line without a header field: %.100q", line)
		}
		last := &h.fields[len(h.fields)-1]
		last.value += "\n" + strings.Trim(line, " \t")
		return nil
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || !token.MatchString(name) {
		return fmt.Errorf("not a header field: %.100q", line)
	}
	h.fields = append(h.fields, field{strings.ToLower(name), strings.Trim(value, " \t")})
	return nil
}

// parseStatus parses a line such as "ICAP/1.0 204 Unmodified". It supports only versions
// 1.x of both protocols.
func parseStatus(protocol, line string) (int, error) {
	version, rest, _ := strings.Cut(line, " ")
	number, ok := strings.CutPrefix(version, protocol+"/")
	if !ok || len(number) != 3 || number[:2] != "1." || !isDigit(number[2]) {
		return 0, fmt.Errorf("want the status line of %s, got %.100q", protocol, line)
	}
	digits, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || status < 100 {
		return 0, fmt.Errorf("not a status: %.100q", line)
	}
	return status, nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
