package echo

import (
	"fmt"
	"io"
	"net"
)

// TCP greets every connection with "POD\n" and sends back what it receives, until either side ends.
func (s *Server) TCP(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.streams = append(s.streams, listener)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := fmt.Fprintln(conn, s.identity.Pod); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			}()
		}
	}()
	return nil
}

// UDP answers every datagram with "POD " and the datagram.
func (s *Server) UDP(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	s.packets = append(s.packets, conn)
	go func() {
		datagram := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(datagram)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(fmt.Appendf(nil, "%s %s", s.identity.Pod, datagram[:n]), from)
		}
	}()
	return nil
}
