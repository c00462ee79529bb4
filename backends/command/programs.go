package command

import (
	"io/fs"
	"os"
	"syscall"

	"polyclam/backends"
)

var (
	_ backends.ProgramRunner = (*Backend)(nil)
	_ backends.ProgramRunner = (*versioned)(nil)
)

// CheckPrograms implements [backends.ProgramRunner].
func (b *Backend) CheckPrograms() error {
	if err := canStart(b.argv[0], b.path, "program"); err != nil {
		return b.wrap(err)
	}
	return nil
}

// CheckPrograms implements [backends.ProgramRunner].
func (b *versioned) CheckPrograms() error {
	if err := b.Backend.CheckPrograms(); err != nil {
		return err
	}
	if err := canStart(b.version[0], b.path, "version_argv"); err != nil {
		return b.wrap(err)
	}
	return nil
}

// accessExecute asks access(2) for the right to execute.
const accessExecute = 1

// canStart returns why a program cannot be started; key is its configuration key.
func canStart(name, path, key string) error {
	program, err := lookPath(name, path)
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(program); err == nil && !info.Mode().IsRegular() {
			err = &fs.PathError{Op: "start", Path: program, Err: syscall.EACCES}
		}
	}
	if err == nil {
		if errno := syscall.Access(program, accessExecute); errno != nil {
			err = &fs.PathError{Op: "access", Path: program, Err: errno}
		}
	}
	if err != nil {
		return newStartError(name, path, key, err)
	}
	return nil
}
