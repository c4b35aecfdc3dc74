package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"portcullis.dev/testcluster/pki"
)

// tokenSeconds is the life of a token; the kubelet asks for the same.
const tokenSeconds = 3607

// wantsToken says whether admission gave a container the volume of its ServiceAccount's token.
func wantsToken(object *v1.Pod) bool {
	for _, container := range object.Spec.Containers {
		for _, mount := range container.VolumeMounts {
			if mount.MountPath == tokenPath {
				return true
			}
		}
	}
	return false
}

// writeToken fills a directory as the projected volume does, and returns when the token is to be renewed.
func (a *Agent) writeToken(object *v1.Pod, directory string) (time.Duration, error) {
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: object.Name, UID: object.UID},
	}}
	accounts := a.client.CoreV1().ServiceAccounts(object.Namespace)
	granted, err := accounts.CreateToken(a.ctx, object.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return 0, fmt.Errorf("token of ServiceAccount %s: %w", object.Spec.ServiceAccountName, err)
	}
	ca, err := os.ReadFile(a.s.Path(pki.CA + ".crt"))
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return 0, err
	}
	for name, text := range map[string][]byte{"token": []byte(granted.Status.Token), "ca.crt": ca, "namespace": []byte(object.Namespace)} {
		if err := replace(filepath.Join(directory, name), text); err != nil {
			return 0, err
		}
	}
	return time.Until(granted.Status.ExpirationTimestamp.Time) * 4 / 5, nil
}

// replace a file so that a reader sees the old or the new one.
func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// renewToken until the Pod ends.
func (p *pod) renewToken(after time.Duration) {
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(after):
		}
		var err error
		if after, err = p.agent.writeToken(p.object(), p.tokenDir()); err != nil {
			p.log("token: %v", err)
			after = time.Second
		}
	}
}
