package kav

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// greetAve reads the greeting of aveserver.
func greetAve(conn *line.Conn) error {
	text, err := conn.Line()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if code, _ := line.Status(text, " -"); code/100 != 2 {
		return fmt.Errorf("greeting: unexpected answer %.200q", text)
	}
	return nil
}

// askAve asks aveserver.
func askAve(conn *line.Conn, t *line.Tally, path string) error {
	if err := conn.Command("SCAN bPQRSTUW " + path + "\r\n"); err != nil {
		return err
	}
	for {
		text, err := conn.Line()
		if err != nil {
			return err
		}
		final, err := parseAve(text, path, t)
		if final || err != nil {
			return err
		}
	}
}

// codeHit is the one of a line with a name.
const codeHit = 322

// parseAve counts a line of an answer about path and reports whether it was the
// final one. A name has no blanks.
func parseAve(text, path string, t *line.Tally) (final bool, err error) {
	code, rest := line.Status(text, " -")
	switch {
	case code == codeHit:
		name, about, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(about, path) && about != "" {
			return false, fmt.Errorf("unexpected answer %.200q, which is not about %q", text, path)
		}
		t.Found(backends.Virus, code, name, "")
		return false, nil
	case code/100 == 2:
		t.Add(backends.OK, code, "")
		return true, nil
	case code/100 == 5:
		t.Add(backends.SWErr, code, rest)
		return true, nil
	}
	return false, fmt.Errorf("unexpected answer %.200q", text)
}
