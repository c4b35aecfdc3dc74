package agent

import (
	"context"
	"crypto/tls"
	"net/http"
	"os/exec"
	"time"

	v1 "k8s.io/api/core/v1"
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
func (c *container) watch(ctx context.Context, command *exec.Cmd) {
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
	c.setIf(command, func() { c.started = true })
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
			c.setIf(command, func() { c.ready = good })
			return false
		})
	} else {
		c.setIf(command, func() { c.ready = true })
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
