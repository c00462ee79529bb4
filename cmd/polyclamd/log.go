package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/config"
)

// newLog returns the daemon's logger. Its level is zerolog's global one, the
// only one that a reload can change in loggers that others keep by value.
func newLog(c config.Log, level string, w io.Writer) (zerolog.Logger, error) {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	if console(c.Format, w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.DateTime, NoColor: !isTerminal(w)}
	}
	if err := setLevel(c, level); err != nil {
		return zerolog.Nop(), err
	}
	return zerolog.New(w).With().Timestamp().Logger(), nil
}

// setLevel makes level, or else the configuration's, that of all loggers.
func setLevel(c config.Log, level string) error {
	if level == "" {
		level = c.Level
	}
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return err
	}
	zerolog.SetGlobalLevel(parsed)
	return nil
}

func console(format string, w io.Writer) bool {
	return format == "console" || format == "auto" && isTerminal(w)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// logProblems logs each problem of a configuration on a line of its own.
func logProblems(log zerolog.Logger, level zerolog.Level, err error) {
	problems, ok := err.(config.Problems)
	if !ok {
		log.WithLevel(level).Err(err).Msg("configuration")
		return
	}
	for _, p := range problems {
		log.WithLevel(level).Str("file", p.File).Int("line", p.Line).Str("key", p.Key).Str("problem", p.Text).Msg("configuration")
	}
}
