package agent

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"

	"portcullis.dev/testcluster/settings"
)

// program is what runs for a container; nil when nothing does.
type program struct {
	argv0  string
	path   string
	args   []string
	env    []string
	echo   bool // it says on a pipe when it listens
	mounts bool // it is to find its token at tokenPath
}

// program of a container: the one that stands for its image, else the echo backend. A container without ports beside
// others is taken for a sidecar that does nothing.
func (p *pod) program(container *v1.Container) (*program, error) {
	if image := p.agent.image(container.Image); image != nil {
		return p.imageProgram(container, image)
	}
	if p.object().Annotations[annotationServe] == "false" || len(container.Ports) == 0 && len(p.object().Spec.Containers) > 1 {
		return nil, nil
	}
	return p.echoProgram(container)
}

// image that matches a reference, without tag and digest: as a whole, or in its last components.
func (a *Agent) image(reference string) *settings.Image {
	repository, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	for i, image := range a.s.Images {
		if repository == image.Name || strings.HasSuffix(repository, "/"+image.Name) {
			return &a.s.Images[i]
		}
	}
	return nil
}

func (p *pod) imageProgram(container *v1.Container, image *settings.Image) (*program, error) {
	values, err := p.environment(container)
	if err != nil {
		return nil, err
	}
	words := append(append([]string{}, container.Command...), container.Args...)
	for i, word := range words {
		words[i] = expand(word, values)
	}
	run := p.command(words, len(container.Command) > 0, image)
	run.env = p.assignments(values, image.Env)
	run.mounts = wantsToken(p.object()) && os.Geteuid() == 0
	return run, nil
}

// command in an image. Its first word is a program of this machine, when that exists; any other path is one inside the
// image, which the image's program stands for, called by that name.
func (p *pod) command(words []string, replaces bool, image *settings.Image) *program {
	if !replaces {
		words = append(append([]string{}, image.Command...), words...)
	}
	run := &program{argv0: words[0], path: words[0], args: words[1:]}
	if replaces && !executable(words[0]) {
		run.path = image.Command[0]
	}
	return run
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// echoProgram listens on the container's ports, or those of the conformance tests' echo-basic image when there are none.
func (p *pod) echoProgram(container *v1.Container) (*program, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	run := &program{path: filepath.Join(filepath.Dir(own), "echo"), echo: true}
	run.argv0 = run.path
	run.args = []string{"-ready-pipe", "-address", p.ip, "-namespace", p.namespace, "-pod", p.name}
	ports := container.Ports
	if len(ports) == 0 {
		ports = []v1.ContainerPort{{ContainerPort: 3000}, {ContainerPort: 3001}, {ContainerPort: 8443}}
	}
	secure := false
	for _, port := range ports {
		kind := "-http"
		switch {
		case port.Protocol == v1.ProtocolUDP:
			kind = "-udp"
		case port.Protocol == v1.ProtocolSCTP:
			continue
		case strings.HasPrefix(port.Name, "tcp"):
			kind = "-tcp"
		case strings.HasPrefix(port.Name, "https") || port.ContainerPort == 443 || port.ContainerPort == 8443:
			kind, secure = "-https", true
		}
		run.args = append(run.args, kind, fmt.Sprint(port.ContainerPort))
	}
	if secure {
		pair := filepath.Join(p.directory(), "tls")
		if err := p.certificate(pair); err != nil {
			return nil, err
		}
		run.args = append(run.args, "-tls-cert", pair+".crt", "-tls-key", pair+".key")
	}
	values, err := p.environment(container)
	if err != nil {
		return nil, err
	}
	run.env = p.assignments(values, nil)
	return run, nil
}

// certificate of an echo backend, by the cluster's authority, for its name, its address, and the Service named like its
// label app.
func (p *pod) certificate(path string) error {
	names := []string{p.name, "localhost"}
	if app := p.object().Labels["app"]; app != "" {
		service := app + "." + p.namespace + ".svc"
		names = append(names, app, service, service+".cluster.local")
	}
	pair, err := p.agent.authority.Server(names, net.ParseIP(p.ip))
	if err != nil {
		return err
	}
	return pair.Save(path)
}

// build the command that starts the program.
func (p *pod) build(run *program) (*exec.Cmd, error) {
	command := &exec.Cmd{Path: run.path, Args: append([]string{run.argv0}, run.args...)}
	if run.mounts {
		own, err := os.Executable()
		if err != nil {
			return nil, err
		}
		command = exec.Command(own, append([]string{"container", p.tokenDir(), run.argv0, run.path}, run.args...)...)
	}
	command.Env, command.Stdout, command.Stderr, command.Dir = run.env, p.output, p.output, "/"
	return command, nil
}
