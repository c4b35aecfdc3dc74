package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations on a Pod that tell the agent to misbehave.
const (
	annotationReady      = "testcluster/ready"       // "false": the Pod runs but is not Ready
	annotationStartDelay = "testcluster/start-delay" // wait so long before the Pod runs
	annotationStopDelay  = "testcluster/stop-delay"  // go on serving so long after deletion
	annotationServe      = "testcluster/serve"       // "false": Ready, but nothing listens
)

// pod is one Pod with a goroutine of its own, from binding to removal.
type pod struct {
	agent           *Agent
	namespace, name string
	ip              string
	ctx             context.Context // ends when the Pod is to be gone at once
	kill            context.CancelFunc
	changed         chan struct{} // something is to be looked at; holds one

	mu         sync.Mutex
	latest     *v1.Pod
	started    metav1.Time
	problem    string // why nothing runs
	containers []*container
	conditions map[v1.PodConditionType]v1.PodCondition
	output     *os.File
}

func newPod(a *Agent, object *v1.Pod) *pod {
	p := &pod{
		agent: a, namespace: object.Namespace, name: object.Name, latest: object, started: metav1.Now(),
		changed: make(chan struct{}, 1), conditions: map[v1.PodConditionType]v1.PodCondition{},
	}
	p.ctx, p.kill = context.WithCancel(a.ctx)
	return p
}

func (p *pod) object() *v1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest
}

func (p *pod) update(object *v1.Pod) {
	p.mu.Lock()
	p.latest = object
	p.mu.Unlock()
	p.look()
}

// look makes the Pod's goroutine look again.
func (p *pod) look() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// log writes to the Pod's own log.
func (p *pod) log(format string, args ...any) {
	fmt.Fprintf(p.output, "agent: "+format+"\n", args...)
}

func (p *pod) directory() string {
	return p.agent.s.Path("pods", p.namespace+"_"+p.name+"_"+string(p.object().UID))
}

func (p *pod) tokenDir() string { return filepath.Join(p.directory(), "serviceaccount") }

func (p *pod) hostIP() string { return p.hostIPOf(p.object()) }

// live is the Pod's goroutine.
func (p *pod) live() {
	defer p.agent.forget(p.object().UID)
	defer p.kill()
	if !p.delay() {
		return
	}
	if err := p.prepare(); err != nil {
		p.problem = err.Error()
		p.follow(nil)
		return
	}
	defer p.agent.addresses.release(p.ip)
	defer p.output.Close()
	defer os.RemoveAll(p.directory())
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(p.run)
	p.follow(&running)
	p.kill()
}

// delay waits as the annotation says, and tells whether the Pod is still wanted.
func (p *pod) delay() bool {
	wait := duration(p.object(), annotationStartDelay) - time.Since(p.object().CreationTimestamp.Time)
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-p.ctx.Done():
			return false
		case <-p.changed:
			if object := p.object(); object.DeletionTimestamp != nil {
				p.agent.remove(object)
				return false
			}
		}
	}
}

// prepare takes an address, opens the log and fetches the token.
func (p *pod) prepare() (err error) {
	object := p.object()
	if err = os.MkdirAll(p.directory(), 0o755); err != nil {
		return err
	}
	if p.output, err = os.OpenFile(p.agent.s.Path("pods", p.namespace+"_"+p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	p.ip = p.hostIP()
	if !object.Spec.HostNetwork {
		if p.ip, err = p.agent.addresses.take(object.Spec.NodeName); err != nil {
			return err
		}
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, &container{pod: p, spec: &object.Spec.Containers[i], waiting: "ContainerCreating"})
	}
	return nil
}

// follow reports and obeys until the Pod is to be removed. A report that fails is made again, with what is true then.
func (p *pod) follow(running *sync.WaitGroup) {
	terminated := make(chan struct{})
	terminating := false
	for {
		object := p.object()
		if object.DeletionTimestamp != nil && !terminating {
			terminating = true
			go func() {
				p.terminate(object)
				close(terminated)
			}()
		}
		again := time.Hour
		if err := p.report(); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			again = retry
		}
		select {
		case <-p.changed:
		case <-time.After(again):
		case <-terminated:
			p.kill()
			if running != nil {
				running.Wait()
			}
			p.agent.remove(object)
			return
		case <-p.ctx.Done():
			return
		}
	}
}

func duration(object *v1.Pod, annotation string) time.Duration {
	d, _ := time.ParseDuration(object.Annotations[annotation])
	return d
}

func finished(object *v1.Pod) bool {
	return object.Status.Phase == v1.PodSucceeded || object.Status.Phase == v1.PodFailed
}
