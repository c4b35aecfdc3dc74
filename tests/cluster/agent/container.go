package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pauses between restarts, a fiftieth of the kubelet's.
const (
	firstPause = 200 * time.Millisecond
	lastPause  = 6 * time.Second
)

// container is one container of a Pod, over all its restarts.
type container struct {
	pod  *pod
	spec *v1.Container

	mu       sync.Mutex
	command  *exec.Cmd // nil when nothing runs
	waiting  string    // reason why it does not run
	message  string
	since    metav1.Time                  // when it was started
	last     *v1.ContainerStateTerminated // how it ended the last time
	over     bool                         // it will not be started again
	restarts int32
	started  bool // past its startup probe
	ready    bool
}

// run fetches the token, runs the init containers to their end, one after the other, and then the containers.
func (p *pod) run() {
	object := p.object()
	if wantsToken(object) {
		p.agent.insist("token of "+p.name, func() error {
			if p.ctx.Err() != nil {
				return nil
			}
			renew, err := p.agent.writeToken(object, p.tokenDir())
			if err == nil {
				go p.renewToken(renew)
			}
			return err
		})
	}
	for i := range object.Spec.InitContainers {
		spec := &object.Spec.InitContainers[i]
		if p.agent.image(spec.Image) == nil { // nothing here stands for it: taken for done
			continue
		}
		first := &container{pod: p, spec: spec}
		first.keep(func(code int32) bool { return code != 0 })
	}
	var all sync.WaitGroup
	for _, c := range p.containers {
		all.Go(func() {
			c.keep(func(code int32) bool {
				policy := object.Spec.RestartPolicy
				return policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
			})
		})
	}
	all.Wait()
}

// set changes the container and has the Pod report it.
func (c *container) set(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	c.pod.look()
}

// setIf changes the container while that command is the one that runs: its probes may end later than it.
func (c *container) setIf(command *exec.Cmd, change func()) {
	c.set(func() {
		if c.command == command {
			change()
		}
	})
}

// keep the container running, as long as `again` wants it for the exit code.
func (c *container) keep(again func(code int32) bool) {
	pause := firstPause
	for c.pod.ctx.Err() == nil {
		begin := time.Now()
		code, err := c.once()
		stopping := c.pod.object().DeletionTimestamp != nil
		if err == nil && (stopping || !again(code)) {
			c.set(func() { c.over = true })
			return
		}
		if time.Since(begin) > lastPause {
			pause = firstPause
		}
		reason, message := "CrashLoopBackOff", fmt.Sprintf("back-off %s", pause)
		if err != nil {
			reason, message = "CreateContainerError", err.Error()
		}
		c.set(func() { c.waiting, c.message = reason, message })
		select {
		case <-c.pod.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
		if err == nil {
			c.set(func() { c.restarts++ })
		}
	}
}

// once runs the program to its end and gives its exit code; the error says that it could not be started.
func (c *container) once() (int32, error) {
	run, err := c.pod.program(c.spec)
	if err != nil {
		return 0, err
	}
	ctx, done := context.WithCancel(c.pod.ctx)
	defer done()
	if run == nil {
		c.set(func() { c.waiting, c.started, c.ready, c.since = "", true, true, metav1.Now() })
		<-ctx.Done()
		return 0, nil
	}
	command, err := c.pod.build(run)
	if err != nil {
		return 0, err
	}
	if err := c.start(command, run); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { kill(command) })
	c.set(func() {
		c.command, c.waiting, c.message, c.since, c.started, c.ready = command, "", "", metav1.Now(), false, false
	})
	go c.watch(ctx, command)
	err = command.Wait()
	stop()
	kill(command) // what it left behind
	end := ending(command, err, c.since)
	c.pod.log("%s: %s", c.spec.Name, end.Message)
	c.set(func() { c.command, c.started, c.ready, c.last = nil, false, false, end })
	return end.ExitCode, nil
}

// start the program; the echo backend is only taken for started once it listens.
func (c *container) start(command *exec.Cmd, run *program) error {
	if !run.echo {
		return c.pod.agent.spawner.start(command, run.mounts)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	command.ExtraFiles = []*os.File{writer}
	err = c.pod.agent.spawner.start(command, false)
	_ = writer.Close()
	if err != nil {
		return err
	}
	if _, err := bufio.NewReader(reader).ReadString('\n'); err != nil {
		kill(command)
		return errors.Join(errors.New("the backend ended before it listened; its log says why"), command.Wait())
	}
	return nil
}

func ending(command *exec.Cmd, err error, since metav1.Time) *v1.ContainerStateTerminated {
	end := &v1.ContainerStateTerminated{StartedAt: since, FinishedAt: metav1.Now(), Reason: "Completed", Message: "ended"}
	if err != nil {
		end.Reason, end.Message, end.ExitCode = "Error", err.Error(), int32(command.ProcessState.ExitCode())
		if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			end.Signal = int32(status.Signal())
			end.ExitCode = 128 + end.Signal
		}
	}
	return end
}
