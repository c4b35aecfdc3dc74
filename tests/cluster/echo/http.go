package echo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// kept of a request's body in the answer, in bytes.
const kept = 1 << 16

// ServeHTTP answers with a description of the request. Parameters of the query change the answer: status=503,
// delay=200ms, abort, header=Name:value, size=BYTES, chunks=COUNT, trailer=VALUE.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		s.grpc.ServeHTTP(w, r)
		return
	case websocket.IsWebSocketUpgrade(r):
		s.websocket(w, r)
		return
	}
	query := r.URL.Query()
	if delay, err := time.ParseDuration(query.Get("delay")); err == nil {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return
		}
	}
	if query.Has("abort") {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Echo-Pod", s.identity.Pod)
	for _, field := range query["header"] {
		if name, value, ok := strings.Cut(field, ":"); ok {
			w.Header().Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	status := http.StatusOK
	if n, err := strconv.Atoi(query.Get("status")); err == nil {
		status = n
	}
	if size, err := strconv.ParseInt(query.Get("size"), 10, 64); err == nil {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(status)
		_, _ = io.CopyN(w, zeros{}, size)
		return
	}
	if count, err := strconv.Atoi(query.Get("chunks")); err == nil {
		w.WriteHeader(status)
		for i := range count {
			fmt.Fprintf(w, "chunk %d\n", i)
			_ = http.NewResponseController(w).Flush()
		}
		return
	}
	s.answer(w, r, status, query.Get("trailer"))
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, trailer string) {
	answer := s.describe(r)
	var body bytes.Buffer
	first, _ := io.CopyN(&body, r.Body, kept)
	rest, _ := io.Copy(io.Discard, r.Body)
	answer.Body, answer.BodySize, answer.Trailers = body.String(), first+rest, r.Trailer
	if trailer != "" {
		w.Header().Set("Trailer", "X-Echo-Trailer")
		defer w.Header().Set("X-Echo-Trailer", trailer)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	_ = encoder.Encode(answer)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// websocket sends the description of the handshake, then every message back.
func (s *Server) websocket(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	if err := conn.WriteJSON(s.describe(r)); err != nil {
		return
	}
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			return
		}
	}
}
