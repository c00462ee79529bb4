package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// initPID is the process id of the first process of a container.
const initPID = 1

// superviseDaemon runs the daemon as a child of this process, the first of a container, and
// returns its exit status. The kernel makes the first process the parent of every orphan,
// such as a process that a scanner started, and it must reap them. If the daemon did that
// itself, it could reap a scanner before the code that waits for the scanner's exit status.
func superviseDaemon(args []string) int {
	daemon, err := startChild(args)
	if err != nil {
		return exitStatus(fmt.Errorf("start the daemon: %w", err), os.Stderr)
	}
	// The kernel drops signals to the first process that it has no handler for.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		for s := range signals {
			unix.Kill(daemon, s.(syscall.Signal))
		}
	}()
	return reapUntil(daemon)
}

// startChild starts the daemon in a new process group. Otherwise a signal from the terminal
// would reach it twice: directly and passed on.
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

// reapUntil reaps children until the daemon has ended, and returns its exit status. Like a
// shell it adds 128 to the number of a signal that killed the daemon.
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

// inheritFromInit takes over the sockets and the watchdog that the service manager passed
// to the parent, the first process: LISTEN_PID and WATCHDOG_PID name the process that may
// use them.
func inheritFromInit() {
	if os.Getppid() != initPID {
		return
	}
	for _, name := range []string{"LISTEN_PID", "WATCHDOG_PID"} {
		if os.Getenv(name) == strconv.Itoa(initPID) {
			os.Setenv(name, strconv.Itoa(os.Getpid()))
		}
	}
}
