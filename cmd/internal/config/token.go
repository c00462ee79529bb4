package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

const (
	maxToken = 4 << 10 // bytes
	minToken = 16      // shorter ones can be guessed
)

// ReadToken reads the file of token_file in [http]. A line break at its end does not count.
// A warning says that the token is not well protected. Neither contains the token.
func ReadToken(path string) (token, warning string, err error) {
	// Opening a pipe would block.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", "", plainPathError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", plainPathError(err)
	}
	if !info.Mode().IsRegular() {
		return "", "", fmt.Errorf("%s is not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", "", plainPathError(err)
	}
	token = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if err := checkToken(path, token); err != nil {
		return "", "", err
	}
	switch {
	case info.Mode().Perm()&0o004 != 0:
		warning = fmt.Sprintf("every user of this machine can read %s; chmod 0640 it, or 0600", path)
	case len(token) < minToken:
		warning = fmt.Sprintf("the token in %s has %d characters and can be guessed; write a longer one, for example from \"openssl rand -hex 32\"", path, len(token))
	}
	return token, warning, nil
}

// checkToken reports a token that no client could send.
func checkToken(path, token string) error {
	const remedy = "write one token, for example from \"openssl rand -hex 32\""
	switch {
	case token == "":
		return fmt.Errorf("%s is empty; %s", path, remedy)
	case len(token) > maxToken:
		return fmt.Errorf("%s is larger than %d bytes; %s", path, maxToken, remedy)
	case strings.ContainsAny(token, "\r\n"):
		return fmt.Errorf("%s has more than one line; %s", path, remedy)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("%s has a character that a token cannot have, such as a space; %s", path, remedy)
	}
	return nil
}

// plainPathError returns err in the words of the system.
func plainPathError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}
