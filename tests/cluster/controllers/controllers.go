// Package controllers runs Kubernetes' own controllers, as far as an ingress controller sees what they do: Deployments
// become Pods, Services become EndpointSlices, namespaces get their ServiceAccount. They are taken from their packages:
// the kube-controller-manager command would bring the kubelet and the volume plugins into the build.
package controllers

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher"
	"k8s.io/kubernetes/pkg/controller/clusterroleaggregation"
	"k8s.io/kubernetes/pkg/controller/deployment"
	"k8s.io/kubernetes/pkg/controller/endpoint"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
	"k8s.io/kubernetes/pkg/controller/endpointslicemirroring"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/replicaset"
	sacontroller "k8s.io/kubernetes/pkg/controller/serviceaccount"
	"k8s.io/kubernetes/pkg/serviceaccount"

	"portcullis.dev/testcluster/pki"
	"portcullis.dev/testcluster/settings"
)

// starter holds what every controller is made from, and what is to run once the informers are started.
type starter struct {
	ctx      context.Context
	s        *settings.Settings
	client   kubernetes.Interface
	metadata metadata.Interface
	shared   informers.SharedInformerFactory
	both     informerfactory.InformerFactory
	started  chan struct{}
	run      []func()
}

// Start runs all controllers until the context ends.
func Start(ctx context.Context, config *rest.Config, s *settings.Settings) (func(), error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "testcluster-controllers"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	c := &starter{
		ctx: ctx, s: s, client: client, metadata: meta, shared: shared,
		both:    informerfactory.NewInformerFactory(shared, metadatainformer.NewSharedInformerFactory(meta, 0)),
		started: make(chan struct{}),
	}
	for name, add := range map[string]func() error{
		"workloads": c.workloads, "endpoints": c.endpoints, "serviceaccounts": c.serviceAccounts,
		"namespaces": c.namespaces, "garbagecollector": c.garbage, "load balancers": c.balancers,
	} {
		if err := add(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	c.both.Start(ctx.Done())
	close(c.started)
	for _, run := range c.run {
		go run()
	}
	return func() {}, nil
}

func (c *starter) add(run func()) { c.run = append(c.run, run) }

func (c *starter) workloads() error {
	apps, core := c.shared.Apps().V1(), c.shared.Core().V1()
	deployments, err := deployment.NewDeploymentController(c.ctx, apps.Deployments(), apps.ReplicaSets(), core.Pods(), c.client)
	if err != nil {
		return err
	}
	replicas := replicaset.NewReplicaSetController(c.ctx, apps.ReplicaSets(), core.Pods(), c.client, replicaset.BurstReplicas)
	c.add(func() { deployments.Run(c.ctx, 5) })
	c.add(func() { replicas.Run(c.ctx, 5) })
	return nil
}

func (c *starter) endpoints() error {
	core, slices := c.shared.Core().V1(), c.shared.Discovery().V1().EndpointSlices()
	slice := endpointslice.NewController(c.ctx, core.Pods(), core.Services(), core.Nodes(), slices, 100, c.client, 0)
	mirror := endpointslicemirroring.NewController(c.ctx, core.Endpoints(), slices, core.Services(), 1000, c.client, 0)
	legacy := endpoint.NewEndpointController(c.ctx, core.Pods(), core.Services(), core.Endpoints(), c.client, 0)
	c.add(func() { slice.Run(c.ctx, 5) })
	c.add(func() { mirror.Run(c.ctx, 5) })
	c.add(func() { legacy.Run(c.ctx, 5) })
	return nil
}

func (c *starter) serviceAccounts() error {
	log, core := klog.FromContext(c.ctx), c.shared.Core().V1()
	ca, err := os.ReadFile(c.s.Path(pki.CA + ".crt"))
	if err != nil {
		return err
	}
	key, err := keyutil.PrivateKeyFromFile(c.s.Path(pki.SAKey))
	if err != nil {
		return err
	}
	generator, err := serviceaccount.JWTTokenGenerator(serviceaccount.LegacyIssuer, key)
	if err != nil {
		return err
	}
	accounts, err := sacontroller.NewServiceAccountsController(log, core.ServiceAccounts(), core.Namespaces(), c.client, sacontroller.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return err
	}
	tokens, err := sacontroller.NewTokensController(log, core.ServiceAccounts(), core.Secrets(), c.client, sacontroller.TokensControllerOptions{TokenGenerator: generator, RootCA: ca})
	if err != nil {
		return err
	}
	publisher, err := rootcacertpublisher.NewPublisher(core.ConfigMaps(), core.Namespaces(), c.client, ca)
	if err != nil {
		return err
	}
	roles := clusterroleaggregation.NewClusterRoleAggregation(c.shared.Rbac().V1().ClusterRoles(), c.client.RbacV1())
	c.add(func() { accounts.Run(c.ctx, 2) })
	c.add(func() { tokens.Run(c.ctx, 2) })
	c.add(func() { publisher.Run(c.ctx, 1) })
	c.add(func() { roles.Run(c.ctx, 2) })
	return nil
}

func (c *starter) namespaces() error {
	resources := c.client.Discovery().ServerPreferredNamespacedResources
	namespaces := namespace.NewNamespaceController(c.ctx, c.client, c.metadata, resources, c.shared.Core().V1().Namespaces(), 5*time.Minute, v1.FinalizerKubernetes)
	c.add(func() { namespaces.Run(c.ctx, 5) })
	return nil
}

func (c *starter) garbage() error {
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Discovery()))
	collector, err := garbagecollector.NewGarbageCollector(c.ctx, c.client, c.metadata, mapper, garbagecollector.DefaultIgnoredResources(), c.both, c.started)
	if err != nil {
		return err
	}
	c.add(func() { collector.Run(c.ctx, 5, 30*time.Second) })
	// How soon the collector learns of new CustomResourceDefinitions.
	c.add(func() { collector.Sync(c.ctx, c.client.Discovery(), 5*time.Second) })
	return nil
}
