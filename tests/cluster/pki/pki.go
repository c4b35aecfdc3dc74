// Package pki owns the certificates of a cluster: its authority, the API server's and the front's certificate, the
// administrator's, the front proxy's (by which the front passes identities on), and the key of ServiceAccount tokens.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"

	"portcullis.dev/testcluster/settings"
)

// Names of pairs in the state directory.
const (
	CA         = "ca"
	APIServer  = "apiserver"
	Admin      = "admin"
	FrontProxy = "front-proxy-client"
	SAKey      = "sa.key"
)

// Create writes everything to the state directory, with a kubeconfig for the API server and one for the front.
func Create(s *settings.Settings) error {
	ca, err := Authority("testcluster")
	if err != nil {
		return err
	}
	frontCA, err := Authority("testcluster-front-proxy")
	if err != nil {
		return err
	}
	serviceIP, err := s.ServiceIP()
	if err != nil {
		return err
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	server, err := ca.Server(names, net.IPv4(127, 0, 0, 1), net.ParseIP(s.Bind), serviceIP)
	if err != nil {
		return err
	}
	admin, err := ca.Client("test-admin", "system:masters")
	if err != nil {
		return err
	}
	front, err := frontCA.Client("front-proxy-client")
	if err != nil {
		return err
	}
	tokens, err := Authority("serviceaccounts")
	if err != nil {
		return err
	}
	for name, pair := range map[string]*Pair{CA: ca, "front-proxy-ca": frontCA, APIServer: server, Admin: admin, FrontProxy: front} {
		if err := pair.Save(s.Path(name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.Path(SAKey), tokens.KeyPEM, 0o600); err != nil {
		return err
	}
	if err := kubeconfig(s, s.Admin(), s.URL(), ca, admin); err != nil {
		return err
	}
	return kubeconfig(s, s.Path("front.kubeconfig"), "https://"+s.FrontAddress(), ca, admin)
}

// kubeconfig of the administrator, complete in itself.
func kubeconfig(s *settings.Settings, path, server string, ca, admin *Pair) error {
	b := base64.StdEncoding.EncodeToString
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
clusters:
- name: test
  cluster: {server: %q, certificate-authority-data: %s}
contexts:
- name: test
  context: {cluster: test, user: admin, namespace: default}
users:
- name: admin
  user: {client-certificate-data: %s, client-key-data: %s}
`, server, b(ca.CertPEM), b(admin.CertPEM), b(admin.KeyPEM)), 0o600)
}

// Client is how whoever has the certificate of this name speaks to the API server.
func Client(s *settings.Settings, name string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(s.Path(name+".crt"), s.Path(name+".key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(s.Path(CA + ".crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}, nil
}
