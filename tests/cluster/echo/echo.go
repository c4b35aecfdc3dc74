// Package echo is the backend of a Pod: it describes the request that reached it. Field names and ports are those of the
// echo-basic image of the Gateway API's conformance tests, so that those tests read its answers.
package echo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"google.golang.org/grpc"
)

// Server is one Pod's backend.
type Server struct {
	identity Identity
	http     []*http.Server
	grpc     *grpc.Server
	packets  []net.PacketConn
	streams  []net.Listener
}

// New returns a backend that listens nowhere yet.
func New(identity Identity) *Server {
	s := &Server{identity: identity}
	s.grpc = newGRPC(identity)
	return s
}

// HTTP serves HTTP/1.1 and HTTP/2 on that address: with prior knowledge, and by ALPN when there is a TLS configuration.
func (s *Server) HTTP(address string, config *tls.Config) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: s, Protocols: protocols, TLSConfig: config}
	s.http = append(s.http, server)
	go func() {
		if config != nil {
			err = server.ServeTLS(listener, "", "")
		} else {
			err = server.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "echo:", address, err)
		}
	}()
	return nil
}

// Close drops every connection and listener at once.
func (s *Server) Close() {
	for _, server := range s.http {
		_ = server.Close()
	}
	for _, packets := range s.packets {
		_ = packets.Close()
	}
	for _, streams := range s.streams {
		_ = streams.Close()
	}
	s.grpc.Stop()
}
