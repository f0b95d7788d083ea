// Package shoppers simulates the customers and the staff of a shop. They use only the HTTP API, so
// they see what any client sees.
//
// It measures nothing; see internal/bench for that.
package shoppers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// Client speaks to one server.
type Client struct {
	base string
	key  string // its API key
	http *http.Client

	channel string // where its customers buy
}

// NewClient speaks to the server at an address such as http://127.0.0.1:8080, with an API key (empty
// for a server that asks for none), over at most so many connections at once.
func NewClient(base, key string, connections int) *Client {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	return &Client{base: strings.TrimSuffix(base, "/"), key: key, channel: "demo", http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Reply is the answer to a request that was not refused.
type Reply struct {
	Status   int
	Position string // the position of the log after a write
	Replayed bool   // the request was carried out before, under the same key
	Body     []byte
}

// Refusal is an answer of status 4xx or 5xx.
type Refusal struct {
	Status int
	Code   string // such as stock-insufficient
	Detail string
	SKU    string // what was short, if that is the problem
}

func (e *Refusal) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Detail) }

// refused tells whether an error is a refusal with this code.
func refused(err error, code string) (*Refusal, bool) {
	refusal, ok := errors.AsType[*Refusal](err)
	return refusal, ok && refusal.Code == code
}

// ask sends a request and reads the answer into out, unless that is nil. A
// request that is sent again under the same key is done once.
func (c *Client) ask(ctx context.Context, method, path, key string, body, out any) (Reply, error) {
	var content []byte
	if body != nil {
		var err error
		// The same request again must be the same bytes.
		if content, err = json.Marshal(body, json.Deterministic(true)); err != nil {
			return Reply{}, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(content))
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Daybook-Channel", c.channel)
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Reply{}, err // names method and address
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return Reply{}, fmt.Errorf("%s %s: %w", method, path, refusal(response.StatusCode, answer))
	}
	reply := Reply{
		Status: response.StatusCode, Position: response.Header.Get("Daybook-Position"),
		Replayed: response.Header.Get("Idempotency-Replayed") == "true", Body: answer,
	}
	if out == nil {
		return reply, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return reply, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return reply, nil
}

func refusal(status int, answer []byte) *Refusal {
	var problem struct {
		Type   string `json:"type"`
		Detail string `json:"detail"`
		SKU    string `json:"sku"`
	}
	if err := json.Unmarshal(answer, &problem); err != nil {
		return &Refusal{Status: status, Detail: string(answer)}
	}
	return &Refusal{Status: status, Code: problem.Type[strings.LastIndexByte(problem.Type, '/')+1:], Detail: problem.Detail, SKU: problem.SKU}
}

// IsShort tells whether an error is the refusal of a checkout because stock was short.
func IsShort(err error) bool {
	_, short := refused(err, "stock-insufficient")
	return short
}

func newKey() string { return uuid.NewString() }

// path joins the parts of an address, each encoded.
func path(parts ...string) string {
	var address strings.Builder
	address.WriteString("/v1")
	for _, part := range parts {
		address.WriteByte('/')
		address.WriteString(url.PathEscape(part))
	}
	return address.String()
}
