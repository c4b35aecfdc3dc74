package supervise

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"portcullis.dev/testcluster/front"
)

// Help lists the commands.
const Help = `etcd|apiserver|controllers|agent start | stop | kill | freeze | thaw
front ` + front.Help + `
compact    forget all revisions of etcd but the newest
expire     cut the front, compact, restart the API server (whose cache forgets, too), pass again
pids       of the processes; 0 is one that does not run`

// obey reads commands, one a line, and answers each with one line of JSON: {"ok":true,...} or {"ok":false,"error":"..."}.
// It returns when the input ends.
func (c *cluster) obey(ctx context.Context, in io.Reader, out io.Writer) {
	encoder := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		begin := time.Now()
		answer, err := c.command(ctx, words)
		if answer == nil {
			answer = map[string]any{}
		}
		answer["ok"], answer["command"], answer["ms"] = err == nil, strings.Join(words, " "), time.Since(begin).Milliseconds()
		if err != nil {
			answer["error"] = err.Error()
		}
		if encoder.Encode(answer) != nil {
			return
		}
	}
}

func (c *cluster) command(ctx context.Context, words []string) (map[string]any, error) {
	switch words[0] {
	case "front":
		return nil, c.front.Set(words[1:])
	case "compact":
		revision, err := c.api.compact(ctx)
		return map[string]any{"revision": revision}, err
	case "expire":
		return c.expire(ctx)
	case "pids":
		return map[string]any{"pids": c.pids()}, nil
	}
	p := c.processes[words[0]]
	if p == nil || len(words) != 2 {
		return nil, fmt.Errorf("commands:\n%s", Help)
	}
	var err error
	switch words[1] {
	case "start":
		err = p.start(ctx)
	case "stop":
		err = p.end(syscall.SIGTERM, patience)
	case "kill":
		err = p.end(syscall.SIGKILL, patience)
	case "freeze":
		err = p.signal(syscall.SIGSTOP)
	case "thaw":
		err = p.signal(syscall.SIGCONT)
	default:
		err = fmt.Errorf("commands:\n%s", Help)
	}
	return map[string]any{"pid": p.pid()}, err
}

// expire makes every resourceVersion that a client knows too old. Compaction is not enough for watches: the API server
// serves them from a cache, which begins anew with the process.
func (c *cluster) expire(ctx context.Context) (map[string]any, error) {
	if err := c.front.Set([]string{"cut"}); err != nil {
		return nil, err
	}
	revision, err := c.api.compact(ctx)
	if err != nil {
		return nil, err
	}
	server := c.processes["apiserver"]
	if err := server.end(syscall.SIGKILL, patience); err != nil {
		return nil, err
	}
	if err := server.start(ctx); err != nil {
		return nil, err
	}
	return map[string]any{"revision": revision}, c.front.Set([]string{"pass"})
}

func (c *cluster) pids() map[string]int {
	pids := map[string]int{}
	for name, p := range c.processes {
		pids[name] = p.pid()
	}
	return pids
}
