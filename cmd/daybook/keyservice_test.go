package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
	"daybook/internal/pgtest"
)

// keyService is a service that manages master keys, as somebody may run it. It can be away.
type keyService struct {
	keys  *sealing.MasterKeys
	away  atomic.Bool
	asked atomic.Int64
}

var errServiceAway = errors.New("the key service does not answer")

func (s *keyService) answers() error {
	s.asked.Add(1)
	if s.away.Load() {
		return &eventstore.UnavailableError{Cause: errServiceAway}
	}
	return nil
}

func (s *keyService) First(ctx context.Context) (string, error) {
	if err := s.answers(); err != nil {
		return "", err
	}
	return s.keys.First(ctx)
}

func (s *keyService) Wrap(ctx context.Context, id string, key, about []byte) ([]byte, error) {
	if err := s.answers(); err != nil {
		return nil, err
	}
	return s.keys.Wrap(ctx, id, key, about)
}

func (s *keyService) Unwrap(ctx context.Context, id string, wrapped, about []byte) ([]byte, error) {
	if err := s.answers(); err != nil {
		return nil, err
	}
	return s.keys.Unwrap(ctx, id, wrapped, about)
}

// serveWith opens a server whose master keys are in a service. It asks for no API keys.
func serveWith(t *testing.T, database string, service sealing.Master) (url string, err error) {
	t.Helper()
	log := &logBuffer{}
	p := &program{
		options:     options{DatabaseURL: database, Store: storePostgres, location: time.UTC},
		environment: testEnvironment(nil, strings.NewReader(""), log, log), log: slog.New(slog.NewTextHandler(log, nil)),
	}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Serving, cfg.Web.Access, cfg.Master = true, accessOff, service
	server, err := p.openServer(t.Context(), "127.0.0.1:0", gatewayConfig{}, cfg)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, log)
	}
	t.Cleanup(func() {
		if err := server.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return server.url, nil
}

// mustServeWith is serveWith for a server that has to open.
func mustServeWith(t *testing.T, database string, service sealing.Master) string {
	t.Helper()
	url, err := serveWith(t, database, service)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// While the service of the master keys is away, a request that needs a key which is not in memory
// gets 503 with the reason. Nothing reads as erased, nothing is recorded in clear text, and
// everything that needs no key goes on. When the service is back, everything goes on.
func TestAKeyServiceThatIsAwayErasesNothing(t *testing.T) {
	t.Parallel()
	keys, err := sealing.ReadMasterKeys(writeMasterKey(t))
	if err != nil {
		t.Fatal(err)
	}
	service, database := &keyService{keys: keys}, pgtest.URL(t)
	first := mustServeWith(t, database, service)
	s := &privateShop{&keyedShop{t: t, database: database}, ""}
	s.url = first
	s.tellOf(carol)()
	second := mustServeWith(t, database, service) // it has no key in memory
	service.away.Store(true)

	status, text := s.askAt(second, http.MethodGet, "/v1/streams/cart-carol-left", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "The keys of personal texts cannot be reached now") {
		t.Errorf("read: %d %s", status, text)
	}
	status, text = s.askAt(second, http.MethodGet, "/v1/customers/carol/export", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "The keys of personal texts cannot be reached now") || strings.Contains(text, mark) {
		t.Errorf("export: %d %.500s", status, text)
	}
	s.mustAt(second, http.MethodPost, "/v1/carts", `{"cart_id":"away","currency":"GBP","customer_id":"erin","lines":[{"sku":"MUG","quantity":1}]}`)
	status, text = s.askAt(second, http.MethodPost, "/v1/carts/away/abandon", `{"reason":"`+mark+`erin"}`)
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "The keys of personal texts cannot be reached now") {
		t.Errorf("write: %d %s", status, text)
	}
	for _, at := range []string{first, second} {
		if shown := s.reads(at, carol); strings.Contains(shown, sealing.Erased) {
			t.Errorf("%s reads as erased", at)
		}
	}
	if found := marksIn(dump(t, poolOf(t, database)), "erin"); len(found) > 0 {
		t.Errorf("recorded while the service was away: %q", found)
	}
	if service.asked.Load() == 0 {
		t.Error("nobody has asked the service")
	}

	service.away.Store(false)
	s.mustAt(second, http.MethodPost, "/v1/carts/away/abandon", `{"reason":"`+mark+`erin"}`)
	for _, at := range []string{first, second} {
		eventually(t, recoveryLimit, "all texts are shown again", func() bool {
			shown := s.reads(at, carol)
			return strings.Contains(shown, mark+"carol-abandoned") && strings.Contains(shown, mark+"carol-canceled") && !strings.Contains(shown, sealing.Erased)
		})
	}
}

// A node that starts while the service is away waits for it, and says so.
func TestANodeWaitsForItsKeyService(t *testing.T) {
	t.Parallel()
	keys, err := sealing.ReadMasterKeys(writeMasterKey(t))
	if err != nil {
		t.Fatal(err)
	}
	service, database := &keyService{keys: keys}, pgtest.URL(t)
	service.away.Store(true)
	opened := make(chan string, 1)
	go func() {
		url, err := serveWith(t, database, service)
		if err != nil {
			t.Error(err)
		}
		opened <- url
	}()
	eventually(t, recoveryLimit, "the node asks for the service", func() bool { return service.asked.Load() > 2 })
	select {
	case <-opened:
		t.Fatal("the node is open without its master keys")
	default:
	}
	service.away.Store(false)
	s := &privateShop{&keyedShop{t: t, database: database}, ""}
	s.url = <-opened
	s.tellOf(carol)()
}
