package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// patience with a process that starts or ends.
const patience = 2 * time.Minute

// process is one child, over all its restarts.
type process struct {
	name  string
	path  string
	args  []string
	log   string
	ready func(ctx context.Context) error // beyond the line on standard output; nil: that line is enough

	asked   atomic.Bool // to end
	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // closed when the command has ended
}

// starts is served by one thread that never ends: children are killed when their parent's thread does.
var starts = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
}()

// start the process and wait until it is ready.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("%s runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(p.path, p.args...)
	command.Stderr = log
	// Not of this process group, so that an interrupt from the terminal reaches the supervisor alone.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	line := make(chan error, 1)
	if p.ready == nil {
		reader, writer, err := os.Pipe()
		if err != nil {
			return err
		}
		defer writer.Close()
		command.Stdout = writer
		go func() {
			_, err := bufio.NewReader(reader).ReadString('\n')
			line <- err
			_, _ = io.Copy(io.Discard, reader)
			_ = reader.Close()
		}()
	} else {
		command.Stdout = log
	}
	done := make(chan error)
	starts <- func() { done <- command.Start() }
	if err := <-done; err != nil {
		return err
	}
	ended := make(chan struct{})
	p.command, p.ended = command, ended
	p.asked.Store(false)
	go func() {
		err := command.Wait()
		if !p.asked.Load() {
			fmt.Fprintf(os.Stderr, "testcluster: %s ended by itself: %v\n", p.name, err)
		}
		close(ended)
	}()
	if p.ready != nil {
		go func() { line <- p.ready(ctx) }()
	}
	select {
	case err = <-line:
	case <-ended:
		err = errors.New("it ended")
	case <-time.After(patience):
		err = errors.New("it takes too long")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s did not start: %w\n%s", p.name, err, tail(p.log))
	}
	return nil
}

// running, as far as is known. Called with the process locked.
func (p *process) running() bool {
	if p.command == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.command.Process.Pid
}

// signal it, without waiting for what it does.
func (p *process) signal(number syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%s does not run", p.name)
	}
	return p.command.Process.Signal(number)
}

// end it by a signal, by SIGKILL when that takes too long, and wait.
func (p *process) end(number syscall.Signal, within time.Duration) error {
	p.asked.Store(true)
	if err := p.signal(number); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(within):
	}
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.ended
	return nil
}

// tail is the end of a log, for messages.
func tail(path string) []byte {
	text, _ := os.ReadFile(path)
	return text[max(0, len(text)-4000):]
}
