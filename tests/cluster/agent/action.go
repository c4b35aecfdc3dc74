package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// handle does what a probe or a hook says. What is not known here succeeds.
func (c *container) handle(ctx context.Context, handler v1.LifecycleHandler) error {
	switch {
	case handler.HTTPGet != nil:
		return c.get(ctx, handler.HTTPGet)
	case handler.TCPSocket != nil:
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address(handler.TCPSocket.Host, handler.TCPSocket.Port))
		if err != nil {
			return err
		}
		return conn.Close()
	case handler.Exec != nil:
		return c.exec(ctx, handler.Exec.Command)
	case handler.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(handler.Sleep.Seconds) * time.Second):
		}
	}
	return nil
}

func (c *container) address(host string, port intstr.IntOrString) string {
	if host == "" {
		host = c.pod.ip
	}
	number := port.IntVal
	for _, named := range c.spec.Ports {
		if port.Type == intstr.String && named.Name == port.StrVal {
			number = named.ContainerPort
		}
	}
	return join(host, number)
}

func (c *container) get(ctx context.Context, action *v1.HTTPGetAction) error {
	scheme := strings.ToLower(string(action.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	url := scheme + "://" + c.address(action.Host, action.Port) + "/" + strings.TrimPrefix(action.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.36")
	for _, header := range action.HTTPHeaders {
		if strings.EqualFold(header.Name, "host") {
			request.Host = header.Value
		}
		request.Header.Set(header.Name, header.Value)
	}
	response, err := prober.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 1<<16)
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// exec runs a command as if inside the container; for a container that has no program there is nothing to do.
func (c *container) exec(ctx context.Context, words []string) error {
	image := c.pod.agent.image(c.spec.Image)
	if image == nil {
		return nil
	}
	if len(words) == 0 {
		return errors.New("an exec action without a command")
	}
	main, err := c.pod.program(c.spec)
	if err != nil {
		return err
	}
	run := c.pod.command(words, true, image)
	run.env = main.env
	command, err := c.pod.build(run)
	if err != nil {
		return err
	}
	if main.mounts {
		if err := c.enter(command); err != nil {
			return err
		}
	}
	if err := c.pod.agent.spawner.start(command, false); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { kill(command) })
	defer stop()
	return command.Wait()
}

// enter makes a command run where the container's own program does: in its mount namespace.
func (c *container) enter(command *exec.Cmd) error {
	program, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.command == nil || c.command.Process == nil {
		return errors.New("the container does not run")
	}
	target := strconv.Itoa(c.command.Process.Pid)
	command.Args = append([]string{program, "--target", target, "--mount", "--", command.Path}, command.Args[1:]...)
	command.Path = program
	return nil
}
