package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// hurry divides the periods of startup and readiness probes: tests wait for them. Liveness is left alone, since a busy
// machine must not end what lives.
const hurry = 5

// shortest period of a probe, and the period until a container is ready for the first time.
const shortest = 200 * time.Millisecond

// prober connects anew for each probe and believes every certificate, as the kubelet does.
var prober = &http.Client{
	Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, Proxy: nil},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// watch a running container by its probes, until the context ends.
func (c *container) watch(ctx context.Context) {
	if probe := c.spec.StartupProbe; probe != nil {
		c.repeat(ctx, probe, hurry, func(good bool) bool {
			if !good {
				c.unhealthy("startup", probe)
			}
			return good
		})
	}
	if ctx.Err() != nil {
		return
	}
	c.set(func() { c.started = true })
	if probe := c.spec.LivenessProbe; probe != nil {
		go c.repeat(ctx, probe, 1, func(good bool) bool {
			if !good {
				c.unhealthy("liveness", probe)
			}
			return !good
		})
	}
	if probe := c.spec.ReadinessProbe; probe != nil {
		c.repeat(ctx, probe, hurry, func(good bool) bool {
			c.set(func() { c.ready = good })
			return false
		})
	} else {
		c.set(func() { c.ready = true })
	}
}

// repeat a probe and tell each crossing of a threshold, until that says it is enough or the context ends.
func (c *container) repeat(ctx context.Context, probe *v1.Probe, divisor time.Duration, crossed func(good bool) bool) {
	period := max(time.Duration(probe.PeriodSeconds)*time.Second/divisor, shortest)
	pause := time.Duration(probe.InitialDelaySeconds) * time.Second / divisor
	row, state := 0, probe == c.spec.LivenessProbe // how many of the same outcome came in a row
	last := state
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		err := c.probe(ctx, probe)
		if ctx.Err() != nil {
			return
		}
		good := err == nil
		if good != last {
			row, last = 0, good
		}
		row++
		threshold := int(probe.SuccessThreshold)
		if !good {
			threshold = int(probe.FailureThreshold)
		}
		if row >= max(threshold, 1) && (good != state || !good && row == threshold) {
			state = good
			if !good {
				c.pod.log("%s: probe: %v", c.spec.Name, err)
			}
			if crossed(good) {
				return
			}
		}
		pause = period
		if !state && divisor > 1 {
			pause = shortest
		}
	}
}

// unhealthy ends the container, so that it is started again.
func (c *container) unhealthy(kind string, probe *v1.Probe) {
	c.mu.Lock()
	command := c.command
	c.mu.Unlock()
	if command == nil {
		return
	}
	grace := c.pod.object().Spec.TerminationGracePeriodSeconds
	if probe.TerminationGracePeriodSeconds != nil {
		grace = probe.TerminationGracePeriodSeconds
	}
	c.pod.log("%s: %s probe failed, ending it", c.spec.Name, kind)
	ask(command)
	if grace != nil {
		// The container's goroutine waits for the process; an answer later than this is too late.
		time.AfterFunc(time.Duration(*grace)*time.Second, func() {
			c.mu.Lock()
			same := c.command == command
			c.mu.Unlock()
			if same {
				kill(command)
			}
		})
	}
}

// probe once.
func (c *container) probe(ctx context.Context, probe *v1.Probe) error {
	ctx, done := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer done()
	return c.handle(ctx, v1.LifecycleHandler{Exec: probe.Exec, HTTPGet: probe.HTTPGet, TCPSocket: probe.TCPSocket})
}

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
	run.env, run.mounts = main.env, main.mounts
	command, err := c.pod.build(run)
	if err != nil {
		return err
	}
	if err := c.pod.agent.spawner.start(command, run.mounts); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { kill(command) })
	defer stop()
	return command.Wait()
}
