// kube holds what has Kubernetes inside: etcd, kube-apiserver, the controllers and the node agent, each a command to be
// run as a process of its own. testcluster starts them.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"portcullis.dev/testcluster/agent"
	"portcullis.dev/testcluster/controllers"
	"portcullis.dev/testcluster/settings"
)

func main() {
	command, args := "", os.Args[1:]
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	var err error
	switch command {
	case "etcd":
		etcdmain.Main(append([]string{"etcd"}, args...))
	case "apiserver":
		server := app.NewAPIServerCommand()
		server.SetArgs(args)
		os.Exit(cli.Run(server))
	case "controllers":
		err = run(args, controllers.Start)
	case "agent":
		err = run(args, agent.Start)
	case "container": // what the agent starts for a container that has mounts
		err = agent.Container(args)
	case "version":
		fmt.Println(version.Get().GitVersion)
	default:
		err = fmt.Errorf("unknown command %q (etcd, apiserver, controllers, agent, version)", command)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

// run connects as the administrator, starts, says so with a line on standard output, and waits for a signal.
func run(args []string, start func(context.Context, *rest.Config, *settings.Settings) (func(), error)) error {
	flags := flag.NewFlagSet("kube", flag.ExitOnError)
	dir := flags.String("dir", "", "state directory of the cluster")
	klog.InitFlags(flags)
	_ = flags.Parse(args)
	s, err := settings.Load(*dir)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", s.Admin())
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, -1
	config.Dial = patient
	end, err := start(ctx, config, s)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	end()
	return nil
}

// patient waits for an API server that is away. Informers would find it again with a pause of up to half a minute, which
// every test that stops it would have to wait for.
func patient(ctx context.Context, network, address string) (net.Conn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
