package front

import (
	"net"
	"sync"
)

// gate holds back what the connections of the front read and write while it is shut.
type gate struct {
	mu    sync.Mutex
	open  chan struct{} // closed while the gate is open
	conns map[*conn]struct{}
}

func newGate() *gate {
	g := &gate{open: make(chan struct{}), conns: map[*conn]struct{}{}}
	close(g.open)
	return g
}

// shut or open it.
func (g *gate) shut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if shut {
			g.open = make(chan struct{})
		}
	default:
		if !shut {
			close(g.open)
		}
	}
}

func (g *gate) wait(closed <-chan struct{}) error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-closed:
		return net.ErrClosed
	}
}

// cut closes all connections, with a reset for what is still to be sent.
func (g *gate) cut() {
	g.mu.Lock()
	conns := g.conns
	g.conns = map[*conn]struct{}{}
	g.mu.Unlock()
	for c := range conns {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// listener hands out connections that pass the gate.
type listener struct {
	net.Listener
	gate *gate
}

func (l listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, gate: l.gate, closed: make(chan struct{})}
	l.gate.mu.Lock()
	l.gate.conns[c] = struct{}{}
	l.gate.mu.Unlock()
	return c, nil
}

type conn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// Read gives nothing that came while the gate was shut until it opens. Errors are the connection's own, unwrapped: the
// server tells by their type what it brought about itself and goes on after.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if closed := c.gate.wait(c.closed); err == nil {
		err = closed
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if err := c.gate.wait(c.closed); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
	})
	return c.Conn.Close()
}
