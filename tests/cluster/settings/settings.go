// Package settings owns what the processes of one cluster have to agree on. The supervisor writes it to a file in the
// state directory, from which the others read it.
package settings

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// File is the name of the settings in the state directory.
const File = "settings.json"

// Settings of one cluster. Prefixes are the leading octets of IPv4 addresses, without a dot at the end.
type Settings struct {
	Dir          string `json:"dir"`
	Bind         string `json:"bind"`         // where the API server listens, and what the kubernetes Service points to
	Port         int    `json:"port"`         // of the API server
	FrontPort    int    `json:"frontPort"`    // of the front, on the same address
	EtcdPort     int    `json:"etcdPort"`     // on 127.0.0.1
	EtcdPeerPort int    `json:"etcdPeerPort"` // nobody dials it, but etcd wants one

	ServiceCIDR        string `json:"serviceCIDR"`
	PodPrefix          string `json:"podPrefix"`          // two octets
	NodePrefix         string `json:"nodePrefix"`         // three octets
	NodeExternalPrefix string `json:"nodeExternalPrefix"` // three octets; empty: nodes have no ExternalIP
	BalancerPrefix     string `json:"balancerPrefix"`     // three octets
	Nodes              int    `json:"nodes"`
	Verbosity          int    `json:"verbosity"` // of klog

	Images       []Image  `json:"images"`
	APIServerArg []string `json:"apiserverArg"` // more arguments
}

// Image says which program of this machine stands for a container image.
type Image struct {
	Name    string   `json:"name"` // repository, or its last components; without tag and digest
	Command []string `json:"command"`
	Env     []string `json:"env"` // KEY=VALUE, with $(VAR) as in a Pod
}

// Load reads the settings of a state directory.
func Load(dir string) (*Settings, error) {
	text, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		return nil, err
	}
	s := new(Settings)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	return s, nil
}

// Save writes them to the state directory.
func (s *Settings) Save() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.Path(File), text, 0o644)
}

// Path of a file in the state directory.
func (s *Settings) Path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

// URL of the API server.
func (s *Settings) URL() string { return "https://" + s.Address() }

// Address is HOST:PORT of the API server.
func (s *Settings) Address() string { return net.JoinHostPort(s.Bind, strconv.Itoa(s.Port)) }

// FrontAddress is HOST:PORT of the front.
func (s *Settings) FrontAddress() string { return net.JoinHostPort(s.Bind, strconv.Itoa(s.FrontPort)) }

// ServiceIP is the address of the kubernetes Service: the first one of the range.
func (s *Settings) ServiceIP() (net.IP, error) {
	_, cidr, err := net.ParseCIDR(s.ServiceCIDR)
	if err != nil {
		return nil, err
	}
	ip := cidr.IP.To4()
	if ip == nil {
		return nil, fmt.Errorf("service range %s is not IPv4", s.ServiceCIDR)
	}
	ip[3]++
	return ip, nil
}

// Admin is the kubeconfig of the cluster's administrator.
func (s *Settings) Admin() string { return s.Path("admin.kubeconfig") }

// NodeName of the node with that index.
func (s *Settings) NodeName(i int) string { return fmt.Sprintf("node-%d", i+1) }

// NodeIP of the node with that index.
func (s *Settings) NodeIP(i int) string { return fmt.Sprintf("%s.%d", s.NodePrefix, i+1) }

// Values for the argument lists.
func (s *Settings) Values() map[string]string {
	return map[string]string{
		"dir": s.Dir, "bind": s.Bind, "advertise": s.Bind, "port": strconv.Itoa(s.Port),
		"etcd-port": strconv.Itoa(s.EtcdPort), "etcd-peer-port": strconv.Itoa(s.EtcdPeerPort),
		"service-cidr": s.ServiceCIDR,
	}
}
