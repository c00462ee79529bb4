package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/cmd/internal/size"
)

// topView is how the table is shown.
type topView struct {
	sort    rune // the key of the column; 0: the order of the configuration
	reverse bool
	filter  string
	typing  bool // the filter is being typed
	colours bool
	utf8    bool
	problem string    // why there is no newer table
	asked   time.Time // the time of the table
}

// lines returns the page for a terminal of this size; 0 means no limit. table may be nil.
func (v *topView) lines(t *topTable, columns, rows int, now time.Time) []string {
	var out []string
	if v.problem != "" {
		text := "polyclamd does not answer: " + printable(v.problem)
		if t != nil {
			text += " (the table is of " + v.asked.Format(time.TimeOnly) + ")"
		}
		out = append(out, v.paint(red, v.cut(text, columns)))
	}
	if t == nil {
		return append(out, v.cut("waiting for polyclamd", columns))
	}
	for _, line := range v.head(t, columns) {
		out = append(out, v.cut(line, columns))
	}
	out = append(out, "")
	out = append(out, v.table(t, columns, now)...)
	if v.typing || v.filter != "" {
		out = append(out, v.cut("filter: "+v.filter, columns))
	}
	if rows > 0 && len(out) >= rows {
		out = append(out[:max(0, rows-2):max(0, rows-2)], v.cut(fmt.Sprintf("%d more lines", len(out)-rows+2), columns))
	}
	if rows > 0 {
		out = append(out, v.cut("q quit  s f i w l a n sort  r reverse  / filter", columns))
	}
	return out
}

// maxReason is the most lines for why polyclamd is not ready.
const maxReason = 3

// head returns the lines above the table.
func (v *topView) head(t *topTable, columns int) []string {
	s := &t.now.Server
	ready := "ready"
	var reasons []string
	if !t.now.Ready.Ready {
		ready = "not ready"
		reasons = v.reasons(printable(strings.Join(t.now.Ready.Reasons, "; ")), columns)
	}
	version, _, _ := strings.Cut(s.Version, " ")
	limit := ""
	if s.SpoolTotal > 0 {
		limit = " of " + size.Human(s.SpoolTotal)
	}
	scans := "scans/s " + rate(t.scans) + "  failures/s " + rate(t.failures)
	for _, c := range t.categories {
		scans += "  " + cell(c.name) + " " + rate(c.rate)
	}
	first := fmt.Sprintf("polyclamd %s, up %s, %s", printable(version), age(t.now.Time.Sub(t.now.Started)), ready)
	lines := append(append([]string{first}, reasons...),
		scans,
		fmt.Sprintf("%s, %s in progress, spool %s%s, over %s", plural(s.Connections, "connection"), plural(s.Scans, "scan"), size.Human(s.SpoolUsed), limit, t.interval.Round(100*time.Millisecond)),
	)
	if text := cacheLine(t.cache); text != "" {
		lines = append(lines, printable(text))
	}
	return lines
}

// reasons wraps a text. What does not fit into maxReason lines is cut off.
func (v *topView) reasons(text string, columns int) []string {
	const indent = "  "
	if text == "" || columns <= len(indent) {
		return nil
	}
	lines := wrap(text, columns-len(indent))
	if len(lines) > maxReason {
		lines[maxReason-1] = strings.Join(lines[maxReason-1:], " ") // to be cut
		lines = lines[:maxReason]
	}
	for i := range lines {
		lines[i] = indent + lines[i]
	}
	return lines
}

// table returns the header and the rows that the filter lets through.
func (v *topView) table(t *topTable, columns int, now time.Time) []string {
	rows := v.sorted(t.rows)
	shown := slices.Clone(topColumns)
	for i := range shown {
		if shown[i].key != 0 && shown[i].key == v.sort {
			shown[i].drop = 0
		}
	}
	for {
		text, width := v.format(shown, rows, now, 0)
		if columns > 0 && width > columns {
			// Long addresses are shortened before anything is left out.
			longest := 0
			for _, r := range rows {
				longest = max(longest, len(cell(r.node)))
			}
			text, width = v.format(shown, rows, now, max(minNode, longest-(width-columns)))
		}
		worst := 0
		for i, c := range shown {
			if c.drop > shown[worst].drop {
				worst = i
			}
		}
		if columns <= 0 || width <= columns || shown[worst].drop == 0 {
			return v.finish(text, rows, columns)
		}
		shown = slices.Delete(shown, worst, worst+1)
	}
}

// minNode is the width down to which the address of a node is shortened.
const minNode = 16

