// Package args owns the argument lists of etcd and kube-apiserver. They are files of their own, because the test kit
// reads them, too, when it starts those two programs without this module.
package args

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed etcd.args
var etcd string

//go:embed apiserver.args
var apiserver string

// Etcd returns etcd's arguments. The values are those of [settings.Settings.Values].
func Etcd(values map[string]string) ([]string, error) { return fill(etcd, values) }

// APIServer returns kube-apiserver's arguments.
func APIServer(values map[string]string) ([]string, error) { return fill(apiserver, values) }

var placeholder = regexp.MustCompile(`\{[a-z-]+\}`)

// fill drops comments and puts values in the place of their names; an unknown name is an error.
func fill(list string, values map[string]string) ([]string, error) {
	var args []string
	var unknown []string
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		args = append(args, placeholder.ReplaceAllStringFunc(line, func(name string) string {
			value, known := values[strings.Trim(name, "{}")]
			if !known {
				unknown = append(unknown, name)
			}
			return value
		}))
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("argument lists use unknown names: %s", strings.Join(unknown, ", "))
	}
	return args, nil
}
