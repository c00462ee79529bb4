package testkit

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// TestWriteProgram executes new programs while other goroutines start processes.
func TestWriteProgram(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var others, programs sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					exec.Command("/bin/true").Run()
				}
			}
		})
	}
	for i := range 200 {
		path := filepath.Join(dir, strconv.Itoa(i))
		WriteProgram(t, path, []byte("#!/bin/sh\n"))
		programs.Go(func() {
			if err := exec.Command(path).Run(); err != nil {
				t.Error(err)
			}
		})
	}
	programs.Wait()
	close(stop)
	others.Wait()
}
