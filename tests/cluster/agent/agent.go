// Package agent stands in for the scheduler and for the kubelet of every node: it runs a local process for each
// container, on an address of the Pod's own, probes it, and reports what became of it.
package agent

import (
	"context"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"portcullis.dev/testcluster/pki"
	"portcullis.dev/testcluster/settings"
)

// retry is the pause after a request that the API server did not answer well.
const retry = 100 * time.Millisecond

// Agent runs the Pods of all nodes.
type Agent struct {
	ctx       context.Context
	s         *settings.Settings
	client    kubernetes.Interface
	authority *pki.Pair
	addresses *addresses
	spawner   *spawner

	mu       sync.Mutex
	nextNode map[string]int     // by namespace
	bound    map[types.UID]bool // Pods that a node is being found for, or was
	pods     map[types.UID]*pod
}

// Start registers the nodes and runs Pods until the context ends. The function it returns ends all processes.
func Start(ctx context.Context, config *rest.Config, s *settings.Settings) (func(), error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "testcluster-agent"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	authority, err := pki.LoadPair(s.Path(pki.CA))
	if err != nil {
		return nil, err
	}
	a := &Agent{
		ctx: ctx, s: s, client: client, authority: authority,
		addresses: newAddresses(s), spawner: newSpawner(), nextNode: map[string]int{}, bound: map[types.UID]bool{}, pods: map[types.UID]*pod{},
	}
	for i := range s.Nodes {
		if err := a.register(i); err != nil {
			return nil, err
		}
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	handlers := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { a.seen(object.(*v1.Pod)) },
		UpdateFunc: func(_, object any) { a.seen(object.(*v1.Pod)) },
		DeleteFunc: a.gone,
	}
	registration, err := factory.Core().V1().Pods().Informer().AddEventHandler(handlers)
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), registration.HasSynced)
	go a.heartbeat()
	return a.end, nil
}

// seen tells the Pod's own goroutine what the Pod has become, and starts one for a new Pod.
func (a *Agent) seen(object *v1.Pod) {
	if object.Spec.NodeName == "" {
		go a.schedule(object)
		return
	}
	a.mu.Lock()
	p := a.pods[object.UID]
	if p == nil && !finished(object) {
		p = newPod(a, object)
		a.pods[object.UID] = p
		go p.live()
	}
	a.mu.Unlock()
	if p != nil {
		p.update(object)
	} else if object.DeletionTimestamp != nil {
		go a.remove(object)
	}
}

// gone ends the processes of a Pod that was deleted without being asked to terminate first.
func (a *Agent) gone(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if object, ok := object.(*v1.Pod); ok {
		delete(a.bound, object.UID)
		if p := a.pods[object.UID]; p != nil {
			p.kill()
		}
	}
}

func (a *Agent) forget(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pods, uid)
}

// end kills every process. The kernel would do it, too, when this one ends.
func (a *Agent) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.pods {
		p.kill()
	}
}

// schedule binds a Pod to the next node, in turn within its namespace, unless that is under way.
func (a *Agent) schedule(object *v1.Pod) {
	other := object.Spec.SchedulerName != "" && object.Spec.SchedulerName != v1.DefaultSchedulerName
	if object.DeletionTimestamp != nil || len(object.Spec.SchedulingGates) > 0 || other {
		return
	}
	a.mu.Lock()
	again := a.bound[object.UID]
	a.bound[object.UID] = true
	node := a.s.NodeName(a.nextNode[object.Namespace] % a.s.Nodes)
	if !again {
		a.nextNode[object.Namespace]++
	}
	a.mu.Unlock()
	if again {
		return
	}
	a.insist("scheduling "+object.Name, func() error {
		err := a.client.CoreV1().Pods(object.Namespace).Bind(a.ctx, &v1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: object.Name, Namespace: object.Namespace, UID: object.UID},
			Target:     v1.ObjectReference{Kind: "Node", Name: node},
		}, metav1.CreateOptions{})
		if apierrors.IsConflict(err) { // bound already, for an older event
			return nil
		}
		return err
	})
}

// remove makes a Pod that has no process any more disappear.
func (a *Agent) remove(object *v1.Pod) {
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &object.UID}}
	a.insist("removing "+object.Name, func() error {
		err := a.client.CoreV1().Pods(object.Namespace).Delete(a.ctx, object.Name, now)
		if apierrors.IsConflict(err) { // another Pod of that name
			return nil
		}
		return err
	})
}

// insist repeats a request until it succeeds, what it is about is gone, or the agent ends. The API server may be away
// for long.
func (a *Agent) insist(what string, request func() error) {
	for a.ctx.Err() == nil {
		err := request()
		if err == nil || apierrors.IsNotFound(err) {
			return
		}
		klog.V(1).Infof("%s: %v", what, err)
		select {
		case <-a.ctx.Done():
		case <-time.After(retry):
		}
	}
}
