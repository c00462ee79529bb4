package cli

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestReadable(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "/etc/polyclam/config.toml", Err: fs.ErrPermission}
	got := readable(denied.Path, denied).Error()
	for _, part := range []string{denied.Path + ": the user ", " may not read it; chmod 0644 " + denied.Path} {
		if !strings.Contains(got, part) {
			t.Errorf("got %q, want %q in it", got, part)
		}
	}
	other := errors.New("input/output error")
	if got := readable(denied.Path, other); got != other {
		t.Errorf("got %v, want %v", got, other)
	}
	if got := readable(denied.Path, nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}
