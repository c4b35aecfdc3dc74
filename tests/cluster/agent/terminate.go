package agent

import (
	"context"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
)

// terminate ends the containers as the kubelet does: the preStop hook, SIGTERM, and SIGKILL when the grace period, which
// the hook's time is part of, is over. Before that the Pod goes on as its annotation says.
func (p *pod) terminate(object *v1.Pod) {
	select {
	case <-p.ctx.Done():
		return
	case <-time.After(duration(object, annotationStopDelay)):
	}
	grace := int64(30)
	if object.DeletionGracePeriodSeconds != nil {
		grace = *object.DeletionGracePeriodSeconds
	}
	ctx, done := context.WithTimeout(p.ctx, time.Duration(grace)*time.Second)
	defer done()
	var all sync.WaitGroup
	for _, c := range p.containers {
		all.Go(func() { c.terminate(ctx) })
	}
	all.Wait()
}

func (c *container) terminate(ctx context.Context) {
	c.mu.Lock()
	command := c.command
	c.mu.Unlock()
	if command == nil {
		return
	}
	if hooks := c.spec.Lifecycle; hooks != nil && hooks.PreStop != nil {
		if err := c.handle(ctx, *hooks.PreStop); err != nil {
			c.pod.log("%s: preStop: %v", c.spec.Name, err)
		}
	}
	ask(command)
	for {
		c.mu.Lock()
		ended := c.command != command
		c.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-ctx.Done():
			kill(command)
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}
