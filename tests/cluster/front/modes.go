package front

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Help lists what Set understands.
const Help = "pass | cut | stall | status CODE | garbage [text|truncated] | slow DURATION"

// mode is what is done to new requests; the zero value passes them.
type mode struct {
	status  int
	garbage string
	slow    time.Duration
}

// Truncated answers are valid up to where they end.
const (
	truncatedList  = `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a`
	truncatedEvent = `{"type":"ADDED","object":{"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"a`
	garbage        = "<html>\x00\xff not what was asked for {\n"
)

// Set changes the mode: see Help. Requests that are under way go on, except for those that `cut` ends and `stall` holds.
func (f *Front) Set(words []string) error {
	name, value := "", ""
	switch len(words) {
	case 2:
		name, value = words[0], words[1]
	case 1:
		name = words[0]
	}
	next := &mode{}
	var err error
	switch name {
	case "pass", "stall":
	case "cut":
		f.refuse()
		f.gate.shut(false)
		f.mode.Store(next)
		return nil
	case "status":
		if next.status, err = strconv.Atoi(value); err == nil && (next.status < 200 || next.status > 599) {
			err = fmt.Errorf("no status: %d", next.status)
		}
	case "garbage":
		next.garbage = value
		if value == "" {
			next.garbage = "text"
		} else if value != "text" && value != "truncated" {
			err = fmt.Errorf("garbage is text or truncated, not %q", value)
		}
	case "slow":
		next.slow, err = time.ParseDuration(value)
	default:
		err = fmt.Errorf("the front understands: %s", Help)
	}
	if err != nil {
		return err
	}
	f.mode.Store(next)
	f.gate.shut(name == "stall")
	return f.listen()
}

// answer the request, or say that it is to be passed on.
func (m *mode) answer(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case m.status != 0:
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(m.status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": m.status, "message": "said by the front",
			"reason": map[int]string{401: "Unauthorized", 403: "Forbidden", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}[m.status],
		})
		return true
	case m.garbage != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		text := garbage
		if watch := r.URL.Query().Get("watch"); m.garbage == "truncated" && (watch == "1" || watch == "true") {
			text = truncatedEvent
		} else if m.garbage == "truncated" {
			text = truncatedList
		}
		_, _ = w.Write([]byte(text))
		return true
	case m.slow > 0:
		select {
		case <-time.After(m.slow):
		case <-r.Context().Done():
			return true
		}
	}
	return false
}
