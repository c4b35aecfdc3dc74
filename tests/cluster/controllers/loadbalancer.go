package controllers

import (
	"context"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// NoAddress on a Service of type LoadBalancer keeps it pending for ever.
const NoAddress = "testcluster/no-address"

// balancer gives Services of type LoadBalancer an address of the balancer range. Nothing answers at it.
type balancer struct {
	*starter
	services listers.ServiceLister
	queue    workqueue.TypedRateLimitingInterface[string]

	mu    sync.Mutex
	given map[string]string // address by namespace/name
}

func (c *starter) balancers() error {
	informer := c.shared.Core().V1().Services()
	b := &balancer{
		starter: c, services: informer.Lister(), given: map[string]string{},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	add := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			b.queue.Add(key)
		}
	}
	handlers := cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, object any) { add(object) }, DeleteFunc: add}
	registration, err := informer.Informer().AddEventHandler(handlers)
	if err != nil {
		return err
	}
	context.AfterFunc(c.ctx, b.queue.ShutDown)
	c.add(func() {
		// All addresses that are in use have to be known before one is given.
		cache.WaitForCacheSync(c.ctx.Done(), registration.HasSynced)
		b.remember()
		for b.next() {
		}
	})
	return nil
}

func (b *balancer) next() bool {
	key, quit := b.queue.Get()
	if quit {
		return false
	}
	defer b.queue.Done(key)
	if err := b.sync(key); err != nil && !apierrors.IsNotFound(err) {
		klog.Errorf("load balancer of %s: %v", key, err)
		b.queue.AddRateLimited(key)
		return true
	}
	b.queue.Forget(key)
	return true
}

// remember takes over what a former process gave.
func (b *balancer) remember() {
	services, _ := b.services.List(labels.Everything())
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, service := range services {
		if ingress := service.Status.LoadBalancer.Ingress; len(ingress) > 0 {
			b.given[service.Namespace+"/"+service.Name] = ingress[0].IP
		}
	}
}

func (b *balancer) sync(key string) error {
	namespace, name, _ := cache.SplitMetaNamespaceKey(key)
	service, err := b.services.Services(namespace).Get(name)
	if err != nil {
		b.release(key)
		return err
	}
	var want []v1.LoadBalancerIngress
	class := service.Spec.LoadBalancerClass
	if service.Spec.Type == v1.ServiceTypeLoadBalancer && class == nil && service.Annotations[NoAddress] == "" {
		address, err := b.address(key)
		if err != nil {
			return err
		}
		want = []v1.LoadBalancerIngress{{IP: address}}
	} else {
		b.release(key)
	}
	have := service.Status.LoadBalancer.Ingress
	if class != nil || len(have) == len(want) && (len(have) == 0 || have[0].IP == want[0].IP) {
		return nil
	}
	service = service.DeepCopy()
	service.Status.LoadBalancer.Ingress = want
	_, err = b.client.CoreV1().Services(namespace).UpdateStatus(b.ctx, service, metav1.UpdateOptions{})
	return err
}

func (b *balancer) release(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.given, key)
}

// address of that Service: the one it has, or the lowest that is free.
func (b *balancer) address(key string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if address, ok := b.given[key]; ok {
		return address, nil
	}
	used := map[string]bool{}
	for _, address := range b.given {
		used[address] = true
	}
	for i := 1; i < 255; i++ {
		if address := fmt.Sprintf("%s.%d", b.s.BalancerPrefix, i); !used[address] {
			b.given[key] = address
			return address, nil
		}
	}
	return "", fmt.Errorf("%s.0/24 is used up", b.s.BalancerPrefix)
}
