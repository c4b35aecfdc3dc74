package agent

import (
	"fmt"
	"net"
	"os"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// environment of a container, by name: what the kubelet gives every container, envFrom, then env, whose values may use
// what comes before them.
func (p *pod) environment(container *v1.Container) (map[string]string, error) {
	object := p.object()
	serviceIP, err := p.agent.s.ServiceIP()
	if err != nil {
		return nil, err
	}
	values := map[string]string{
		"PATH": os.Getenv("PATH"), "HOSTNAME": object.Name,
		"KUBERNETES_SERVICE_HOST": serviceIP.String(), "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
	}
	if wantsToken(object) {
		values["PORTCULLIS_SERVICEACCOUNT_DIR"] = p.tokenDir()
	}
	for _, source := range container.EnvFrom {
		if err := p.environmentFrom(source, values); err != nil {
			return nil, err
		}
	}
	for _, variable := range container.Env {
		value := expand(variable.Value, values)
		if variable.ValueFrom != nil {
			found, known, err := p.valueFrom(variable.ValueFrom)
			if err != nil {
				return nil, fmt.Errorf("env %s: %w", variable.Name, err)
			}
			if !known {
				continue
			}
			value = found
		}
		values[variable.Name] = value
	}
	return values, nil
}

func expand(text string, values map[string]string) string {
	return expansion.Expand(text, expansion.MappingFuncFor(values))
}

func (p *pod) environmentFrom(source v1.EnvFromSource, values map[string]string) error {
	var data map[string]string
	var err error
	optional := false
	if ref := source.ConfigMapRef; ref != nil {
		optional = ref.Optional != nil && *ref.Optional
		data, err = p.configMap(ref.Name)
	} else if ref := source.SecretRef; ref != nil {
		optional = ref.Optional != nil && *ref.Optional
		data, err = p.secret(ref.Name)
	}
	if err != nil && !optional {
		return err
	}
	for key, value := range data {
		values[source.Prefix+key] = value
	}
	return nil
}

// valueFrom gives the value, and whether there is one: an optional reference may lead nowhere.
func (p *pod) valueFrom(source *v1.EnvVarSource) (string, bool, error) {
	object := p.object()
	switch {
	case source.FieldRef != nil:
		switch path := source.FieldRef.FieldPath; path {
		case "spec.nodeName":
			return object.Spec.NodeName, true, nil
		case "spec.serviceAccountName":
			return object.Spec.ServiceAccountName, true, nil
		case "status.podIP", "status.podIPs":
			return p.ip, true, nil
		case "status.hostIP", "status.hostIPs":
			return p.hostIP(), true, nil
		default:
			value, err := fieldpath.ExtractFieldPathAsString(object, path)
			return value, true, err
		}
	case source.ConfigMapKeyRef != nil:
		ref := source.ConfigMapKeyRef
		data, err := p.configMap(ref.Name)
		return pick(data, ref.Key, ref.Optional, err)
	case source.SecretKeyRef != nil:
		ref := source.SecretKeyRef
		data, err := p.secret(ref.Name)
		return pick(data, ref.Key, ref.Optional, err)
	}
	return "", false, nil
}

func pick(data map[string]string, key string, optional *bool, err error) (string, bool, error) {
	value, found := data[key]
	if found || optional != nil && *optional {
		return value, found, nil
	}
	if err == nil {
		err = fmt.Errorf("key %s is missing", key)
	}
	return "", false, err
}

func (p *pod) configMap(name string) (map[string]string, error) {
	found, err := p.agent.client.CoreV1().ConfigMaps(p.namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return found.Data, nil
}

func (p *pod) secret(name string) (map[string]string, error) {
	found, err := p.agent.client.CoreV1().Secrets(p.namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := map[string]string{}
	for key, value := range found.Data {
		data[key] = string(value)
	}
	return data, nil
}

// assignments are an environment as the kernel takes it, with the image's own variables where the Pod gives none. Those
// may use $(POD_IP), which a Pod only has when it asks for it.
func (p *pod) assignments(values map[string]string, image []string) []string {
	address := map[string]string{"POD_IP": p.ip}
	for _, assignment := range image {
		name, value, _ := strings.Cut(assignment, "=")
		if _, given := values[name]; !given {
			values[name] = expansion.Expand(value, expansion.MappingFuncFor(values, address))
		}
	}
	var list []string
	for name, value := range values {
		list = append(list, name+"="+value)
	}
	return list
}

// join is HOST:PORT.
func join(host string, port int32) string { return net.JoinHostPort(host, fmt.Sprint(port)) }
