// Package supervise starts the processes of a cluster, keeps the front before them, and obeys commands that make them
// fail.
package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"portcullis.dev/testcluster/args"
	"portcullis.dev/testcluster/front"
	"portcullis.dev/testcluster/pki"
	"portcullis.dev/testcluster/settings"
)

type cluster struct {
	s         *settings.Settings
	api       *api
	front     *front.Front
	processes map[string]*process
}

// Serve runs a cluster until the context or, if there is one, the input ends. When the cluster is ready it says so with
// one line of JSON; see README.md for its fields.
func Serve(ctx context.Context, s *settings.Settings, in io.Reader, out io.Writer) error {
	begin := time.Now()
	took := map[string]int64{}
	lap := func(name string) { took[name] = time.Since(begin).Milliseconds() }
	c, err := prepare(s)
	if err != nil {
		return err
	}
	defer c.end()
	if err := c.together(ctx, "etcd", "apiserver"); err != nil {
		return err
	}
	lap("apiserver")
	if err := c.together(ctx, "controllers", "agent"); err != nil {
		return err
	}
	lap("controllers")
	if c.front, err = front.New(s); err != nil {
		return err
	}
	limited, done := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no default ServiceAccount after %s", patience))
	defer done()
	if err := c.api.defaultsReady(limited); err != nil {
		return err
	}
	lap("ready")
	if err := c.announce(out, took); err != nil {
		return err
	}
	ended := make(chan struct{})
	if in != nil {
		go func() {
			c.obey(ctx, in, out)
			close(ended)
		}()
	}
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return nil
}

// prepare the state directory and the list of processes.
func prepare(s *settings.Settings) (*cluster, error) {
	for _, folder := range []string{"logs", "pods"} {
		if err := os.MkdirAll(s.Path(folder), 0o755); err != nil {
			return nil, err
		}
	}
	if err := pki.Create(s); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	if err := s.Save(); err != nil {
		return nil, err
	}
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	etcd, err := args.Etcd(s.Values())
	if err != nil {
		return nil, err
	}
	server, err := args.APIServer(s.Values())
	if err != nil {
		return nil, err
	}
	c := &cluster{s: s, processes: map[string]*process{}}
	if c.api, err = newAPI(s); err != nil {
		return nil, err
	}
	verbosity := fmt.Sprintf("-v=%d", s.Verbosity)
	add := func(name string, ready func(context.Context) error, arguments ...string) {
		kube := filepath.Join(filepath.Dir(own), "kube")
		c.processes[name] = &process{
			name: name, path: kube, args: append([]string{name}, arguments...), log: s.Path("logs", name+".log"), ready: ready,
		}
	}
	add("etcd", c.api.etcdReady, etcd...)
	add("apiserver", c.api.serverReady, append(append(server, "-"+verbosity), s.APIServerArg...)...)
	add("controllers", nil, "-dir", s.Dir, verbosity)
	add("agent", nil, "-dir", s.Dir, verbosity)
	return c, nil
}

// together starts some processes at once.
func (c *cluster) together(ctx context.Context, names ...string) error {
	errors := make(chan error)
	for _, name := range names {
		go func() { errors <- c.processes[name].start(ctx) }()
	}
	var first error
	for range names {
		if err := <-errors; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (c *cluster) announce(out io.Writer, took map[string]int64) error {
	line, err := json.Marshal(map[string]any{
		"url": c.s.URL(), "front_url": "https://" + c.s.FrontAddress(),
		"kubeconfig": c.s.Admin(), "front_kubeconfig": c.s.Path("front.kubeconfig"),
		"ca": c.s.Path(pki.CA + ".crt"), "dir": c.s.Dir, "pid": os.Getpid(), "pids": c.pids(),
		"version": Version, "ms": took,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.s.Path("ready.json"), line, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}

// Version of Kubernetes, put in when the program is linked.
var Version = "unknown"

// end everything: Pods first, by their agent, then the rest at once, since the data is of no use any more.
func (c *cluster) end() {
	agent := c.processes["agent"]
	_ = agent.signal(syscall.SIGCONT)
	_ = agent.end(syscall.SIGTERM, 5*time.Second)
	for _, p := range c.processes {
		_ = p.end(syscall.SIGKILL, patience)
	}
}
