package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// screen is a terminal on which a command draws whole pages. close restores the terminal; it
// may be called from any goroutine, and again.
type screen struct {
	out   *os.File
	in    *os.File // nil: no keys
	saved *unix.Termios
	once  sync.Once
}

const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J" // the alternate screen, without a cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// openScreen takes over a terminal. Keys are read one by one if in is a terminal, too.
func openScreen(out, in *os.File) (*screen, error) {
	s := &screen{out: out}
	if in != nil {
		if saved, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
			keys := *saved
			keys.Lflag &^= unix.ICANON | unix.ECHO
			keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
			keys.Cc[unix.VSUSP] = 0 // a suspended command would leave the terminal as it is
			if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &keys); err != nil {
				return nil, fmt.Errorf("terminal: %w", err)
			}
			s.in, s.saved = in, saved
		}
	}
	if _, err := io.WriteString(out, enterScreen); err != nil {
		s.close()
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return s, nil
}

// close restores the terminal.
func (s *screen) close() {
	s.once.Do(func() {
		if s.saved != nil {
			unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETS, s.saved)
		}
		io.WriteString(s.out, leaveScreen)
	})
}

// size returns the columns and rows.
func (s *screen) size() (columns, rows int) {
	size, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 80, 24
	}
	return int(size.Col), int(size.Row)
}

// draw replaces the page. It writes over the old one, because erasing first would flicker.
func (s *screen) draw(lines []string) error {
	var b strings.Builder
	b.WriteString(topLeft)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + clearLine)
	}
	b.WriteString(clearRest)
	_, err := io.WriteString(s.out, b.String())
	return err
}

// The keys that are not characters.
const (
	keyEscape    = rune(0x1b)
	keyEnter     = '\r'
	keyBackspace = rune(0x7f)
)

// keysOf returns the keys in what a terminal sent. It drops sequences, such as those of arrow
// keys, and everything outside ASCII.
func keysOf(p []byte) (keys []rune) {
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == 0x1b && i+1 < len(p) && (p[i+1] == '[' || p[i+1] == 'O'):
			for i += 2; i < len(p) && (p[i] < 0x40 || p[i] > 0x7e); i++ {
			}
		case c == '\n':
			keys = append(keys, keyEnter)
		case c == 0x08:
			keys = append(keys, keyBackspace)
		case c == 0x1b, c == '\r', c >= 0x20 && c < 0x80:
			keys = append(keys, rune(c))
		}
	}
	return keys
}
