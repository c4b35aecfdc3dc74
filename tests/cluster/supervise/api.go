package supervise

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"portcullis.dev/testcluster/pki"
	"portcullis.dev/testcluster/settings"
)

// api asks the API server and etcd what little the supervisor wants to know, without a client library: that keeps the
// supervisor small.
type api struct {
	s      *settings.Settings
	client *http.Client
}

func newAPI(s *settings.Settings) (*api, error) {
	config, err := pki.Client(s, pki.Admin)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return &api{s, &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// until a GET of the URL answers 200.
func (a *api) until(ctx context.Context, url string) error {
	for {
		_, err := a.do(ctx, http.MethodGet, url, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; %w", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *api) etcdReady(ctx context.Context) error {
	return a.until(ctx, fmt.Sprintf("http://127.0.0.1:%d/health", a.s.EtcdPort))
}

func (a *api) serverReady(ctx context.Context) error { return a.until(ctx, a.s.URL()+"/readyz") }

// defaultsReady waits for the ServiceAccount without which admission refuses every Pod.
func (a *api) defaultsReady(ctx context.Context) error {
	return a.until(ctx, a.s.URL()+"/api/v1/namespaces/default/serviceaccounts/default")
}

// compact etcd up to now, past all that the API server's clients have seen: it gets a new revision first.
func (a *api) compact(ctx context.Context) (revision string, err error) {
	b := base64.StdEncoding.EncodeToString
	text, err := a.etcd(ctx, "put", map[string]any{"key": b([]byte("/testcluster/compacted")), "value": ""})
	if err != nil {
		return "", err
	}
	var answer struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	revision = answer.Header.Revision
	_, err = a.etcd(ctx, "compaction", map[string]any{"revision": revision, "physical": true})
	return revision, err
}

// etcd speaks to etcd's gateway from JSON to gRPC.
func (a *api) etcd(ctx context.Context, method string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return a.do(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/v3/kv/%s", a.s.EtcdPort, method), text)
}

func (a *api) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, text)
	}
	return text, err
}
