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

// client is one keep-alive connection that sends JSON and reads answers. It does less than
// the client of net/http (no pool, no redirects, no two goroutines for a connection), because
// it shares its processors with the program that it measures.
type client struct {
	host string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

// requestMax is a time in which every request is answered. If one is not, the run fails.
const requestMax = 30 * time.Second

// dial opens the connections of a number of clients.
func dial(ctx context.Context, baseURL string, clients int) ([]*client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	var dialer net.Dialer
	all := make([]*client, 0, clients)
	for range clients {
		conn, err := dialer.DialContext(ctx, "tcp", base.Host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to the server: %w", err), closeAll(all))
		}
		all = append(all, &client{host: base.Host, conn: conn, in: bufio.NewReader(conn)})
	}
	return all, nil
}

func closeAll(clients []*client) error {
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// post sends a body. It returns the status and the answer's body, which is valid until the
// next call. key is the Idempotency-Key; empty means none.
func (c *client) post(ctx context.Context, path, key, body string) (status int, answer []byte, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestMax)); err != nil {
		return 0, nil, err
	}
	c.out = fmt.Appendf(c.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, c.host, len(body))
	if key != "" {
		c.out = fmt.Appendf(c.out, "Idempotency-Key: %s\r\n", key)
	}
	c.out = append(c.out, "\r\n"...)
	c.out = append(c.out, body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, nil, fmt.Errorf("POST %s: %w", path, err)
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("POST %s: %w", path, err)
	}
	c.body, err = readInto(c.body[:0], response.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("POST %s: %w", path, err)
	}
	return response.StatusCode, c.body, nil
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

// created checks that the answer is 201.
func (c *client) created(ctx context.Context, path, key, body string) error {
	status, answer, err := c.post(ctx, path, key, body)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("POST %s answers %d %s", path, status, answer)
	}
	return err
}
