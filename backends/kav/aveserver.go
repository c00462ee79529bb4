package kav

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn"
)

const separators = " -"

// greetAve reads the greeting of aveserver, "220 text", which "220-text" may precede.
func greetAve(conn *engineconn.Conn) error {
	for {
		text, err := conn.Line()
		if err != nil {
			return fmt.Errorf("greeting: %w", err)
		}
		if code, _ := ascii.Status(text, separators); code/100 != 2 {
			return fmt.Errorf("greeting: unexpected answer %.200q", text)
		}
		if !continues(text) {
			return nil
		}
	}
}

// continues reports whether another line follows.
func continues(text string) bool { return len(text) > 3 && text[3] == '-' }

// askAve scans a file with aveserver.
func askAve(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := conn.Command("SCAN bPQRSTUW " + path + "\r\n"); err != nil {
		return err
	}
	for {
		text, err := conn.Line()
		if err != nil {
			return err
		}
		final, err := parseAve(text, path, a)
		if err != nil {
			return err
		}
		if final {
			return quit(conn, a)
		}
	}
}

// quit proves that a clean answer was the last one. "2xx done" does not name a file: if
// it was really a late line of the greeting, the actual answer precedes the 2xx that
// answers "quit".
func quit(conn *engineconn.Conn, a *backends.Answer) error {
	conn.NoReuse()
	if a.Category() != backends.OK {
		return nil
	}
	conn.SetStep("quit")
	conn.WriteUnchecked("quit\r\n")
	text, err := conn.Line()
	if err != nil && text == "" && engineconn.IsHangup(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if code, _ := ascii.Status(text, separators); code/100 != 2 {
		return fmt.Errorf("unexpected %.200q after the answer", text)
	}
	if rest := conn.Pending(); len(rest) > 0 {
		return fmt.Errorf("unexpected %.200q after the answer", rest)
	}
	return nil
}

// codeHit is the code of a line with a name.
const codeHit = 322

// parseAve adds a line of an answer about path and reports whether it is the final one.
// Names have no spaces.
func parseAve(text, path string, a *backends.Answer) (final bool, err error) {
	code, rest := ascii.Status(text, separators)
	switch {
	case code == codeHit:
		name, about, _ := strings.Cut(rest, " ")
		if about != "" && about != path && !strings.HasPrefix(about, path+"/") {
			return false, fmt.Errorf("unexpected answer %.200q, which is not about %q", text, path)
		}
		a.Found(backends.Virus, code, name, "")
		return false, nil
	case code/100 == 2 && continues(text):
		return false, fmt.Errorf("unexpected answer of several lines: %.200q", text)
	case code/100 == 2:
		a.Add(backends.OK, code, "")
		return true, nil
	case code/100 == 5:
		a.Add(backends.SWErr, code, text)
		return true, nil
	}
	return false, fmt.Errorf("unexpected answer %.200q", text)
}
