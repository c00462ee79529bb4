package main

import (
	"bytes"
	"io"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/logbuf"
)

const (
	// logBufferSize bounds the bytes that wait for the reader of stderr.
	logBufferSize = 1 << 20
	// logGrace is how long the daemon waits for that reader when it stops.
	logGrace = time.Second
)

// newLog returns the daemon's logger, and the buffer between it and w: only the buffer's
// Close ever waits for the reader. The level is zerolog's global one, because a reload must
// change it in loggers that others hold by value.
func newLog(c config.Log, level string, w io.Writer) (zerolog.Logger, *logbuf.Buffer, error) {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	if err := setLevel(c, level); err != nil {
		return zerolog.Nop(), nil, err
	}
	format := func(out io.Writer) io.Writer { return out }
	if console(c.Format, w) {
		colours := isTerminal(w)
		format = func(out io.Writer) io.Writer {
			return zerolog.ConsoleWriter{Out: out, TimeFormat: time.DateTime, NoColor: !colours}
		}
	}
	loss := format
	if isJournal(w) {
		loss = func(out io.Writer) io.Writer { return format(prioritized{out, journal.PriWarning}) }
	}
	buffer := logbuf.New(w, logBufferSize, func(lost int) []byte { return lossLine(loss, lost) })
	lines := zerolog.LevelWriter(levels{format(buffer), format(buffer.Important()), format(buffer.Expendable())})
	if isJournal(w) {
		lines = newJournalLevels(format, buffer)
	}
	return zerolog.New(lines).With().Timestamp().Logger(), buffer, nil
}

// levels sends warnings and errors to one writer, debugging lines to another, and the rest to
// a third.
type levels struct {
	io.Writer
	important  io.Writer
	expendable io.Writer
}

// WriteLevel implements [zerolog.LevelWriter].
func (l levels) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if level >= zerolog.WarnLevel {
		return l.important.Write(p)
	}
	if level < zerolog.InfoLevel {
		return l.expendable.Write(p)
	}
	return l.Write(p)
}

// lossLine returns the line that replaces lost lines. It is logged at every level.
func lossLine(format func(io.Writer) io.Writer, lost int) []byte {
	var line bytes.Buffer
	log := zerolog.New(format(&line)).With().Timestamp().Logger()
	log.Log().Str(zerolog.LevelFieldName, zerolog.LevelWarnValue).Int("lines", lost).
		Str("hint", "the log is read too slowly, or its disk is full").Msg("log lines lost")
	return line.Bytes()
}

// setLevel sets the level of all loggers: level, or if it is empty the configuration's.
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

// logProblems logs one line for each problem of a configuration.
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
