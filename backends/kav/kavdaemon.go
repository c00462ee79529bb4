package kav

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// codes maps kavdaemon's codes to categories, as exim does.
var codes = map[byte]backends.Category{
	0: backends.OK,
	1: backends.Interrupted,
	2: backends.Virus,
	3: backends.Suspicious,
	4: backends.Virus,
	5: backends.Virus,
	6: backends.Virus,
	7: backends.SWErr,
	8: backends.Partial,
}

var codeTexts = map[byte]string{
	1: "the scan was not completed",
	5: "disinfected by kavdaemon, which should only report",
	6: "deleted by kavdaemon, which should only report",
	7: "kavdaemon is damaged",
	8: "corrupt objects",
}

// askDaemon scans a file with kavdaemon.
func askDaemon(conn *engineconn.Conn, a *backends.Answer, path string) error {
	// kavdaemon's own client and exim send this syslog-like prefix.
	if err := conn.Command("<0>" + time.Now().Format("02 Jan 15:04:05") + ":" + path + "\x00"); err != nil {
		return err
	}
	head := make([]byte, 2)
	if err := conn.Fill(head); err != nil {
		return err
	}
	code, problems := head[0]&0x0f, head[0]&0xf0
	category, ok := codes[code]
	if !ok || head[1] > 1 {
		return fmt.Errorf("unexpected answer % x", head)
	}
	var err error
	if head[1] == 1 {
		err = readReport(conn, a, int(code), path)
	}
	if problems != 0 {
		a.Add(backends.SWErr, int(head[0]), fmt.Sprintf("code %#x: the high bits are not documented", head[0]))
	}
	// The names in the report say more than the code.
	if a.Category() == "" || category.IsFailure() || backends.Stronger(category, a.Category()) {
		a.Add(category, int(code), codeTexts[code])
	}
	return err
}

// maxReport limits the length of a report.
const maxReport = 1 << 20

var namePattern = regexp.MustCompile(`(infected|suspicion):\s*(\S.*?)\s*$`)

// isHarmless reports whether a report line is empty, or says "ok" about the file or a
// member.
func isHarmless(line, path string) bool {
	line = strings.TrimSpace(line)
	rest, about := strings.CutPrefix(line, path)
	return line == "" || line == "ok" || about && harmlessPattern.MatchString(rest)
}

var harmlessPattern = regexp.MustCompile(`^(/[^:]*)?\s+ok\.?$`)

// readReport adds the lines of a report. If the code means that nothing was found, an
// unknown line is a failure.
func readReport(conn *engineconn.Conn, a *backends.Answer, code int, path string) error {
	size := make([]byte, 4)
	if err := conn.Fill(size); err != nil {
		return err
	}
	n := binary.NativeEndian.Uint32(size)
	if n > maxReport {
		return fmt.Errorf("a report of %d bytes", n)
	}
	left := &io.LimitedReader{R: conn, N: int64(n)}
	lines := bufio.NewScanner(left)
	var unknown []string
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\x00\r")
		m := namePattern.FindStringSubmatch(line)
		switch {
		case m == nil && codes[byte(code)] == backends.OK && !isHarmless(line, path):
			unknown = append(unknown, line)
		case m == nil:
		case m[1] == "infected":
			a.Found(backends.Virus, code, m[2], "")
		default:
			a.Found(backends.Suspicious, code, m[2], "")
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if left.N > 0 {
		return errors.New("the report is cut off")
	}
	if len(unknown) > 0 {
		a.Add(backends.SWErr, code, fmt.Sprintf("code %d, but its report says %.200q", code, unknown[0]))
	}
	return nil
}
