package agent

import (
	"encoding/json"
	"reflect"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// report writes the Pod's status when it is another one than the API server has.
func (p *pod) report() error {
	p.mu.Lock()
	object := p.latest
	want := p.status(object)
	p.mu.Unlock()
	if same(&object.Status, want) {
		return nil
	}
	body, err := patch(object.UID, want)
	if err != nil {
		return err
	}
	updated, err := p.agent.client.CoreV1().Pods(p.namespace).Patch(p.ctx, p.name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == object { // the watch may have brought a newer one
		p.latest = updated
	}
	return nil
}

// patch is a strategic merge. The UID makes it fail when the Pod was replaced by another of its name; addresses would be
// added to those that a former agent gave, of which a Pod may have but one.
func patch(uid types.UID, want *v1.PodStatus) ([]byte, error) {
	text, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	if addresses, ok := fields["podIPs"].([]any); ok {
		fields["podIPs"] = append([]any{map[string]any{"$patch": "replace"}}, addresses...)
	}
	return json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": fields})
}

// same says whether a status has all that is wanted. Conditions of others, such as readiness gates, do not matter.
func same(have, want *v1.PodStatus) bool {
	for _, condition := range want.Conditions {
		if status(have, condition.Type) != condition.Status {
			return false
		}
	}
	return have.Phase == want.Phase && have.PodIP == want.PodIP && have.Message == want.Message &&
		reflect.DeepEqual(brief(have), brief(want))
}

// brief is what matters of the containers, without times that lose precision on their way.
func brief(status *v1.PodStatus) []any {
	var list []any
	for _, c := range status.ContainerStatuses {
		reason := ""
		if c.State.Waiting != nil {
			reason = c.State.Waiting.Reason + c.State.Waiting.Message
		}
		list = append(list, []any{c.Name, c.Ready, *c.Started, c.RestartCount, reason, c.State.Running != nil, c.State.Terminated != nil})
	}
	return list
}

func status(of *v1.PodStatus, kind v1.PodConditionType) v1.ConditionStatus {
	for _, condition := range of.Conditions {
		if condition.Type == kind {
			return condition.Status
		}
	}
	return v1.ConditionUnknown
}

// status of the Pod as it is now. Called with the Pod locked.
func (p *pod) status(object *v1.Pod) *v1.PodStatus {
	want := &v1.PodStatus{
		Phase: v1.PodPending, Message: p.problem, HostIP: p.hostIPOf(object), StartTime: &p.started,
		HostIPs: []v1.HostIP{{IP: p.hostIPOf(object)}},
	}
	if p.ip != "" {
		want.PodIP, want.PodIPs = p.ip, []v1.PodIP{{IP: p.ip}}
	}
	ready, running, over, failed := p.problem == "", false, true, false
	for _, c := range p.containers {
		state := c.status()
		state.Ready = state.Ready && object.Annotations[annotationReady] != "false"
		ready = ready && state.Ready
		running = running || state.State.Waiting == nil || state.RestartCount > 0 || state.LastTerminationState.Terminated != nil
		over = over && state.State.Terminated != nil
		failed = failed || state.State.Terminated != nil && state.State.Terminated.ExitCode != 0
		want.ContainerStatuses = append(want.ContainerStatuses, state)
	}
	switch {
	case over && failed && len(p.containers) > 0:
		want.Phase = v1.PodFailed
	case over && len(p.containers) > 0:
		want.Phase = v1.PodSucceeded
	case running:
		want.Phase = v1.PodRunning
	}
	gates := true
	for _, gate := range object.Spec.ReadinessGates {
		gates = gates && status(&object.Status, gate.ConditionType) == v1.ConditionTrue
	}
	p.condition(want, v1.PodScheduled, true)
	p.condition(want, v1.PodInitialized, true)
	p.condition(want, v1.ContainersReady, ready)
	p.condition(want, v1.PodReady, ready && gates)
	return want
}

func (p *pod) hostIPOf(object *v1.Pod) string {
	return p.agent.s.NodeIP(p.agent.addresses.node(object.Spec.NodeName))
}

// condition is added with the time of its last change.
func (p *pod) condition(to *v1.PodStatus, kind v1.PodConditionType, value bool) {
	want := v1.PodCondition{Type: kind, Status: v1.ConditionFalse, LastTransitionTime: metav1.Now()}
	if value {
		want.Status = v1.ConditionTrue
	}
	if have, known := p.conditions[kind]; known && have.Status == want.Status {
		want = have
	}
	p.conditions[kind] = want
	to.Conditions = append(to.Conditions, want)
}

func (c *container) status() v1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	started := c.started
	state := v1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: c.spec.Image, Ready: c.ready, Started: &started, RestartCount: c.restarts,
		ContainerID: "testcluster://" + string(c.pod.latest.UID) + "-" + c.spec.Name,
	}
	if c.last != nil {
		state.LastTerminationState.Terminated = c.last
	}
	switch {
	case c.over && c.last != nil:
		state.State.Terminated, state.LastTerminationState.Terminated = c.last, nil
	case c.waiting != "":
		state.State.Waiting = &v1.ContainerStateWaiting{Reason: c.waiting, Message: c.message}
	default:
		state.State.Running = &v1.ContainerStateRunning{StartedAt: c.since}
	}
	return state
}
