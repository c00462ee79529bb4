package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstProcess is the process id that the first process of a container has.
const firstProcess = 1

// superviseDaemon runs the daemon as a child of this process, the first of a container,
// and returns its exit status. The kernel gives every orphan of the container to the
// first process, which must reap it; among them are what scanners started and left.
// Were that the daemon itself, it could take the exit status of a scanner from the
// code that waits for it.
func superviseDaemon(args []string) int {
	daemon, err := startChild(args)
	if err != nil {
		return exitStatus(fmt.Errorf("start as the child of the first process: %w", err), os.Stderr)
	}
	// The kernel drops signals to the first process for which it has no handler.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		for s := range signals {
			unix.Kill(daemon, s.(syscall.Signal))
		}
	}()
	return reapUntil(daemon)
}

// startChild starts the daemon in a new process group: a signal that a terminal sends
// to the whole group must reach it only once, passed on.
func startChild(args []string) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	child, err := os.StartProcess(program, append([]string{os.Args[0]}, args...), &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, err
	}
	defer child.Release()
	return child.Pid, nil
}

// reapUntil reaps every child until the daemon has ended, and returns the daemon's
// exit status; 128 and the number of the signal that killed it, as shells do.
func reapUntil(daemon int) int {
	for {
		var status unix.WaitStatus
		switch pid, err := unix.Wait4(-1, &status, 0, nil); {
		case err == unix.EINTR:
		case err != nil:
			return exitStatus(os.NewSyscallError("wait4", err), os.Stderr)
		case pid != daemon:
		case status.Signaled():
			return 128 + int(status.Signal())
		case status.Exited():
			return status.ExitStatus()
		}
	}
}

// inheritFromFirst makes what the service manager gave to the first process ours:
// LISTEN_PID and WATCHDOG_PID name the process that they are for.
func inheritFromFirst() {
	if os.Getppid() != firstProcess {
		return
	}
	for _, name := range []string{"LISTEN_PID", "WATCHDOG_PID"} {
		if os.Getenv(name) == strconv.Itoa(firstProcess) {
			os.Setenv(name, strconv.Itoa(os.Getpid()))
		}
	}
}