// shorten cuts the beginning of a text: the ends of addresses differ.
func (v *topView) shorten(s string, width int) string {
	r, mark := []rune(s), "..."
	if v.utf8 {
		mark = "…"
	}
	if width <= 0 || len(r) <= width {
		return s
	}
	return mark + string(r[len(r)-width+len([]rune(mark)):])
}

// sorted returns the rows to show, in their order.
func (v *topView) sorted(rows []topRow) []topRow {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r topRow) bool {
		return v.filter != "" && !strings.Contains(strings.ToLower(cell(r.engine)+" "+cell(r.node)+" "+r.state+" "+r.mode), strings.ToLower(v.filter))
	})
	for _, c := range topColumns {
		if c.key == v.sort && c.less != nil {
			slices.SortStableFunc(rows, c.less)
		}
	}
	if v.reverse {
		slices.Reverse(rows)
	}
	return rows
}

// format aligns the columns, and returns the lines and the width of the longest. Addresses
// have at most the width node; 0 means no limit.
func (v *topView) format(shown []topColumn, rows []topRow, now time.Time, node int) (lines []string, width int) {
	cells := make([][]string, len(rows)+1)
	widths := make([]int, len(shown))
	for i, c := range shown {
		title := c.title
		if c.key != 0 && c.key == v.sort {
			title += v.mark()
		}
		cells[0] = append(cells[0], title)
		for j, r := range rows {
			text := cmp.Or(c.text(r, now), "-")
			if c.title == nodeTitle {
				text = v.shorten(text, node)
			}
			cells[j+1] = append(cells[j+1], text)
		}
		for j := range cells {
			widths[i] = max(widths[i], len([]rune(cells[j][i])))
		}
	}
	for _, row := range cells {
		var b strings.Builder
		for i, text := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(text)))
			if shown[i].right {
				b.WriteString(pad + text)
			} else {
				b.WriteString(text + pad)
			}
			if i < len(row)-1 {
				b.WriteString("  ")
			}
		}
		line := strings.TrimRight(b.String(), " ")
		lines, width = append(lines, line), max(width, len([]rune(line)))
	}
	return lines, width
}

// mark shows the direction of the sort.
func (v *topView) mark() string {
	switch {
	case v.utf8 && v.reverse:
		return "↑"
	case v.utf8:
		return "↓"
	case v.reverse:
		return "^"
	}
	return "*"
}

// The colours of ECMA-48.
const (
	red    = "31"
	yellow = "33"
	bold   = "1"
)

// finish cuts the lines, and colours those of nodes that are not up.
func (v *topView) finish(lines []string, rows []topRow, columns int) []string {
	for i := range lines {
		lines[i] = v.cut(lines[i], columns)
		switch {
		case i == 0:
			lines[i] = v.paint(bold, lines[i])
		case rows[i-1].state == "down" || rows[i-1].state == "blind":
			lines[i] = v.paint(red, lines[i])
		case rows[i-1].state != "up":
			lines[i] = v.paint(yellow, lines[i])
		}
	}
	return lines
}

func (v *topView) paint(colour, line string) string {
	if !v.colours || line == "" {
		return line
	}
	return "\x1b[" + colour + "m" + line + "\x1b[0m"
}

// cut shortens a line to the width of the terminal; 0 means no limit.
func (v *topView) cut(line string, columns int) string {
	r := []rune(line)
	if columns <= 0 || len(r) <= columns {
		return line
	}
	if v.utf8 {
		return string(r[:columns-1]) + "…"
	}
	if columns <= 3 {
		return string(r[:columns])
	}
	return string(r[:columns-3]) + "..."
}

// key changes the view, and reports whether the command ends.
func (v *topView) key(k rune) (quit bool) {
	if v.typing {
		switch {
		case k == keyEnter:
			v.typing = false
		case k == keyEscape:
			v.typing, v.filter = false, ""
		case k == keyBackspace:
			v.filter = v.filter[:max(0, len(v.filter)-1)]
		case len(v.filter) < maxCell:
			v.filter += string(k)
		}
		return false
	}
	switch k {
	case 'q', 'Q':
		return true
	case '/':
		v.typing, v.filter = true, ""
	case 'r':
		v.reverse = !v.reverse
	case keyEscape:
		v.filter, v.sort, v.reverse = "", 0, false
	default:
		if slices.ContainsFunc(topColumns, func(c topColumn) bool { return c.key == k }) {
			v.sort = k
		}
	}
	return false
}
