package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"daybook/commands/payments/simulated"
	"daybook/internal/simulatedprovider"
)

// simulatedProviderCommand serves a provider of payments whose money is not real.
type simulatedProviderCommand struct {
	Listen     string        `default:"127.0.0.1:8090" placeholder:"HOST:PORT" help:"Where to listen: a loopback address; port 0 takes a free one. Default: ${default}."`
	SecretFile string        `name:"secret-file" required:"" placeholder:"FILE" help:"The file with the secret that the provider and the shop share, at least 16 characters in one line; the same as --payments-secret-file of serve."`
	Webhooks   string        `placeholder:"URL" help:"Where events are sent: the address of the shop with /v1/payments/webhooks/simulated. By default none are sent."`
	Seed       int64         `default:"1" placeholder:"N" help:"What decides which requests go wrong, and how. Default: ${default}."`
	Faults     float64       `default:"0.05" placeholder:"RATE" help:"The part of the requests with which something goes wrong, 0 to 1: they are refused, carried out without an answer, declined, or end later. Default: ${default}."`
	Slow       time.Duration `default:"100ms" placeholder:"DURATION" help:"The longest time that a request takes, and that a webhook is late. Each webhook is sent once or twice, so webhooks come in any order. Default: ${default}."`
}

// maxSlow bounds --slow, because a client waits for ten seconds.
const maxSlow = time.Minute

func (c *simulatedProviderCommand) check(ctx context.Context, _ *program) error {
	if _, err := ownAddress(ctx, "--listen", c.Listen, "the provider is for tests and has no TLS"); err != nil {
		return err
	}
	if c.Webhooks != "" {
		u, err := url.Parse(c.Webhooks)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return usagef("--webhooks %q: want an address such as http://127.0.0.1:8080/v1/payments/webhooks/%s", c.Webhooks, simulated.Name)
		}
	}
	switch {
	case c.Seed < 0:
		return usagef("--seed must be 0 or more, not %d", c.Seed)
	case !(c.Faults >= 0 && c.Faults <= 1): // not a number is refused, too
		return usagef("--faults must be 0 to 1, not %g", c.Faults)
	case c.Slow < 0 || c.Slow > maxSlow:
		return usagef("--slow must be 0 to %s, not %s", maxSlow, c.Slow)
	}
	_, err := readProviderSecret("--secret-file", c.SecretFile)
	return err
}

// providerReady is what simulated-provider prints once it answers.
type providerReady struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// Run serves until ctx ends.
func (c *simulatedProviderCommand) Run(ctx context.Context, p *program) error {
	secret, err := readProviderSecret("--secret-file", c.SecretFile)
	if err != nil {
		return err
	}
	own, err := ownAddress(ctx, "--listen", c.Listen, "the provider is for tests and has no TLS")
	if err != nil {
		return err
	}
	provider := simulatedprovider.New(simulatedprovider.Options{
		Secret: secret, Webhooks: c.Webhooks, Logger: p.log,
		Faults: simulatedprovider.BadDays(uint64(c.Seed), c.Faults, c.Slow), Copies: simulatedprovider.Shuffled(uint64(c.Seed), c.Slow), //nolint:gosec // check has refused negative ones
	})
	served, err := serveProvider(ctx, "--listen", own, provider)
	if err != nil {
		return err
	}
	defer served.close()
	announcement := providerReady{URL: served.url, PID: os.Getpid()}
	p.log.InfoContext(ctx, "ready", "url", served.url)
	if err := p.print(announcement, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "The simulated provider answers at %s. Its money is not real. Ctrl-C stops it.\n", served.url)
		return err
	}); err != nil {
		return err
	}
	return served.wait(ctx)
}

// readProviderSecret reads the secret that the shop shares with its provider.
func readProviderSecret(flag, file string) (string, error) {
	secret, err := readSecretFile(file)
	if err == nil && len(secret) < simulated.MinSecret {
		err = fmt.Errorf("the secret must have at least %d characters", simulated.MinSecret)
	}
	if err != nil {
		return "", usagef("%s %s: %v", flag, file, err)
	}
	return secret, nil
}

// servedProvider is a simulated provider that answers and sends its webhooks.
type servedProvider struct {
	*simulatedprovider.Provider

	url   string
	http  *http.Server
	ended chan error // why it does not answer any more
	stop  context.CancelFunc
	sent  chan struct{} // closed when no more webhooks are sent
}

// serveProvider listens at an address, and lets a provider answer until close is called.
func serveProvider(ctx context.Context, flag, address string, provider *simulatedprovider.Provider) (*servedProvider, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &servedProvider{
		Provider: provider, url: "http://" + listener.Addr().String(), ended: make(chan error, 2), stop: stop, sent: make(chan struct{}),
		http: &http.Server{Handler: provider, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute},
	}
	go func() { s.ended <- s.http.Serve(listener) }()
	go func() {
		defer close(s.sent)
		if err := provider.Run(running); err != nil {
			s.ended <- err
		}
	}()
	return s, nil
}

// wait returns nil when ctx ends, or says why the provider does not answer any more.
func (s *servedProvider) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.ended:
		return fmt.Errorf("simulated provider: %w", err)
	}
}

// close ends it. Requests that are under way are cut off, and webhooks that wait are not sent.
func (s *servedProvider) close() {
	s.stop()
	<-s.sent
	if err := s.http.Close(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.ended <- err
	}
}
