package agent

import (
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/version"

	"portcullis.dev/testcluster/settings"
)

// register makes the node of that index, or takes over the one a former agent made.
func (a *Agent) register(i int) error {
	name, nodes := a.s.NodeName(i), a.client.CoreV1().Nodes()
	node, err := nodes.Create(a.ctx, &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			v1.LabelHostname: name, v1.LabelOSStable: "linux", v1.LabelArchStable: "amd64",
			v1.LabelTopologyZone: fmt.Sprintf("zone-%d", i+1), v1.LabelTopologyRegion: "test",
		}},
		Spec: v1.NodeSpec{PodCIDR: fmt.Sprintf("%s.%d.0/24", a.s.PodPrefix, i)},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	// Admission marks new nodes as not ready.
	node.Spec.Taints = nil
	if node, err = nodes.Update(a.ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	now := metav1.Now()
	resources := v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("64"), v1.ResourceMemory: resource.MustParse("256Gi"), v1.ResourcePods: resource.MustParse("250"),
	}
	node.Status = v1.NodeStatus{
		Capacity: resources, Allocatable: resources,
		Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: a.s.NodeIP(i)}, {Type: v1.NodeHostName, Address: name}},
		Conditions: []v1.NodeCondition{{
			Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "AgentReady", LastHeartbeatTime: now, LastTransitionTime: now,
		}},
		NodeInfo: v1.NodeSystemInfo{
			KubeletVersion: version.Get().GitVersion, OperatingSystem: "linux", Architecture: "amd64", ContainerRuntimeVersion: "testcluster://1",
		},
	}
	if a.s.NodeExternalPrefix != "" {
		external := fmt.Sprintf("%s.%d", a.s.NodeExternalPrefix, i+1)
		node.Status.Addresses = append(node.Status.Addresses, v1.NodeAddress{Type: v1.NodeExternalIP, Address: external})
	}
	_, err = nodes.UpdateStatus(a.ctx, node, metav1.UpdateOptions{})
	return err
}

// heartbeat renews the lease of every node.
func (a *Agent) heartbeat() {
	leases := a.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	for {
		for i := range a.s.Nodes {
			name, now, seconds := a.s.NodeName(i), metav1.NowMicro(), int32(40)
			lease := &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: v1.NamespaceNodeLease},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now},
			}
			if old, err := leases.Get(a.ctx, name, metav1.GetOptions{}); err == nil {
				lease.ResourceVersion = old.ResourceVersion
				_, _ = leases.Update(a.ctx, lease, metav1.UpdateOptions{})
			} else {
				_, _ = leases.Create(a.ctx, lease, metav1.CreateOptions{})
			}
		}
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(10 * time.Second):
		}
	}
}

// addresses gives Pods their addresses, 250 on each node, in turn, so that one is not used again at once.
type addresses struct {
	s    *settings.Settings
	mu   sync.Mutex
	next int
	used map[string]bool
}

func newAddresses(s *settings.Settings) *addresses { return &addresses{s: s, used: map[string]bool{}} }

func (a *addresses) node(name string) int {
	for i := range a.s.Nodes {
		if a.s.NodeName(i) == name {
			return i
		}
	}
	return 0
}

func (a *addresses) take(node string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 250 {
		ip := fmt.Sprintf("%s.%d.%d", a.s.PodPrefix, a.node(node), 2+a.next%250)
		a.next++
		if !a.used[ip] {
			a.used[ip] = true
			return ip, nil
		}
	}
	return "", fmt.Errorf("%s has no address left", node)
}

func (a *addresses) release(ip string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, ip)
}
