// echo is the backend that the node agent runs for a Pod whose image it has no program for.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"portcullis.dev/testcluster/echo"
)

// list is a flag that may be repeated.
type list []string

func (l *list) String() string         { return fmt.Sprint(*l) }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

func run() error {
	var http, https, tcp, udp list
	var identity echo.Identity
	flag.Var(&http, "http", "port of HTTP/1.1 and HTTP/2 in clear")
	flag.Var(&https, "https", "port of both over TLS")
	flag.Var(&tcp, "tcp", "port that sends bytes back")
	flag.Var(&udp, "udp", "port that sends datagrams back")
	address := flag.String("address", "127.0.0.1", "address to listen on")
	cert := flag.String("tls-cert", "", "certificate file, for -https")
	key := flag.String("tls-key", "", "key file")
	ready := flag.Bool("ready-pipe", false, "write a line to file descriptor 3 when all ports are open")
	flag.StringVar(&identity.Namespace, "namespace", "", "namespace in the answers")
	flag.StringVar(&identity.Pod, "pod", "", "Pod in the answers")
	flag.StringVar(&identity.Service, "service", os.Getenv("SERVICE_NAME"), "Service in the answers")
	flag.StringVar(&identity.Ingress, "ingress", os.Getenv("INGRESS_NAME"), "Ingress in the answers")
	flag.Parse()

	var config *tls.Config
	if len(https) > 0 {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := echo.New(identity)
	defer server.Close()
	for _, kind := range []struct {
		ports  list
		listen func(string) error
	}{
		{http, func(address string) error { return server.HTTP(address, nil) }},
		{https, func(address string) error { return server.HTTP(address, config) }},
		{tcp, server.TCP},
		{udp, server.UDP},
	} {
		for _, port := range kind.ports {
			if err := kind.listen(net.JoinHostPort(*address, port)); err != nil {
				return err
			}
		}
	}
	if *ready {
		pipe := os.NewFile(3, "ready pipe")
		fmt.Fprintln(pipe, "ready")
		_ = pipe.Close()
	}
	<-ctx.Done()
	return nil
}
