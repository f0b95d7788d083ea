package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// client is one keep-alive connection that sends JSON and reads responses. It does less than the
// client of net/http (no pool, no redirects, no two goroutines for a connection), because it shares
// its processors with the program that it measures.
type client struct {
	host string
	auth string // the header with the API key, as it is sent
	// channel is where the shopper buys. Empty: nothing is said about it.
	channel string
	conn    net.Conn
	in      *bufio.Reader
	used    time.Time // when the connection was last in use
	out     []byte
	body    []byte

	position string // of the log, as the last response said
}

// requestMax is a time in which every request is answered. If one is not, the run fails.
const requestMax = 30 * time.Second

// idleMax is how long a connection may be idle and is still used. A server closes connections that
// are idle for long, for example while another row is measured.
const idleMax = time.Second

// dial opens the connections of a number of clients, which send an API key unless it is empty.
func dial(ctx context.Context, baseURL, key string, clients int) ([]*client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	auth := ""
	if key != "" {
		auth = "Authorization: Bearer " + key + "\r\n"
	}
	all := make([]*client, 0, clients)
	for range clients {
		c := &client{host: base.Host, auth: auth}
		if err := c.connect(ctx); err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, c)
	}
	return all, nil
}

func (c *client) connect(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.host)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	c.conn, c.in, c.used = conn, bufio.NewReader(conn), time.Now()
	return nil
}

func closeAll(clients []*client) error {
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// post sends a body. It returns the status and the response's body, which is valid until the next
// call. key is the Idempotency-Key; empty means none.
func (c *client) post(ctx context.Context, path, key, body string) (status int, answer []byte, err error) {
	return c.write(ctx, http.MethodPost, path, key, body)
}

// write is post with another method.
func (c *client) write(ctx context.Context, method, path, key, body string) (status int, answer []byte, err error) {
	c.out = fmt.Appendf(c.out[:0], "%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, c.host, c.auth, len(body))
	if c.channel != "" {
		c.out = fmt.Appendf(c.out, "Daybook-Channel: %s\r\n", c.channel)
	}
	if key != "" {
		c.out = fmt.Appendf(c.out, "Idempotency-Key: %s\r\n", key)
	}
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, body...)
	if status, err = c.send(ctx); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return status, c.body, nil
}

// get reads. The response must be 200; it is valid until the next call. If atLeast is not empty,
// the response must reflect this position of the log, and the server waits for it.
func (c *client) get(ctx context.Context, path, atLeast string) (answer []byte, err error) {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\n%s", path, c.host, c.auth)
	if atLeast != "" {
		c.out = fmt.Appendf(c.out, "Daybook-Min-Position: %s\r\nPrefer: wait=10\r\n", atLeast)
	}
	c.out = append(c.out, "\r\n"...)
	status, err := c.send(ctx)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("answers %d %s", status, c.body)
	}
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return c.body, nil
}

// send sends the request in out, and reads the response into body.
func (c *client) send(ctx context.Context) (status int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if time.Since(c.used) > idleMax {
		if err := errors.Join(c.conn.Close(), c.connect(ctx)); err != nil {
			return 0, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestMax)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	c.position = response.Header.Get("Daybook-Position")
	c.body, err = readInto(c.body[:0], response.Body)
	c.used = time.Now()
	return response.StatusCode, err
}

// readInto reads all of a body into a buffer that grows as it must.
func readInto(buffer []byte, body io.ReadCloser) ([]byte, error) {
	for {
		if len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if errors.Is(err, io.EOF) {
			return buffer, body.Close()
		}
		if err != nil {
			return buffer, err
		}
	}
}

// created checks that the response is 201.
func (c *client) created(ctx context.Context, path, key, body string) error {
	status, answer, err := c.post(ctx, path, key, body)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("POST %s answers %d %s", path, status, answer)
	}
	return err
}
