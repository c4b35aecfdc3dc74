// Package front is a way to the API server that can be made to fail. It ends TLS with the API server's certificate and
// passes requests on, with the identity of whoever makes them; watches stream through it.
package front

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/testcluster/pki"
	"portcullis.dev/testcluster/settings"
)

// Front listens on the front's address and on port 443 of the kubernetes Service's.
type Front struct {
	addresses []string
	server    *http.Server
	gate      *gate
	mode      atomic.Pointer[mode]
	plain     *httputil.ReverseProxy // for who has a token, or nothing
	named     *httputil.ReverseProxy // for who has a certificate: vouches for the name in it

	mu        sync.Mutex
	listeners []net.Listener
	log       io.Writer
}

// New returns a front that passes everything, and listens.
func New(s *settings.Settings) (*Front, error) {
	ip, err := s.ServiceIP()
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(s.Path(pki.APIServer+".crt"), s.Path(pki.APIServer+".key"))
	if err != nil {
		return nil, err
	}
	vouching, err := pki.Client(s, pki.FrontProxy)
	if err != nil {
		return nil, err
	}
	roots := vouching.RootCAs
	requests, err := os.OpenFile(s.Path("logs", "front-requests.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	target := &url.URL{Scheme: "https", Host: s.Address()}
	f := &Front{
		addresses: []string{s.FrontAddress(), net.JoinHostPort(ip.String(), "443")}, gate: newGate(), log: requests,
		plain: proxy(target, &tls.Config{RootCAs: roots}),
		named: proxy(target, vouching),
	}
	f.mode.Store(&mode{})
	f.server = &http.Server{
		Handler:   f,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: roots, ClientAuth: tls.VerifyClientCertIfGiven},
		ErrorLog:  log.New(io.Discard, "", 0), // connections that are cut say so
	}
	return f, f.listen()
}

// listen unless it does already.
func (f *Front) listen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.listeners) > 0 {
		return nil
	}
	for _, address := range f.addresses {
		inner, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("front: %w", err)
		}
		f.listeners = append(f.listeners, inner)
		go func() { _ = f.server.ServeTLS(listener{inner, f.gate}, "", "") }()
	}
	return nil
}

// refuse new connections and close those there are.
func (f *Front) refuse() {
	f.mu.Lock()
	for _, listener := range f.listeners {
		_ = listener.Close()
	}
	f.listeners = nil
	f.mu.Unlock()
	f.gate.cut()
}

// proxy to the API server. An API server that does not answer looks like what it is: a connection that breaks.
func proxy(target *url.URL, config *tls.Config) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			identify(r)
		},
		Transport:     &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: 5 * time.Second},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// identify whoever has a certificate, in the fields that the API server believes the front; nobody else may send them.
func identify(r *httputil.ProxyRequest) {
	for name := range r.Out.Header {
		if len(name) > 9 && name[:9] == "X-Remote-" {
			r.Out.Header.Del(name)
		}
	}
	if certs := r.In.TLS.PeerCertificates; len(certs) > 0 {
		r.Out.Header.Set("X-Remote-User", certs[0].Subject.CommonName)
		for _, group := range certs[0].Subject.Organization {
			r.Out.Header.Add("X-Remote-Group", group)
		}
	}
}

// ServeHTTP does to the request what the mode says, and passes it on when that leaves something to pass on.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &recorder{ResponseWriter: w}
	defer func() {
		fmt.Fprintf(f.log, "%s %s %s %d %q\n", time.Now().Format(time.RFC3339Nano), r.Method, r.RequestURI, answer.status, r.UserAgent())
	}()
	if f.mode.Load().answer(answer, r) {
		return
	}
	if len(r.TLS.PeerCertificates) > 0 {
		f.named.ServeHTTP(answer, r)
	} else {
		f.plain.ServeHTTP(answer, r)
	}
}

// recorder remembers the status; 0 is a request that got no answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the proxy flush and hijack.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
