package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// tokenPath is where a container finds its ServiceAccount's token.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// Container is the first program of a container with mounts: `container DIRECTORY ARGV0 PROGRAM ARGUMENT...`, in a mount
// namespace of its own. It puts the directory to tokenPath, on an empty file system so that nothing appears on the
// machine, and becomes the program. A machine that allows no mounts costs the mount, not the container.
func Container(args []string) error {
	if len(args) < 3 {
		return errors.New("container DIRECTORY ARGV0 PROGRAM ARGUMENT...")
	}
	if err := mount(args[0]); err != nil {
		fmt.Fprintf(os.Stderr, "agent: %s is not mounted: %v\n", tokenPath, err)
	}
	program, err := exec.LookPath(args[2])
	if err != nil {
		return err
	}
	return syscall.Exec(program, append([]string{args[1]}, args[3:]...), os.Environ())
}

func mount(directory string) error {
	// Held open: the directory may be below the path that is about to be covered.
	source, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer source.Close()
	run, err := filepath.EvalSymlinks("/var/run")
	if err != nil {
		return err
	}
	// The resolver's configuration is often a link to a file below /run.
	resolver, target := readResolver()
	if err := syscall.Mount("tmpfs", run, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=755,size=1m"); err != nil {
		return err
	}
	if strings.HasPrefix(target, run+"/") {
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, resolver, 0o644)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(tokenPath, 0o755); err != nil {
		return err
	}
	return syscall.Mount(fmt.Sprintf("/proc/self/fd/%d", source.Fd()), tokenPath, "", syscall.MS_BIND, "")
}

func readResolver() (text []byte, path string) {
	path, _ = filepath.EvalSymlinks("/etc/resolv.conf")
	text, _ = os.ReadFile(path)
	return text, path
}
