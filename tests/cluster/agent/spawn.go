package agent

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner starts all processes from one thread that never ends: they are to be killed when their parent dies, which the
// kernel understands as the parent's thread.
type spawner struct{ work chan func() }

func newSpawner() *spawner {
	s := &spawner{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for work := range s.work {
			work()
		}
	}()
	return s
}

// start the command in a process group of its own; with a mount namespace of its own when it is to have mounts.
func (s *spawner) start(command *exec.Cmd, mounts bool) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if mounts {
		command.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	done := make(chan error)
	s.work <- func() { done <- command.Start() }
	return <-done
}

// ask the process to end; what it started is its own affair.
func ask(command *exec.Cmd) { _ = command.Process.Signal(syscall.SIGTERM) }

// kill the process and what it started.
func kill(command *exec.Cmd) { _ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
