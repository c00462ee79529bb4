package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"polyclam/test/child"
	"time"
)

// launch starts a program with these writers as its output and error.
func launch(out, errors io.Writer, env []string, program string, args ...string) (*child.Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, errors
	cmd.WaitDelay = 5 * time.Second // grandchildren may hold the output
	cmd.Env = append(cmd.Environ(), env...)
	return child.Start(cmd)
}

// patience is how long anything may take before the harness gives up. It measures
// nothing.
const patience = 60 * time.Second

// awaitLine waits for the first line of output.
func awaitLine(r io.Reader) error {
	line := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(r).ReadString('\n')
		line <- err
		io.Copy(io.Discard, r)
	}()
	select {
	case err := <-line:
		return err
	case <-time.After(patience):
		return errors.New("it says nothing")
	}
}

// build compiles a command of the module.
func build(binary, name string, flags ...string) error {
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, name)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", name, err, out)
	}
	return nil
}
