package echo

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
)

// Identity says which Pod answers.
type Identity struct {
	Namespace string `json:"namespace"`
	Ingress   string `json:"ingress"`
	Service   string `json:"service"`
	Pod       string `json:"pod"`
}

// Answer is the body of every ordinary response.
type Answer struct {
	Path    string              `json:"path"`
	Host    string              `json:"host"`
	Method  string              `json:"method"`
	Proto   string              `json:"proto"`
	Headers map[string][]string `json:"headers"`
	Identity
	HTTPPort string              `json:"httpPort"`
	Remote   string              `json:"remote"`
	Local    string              `json:"local"`
	Body     string              `json:"body,omitempty"` // its first 64 KiB
	BodySize int64               `json:"bodySize"`
	TLS      *TLS                `json:"tls,omitempty"`
	Trailers map[string][]string `json:"trailers,omitempty"`
}

// TLS describes the connection.
type TLS struct {
	Version            string   `json:"version"`
	PeerCertificates   []string `json:"peerCertificates,omitempty"`
	ServerName         string   `json:"serverName"`
	NegotiatedProtocol string   `json:"negotiatedProtocol,omitempty"`
	CipherSuite        string   `json:"cipherSuite"`
}

// describe everything but the body.
func (s *Server) describe(r *http.Request) *Answer {
	a := &Answer{
		Path: r.RequestURI, Host: r.Host, Method: r.Method, Proto: r.Proto, Headers: r.Header,
		Identity: s.identity, Remote: r.RemoteAddr,
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		a.Local = local.String()
		_, a.HTTPPort, _ = net.SplitHostPort(a.Local)
	}
	if r.TLS != nil {
		a.TLS = &TLS{
			Version: tls.VersionName(r.TLS.Version), ServerName: r.TLS.ServerName,
			NegotiatedProtocol: r.TLS.NegotiatedProtocol, CipherSuite: tls.CipherSuiteName(r.TLS.CipherSuite),
		}
		for _, cert := range r.TLS.PeerCertificates {
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
			a.TLS.PeerCertificates = append(a.TLS.PeerCertificates, string(block))
		}
	}
	return a
}
