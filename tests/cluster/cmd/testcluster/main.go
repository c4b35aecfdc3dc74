// testcluster serves a Kubernetes cluster for integration tests: see README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"portcullis.dev/testcluster/settings"
	"portcullis.dev/testcluster/supervise"
)

func main() {
	// Everything here is on this machine: no proxy leads to it. The children inherit that.
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		_ = os.Unsetenv(name)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] != "serve" {
		return fmt.Errorf("usage: testcluster serve [FLAG...]; commands on standard input:\n%s", supervise.Help)
	}
	s, detached, err := parse(args[1:])
	if err != nil {
		return err
	}
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "testcluster-"); err != nil {
			return err
		}
		defer os.RemoveAll(s.Dir)
	}
	if s.Dir, err = filepath.Abs(s.Dir); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var in io.Reader = os.Stdin
	if detached {
		in = nil
	}
	return supervise.Serve(ctx, s, in, os.Stdout)
}

// parse the flags; the second result is -detached.
func parse(args []string) (*settings.Settings, bool, error) {
	s := new(settings.Settings)
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&s.Dir, "dir", "", "state directory (default: a temporary one)")
	flags.IntVar(&s.Port, "port", 6443, "port of the API server")
	flags.IntVar(&s.FrontPort, "front-port", 7443, "port of the front")
	flags.IntVar(&s.EtcdPort, "etcd-port", 2379, "port of etcd, on 127.0.0.1; the next one is its peers'")
	flags.StringVar(&s.Bind, "bind", "", "address of the API server and the front, not a loopback one (default: NODE-PREFIX.254)")
	flags.StringVar(&s.ServiceCIDR, "service-cidr", "10.96.0.0/16", "Service addresses")
	flags.StringVar(&s.PodPrefix, "pod-prefix", "10.244", "first two octets of Pod addresses")
	flags.StringVar(&s.NodePrefix, "node-prefix", "10.255.0", "first three octets of node addresses")
	flags.StringVar(&s.NodeExternalPrefix, "node-external-prefix", "", "first three octets of the nodes' ExternalIP (default: they have none)")
	flags.StringVar(&s.BalancerPrefix, "balancer-prefix", "10.255.1", "first three octets of load balancer addresses")
	flags.IntVar(&s.Nodes, "nodes", 1, "number of nodes")
	flags.IntVar(&s.Verbosity, "v", 0, "verbosity of the logs")
	detached := flags.Bool("detached", false, "read no commands, and go on when standard input ends")
	flags.Func("apiserver-arg", "one more argument for kube-apiserver; may be repeated", func(value string) error {
		s.APIServerArg = append(s.APIServerArg, value)
		return nil
	})
	flags.Func("image", "NAME=COMMAND that runs for that image; may be repeated", func(value string) error {
		name, command, _ := strings.Cut(value, "=")
		words := strings.Fields(command)
		if name == "" || len(words) == 0 {
			return fmt.Errorf("NAME=COMMAND is wanted")
		}
		s.Images = append(s.Images, settings.Image{Name: name, Command: words})
		return nil
	})
	flags.Func("image-env", "NAME=KEY=VALUE for the program of an earlier -image; may be repeated", func(value string) error {
		name, assignment, _ := strings.Cut(value, "=")
		for i := range s.Images {
			if s.Images[i].Name == name && strings.Contains(assignment, "=") {
				s.Images[i].Env = append(s.Images[i].Env, assignment)
				return nil
			}
		}
		return fmt.Errorf("NAME=KEY=VALUE is wanted, after the image of that name")
	})
	if err := flags.Parse(args); err != nil {
		return nil, false, err
	}
	if flags.NArg() > 0 {
		return nil, false, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	s.EtcdPeerPort = s.EtcdPort + 1
	if s.Bind == "" {
		s.Bind = s.NodePrefix + ".254"
	}
	if s.Nodes < 1 || s.Nodes > 200 {
		return nil, false, fmt.Errorf("1 to 200 nodes are possible, not %d", s.Nodes)
	}
	return s, *detached, nil
}
