package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/streams"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
	gatewaypg "daybook/eventstore/gateway/postgres"
	"daybook/eventstore/memory"
	"daybook/eventstore/postgres"
	"daybook/internal/pgtest"
)

// engine is a log for gateways to serve.
type engine struct {
	eventstore.Store
	pool *pgxpool.Pool // the database that several nodes share; nil if a node must be alone
}

func inMemory(*testing.T) engine { return engine{Store: memory.New()} }

func inPostgres(t *testing.T) engine {
	t.Helper()
	pool := pgtest.New(t)
	for _, migrate := range []func(context.Context, *pgxpool.Pool) error{postgres.Migrate, gatewaypg.Migrate} {
		if err := migrate(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := ending(t)
		defer cancel()
		if err := store.Close(ctx); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return engine{Store: store, pool: pool}
}

// serve runs gateways over one log until the test ends: nodes in plain text, on which everybody may
// do everything except write to the domain's streams, and one node with TLS and users. If nodes can
// share a database, there are two in plain text, and the first leads.
func serve(t *testing.T, log engine) addresses {
	t.Helper()
	_, err := log.Append(t.Context(), protectedStream, eventstore.NoStream, []eventstore.Event{
		{ID: uuid.New(), Type: "order.placed.v1", Data: []byte("{}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	certificate, authority := certify(t)
	secure := start(t, log, listen(t), gateway.Options{
		Users: twoUsers{},
		TLS:   &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	})
	plain := startNode(t, log, gateway.Options{})
	at := addresses{
		Plain:    "esdb://" + plain + "?tls=false",
		Seeds:    "esdb://" + deadAddress(t) + "," + plain + "?tls=false",
		Discover: "esdb+discover://" + plain + "?tls=false",
		Secure:   secure + "?tlsCAFile=" + url.QueryEscape(authority),
	}
	if log.pool != nil {
		follower := startNode(t, log, gateway.Options{})
		at.Follower = "esdb://" + follower + "?tls=false"
		at.Seeds = "esdb://" + deadAddress(t) + "," + follower + "," + plain + "?tls=false"
		at.Discover = "esdb+discover://" + follower + "?tls=false"
	}
	return at
}

// startNode serves in plain text. If nodes can share a database, it is one of several.
func startNode(t *testing.T, log engine, options gateway.Options) string {
	t.Helper()
	listener := listen(t)
	if log.pool == nil {
		return start(t, log, listener, options)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("listening at %v", listener.Addr())
	}
	node := gatewaypg.NewNode(log.pool, address.IP.String(), address.Port, 0, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		node.Run(ctx)
	}()
	t.Cleanup(func() { // after the gateway is closed
		stop()
		<-ended
	})
	for leader, changed := node.Leadership(); leader.Host == ""; leader, changed = node.Leadership() {
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("no node leads")
		}
	}
	options.Groups, options.Node, options.Cluster = gatewaypg.Open(log.pool), node, node
	return start(t, log, listener, options)
}

// start serves a log and returns the address. Clients cannot write to the domain's streams, unless
// the options allow it.
func start(t *testing.T, log engine, listener net.Listener, options gateway.Options) string {
	t.Helper()
	if options.Protected == nil {
		options.Protected = streams.Owns
	}
	server, err := gateway.New(log.Store, options)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := ending(t)
		defer cancel()
		if err := server.Close(ctx); err != nil {
			t.Errorf("close the gateway: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// ending is a context for cleaning up, when the test's own has ended.
func ending(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// deadAddress is an address at which nothing listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	listener := listen(t)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

type twoUsers struct{}

func (twoUsers) Authenticate(_ context.Context, name, given string) (gateway.User, error) {
	if name != writer && name != reader || given != password {
		return gateway.User{}, gateway.ErrBadCredentials
	}
	return gateway.User{Name: name}, nil
}

// certify makes a certificate for this machine's own address, and the file of
// the authority that signed it.
func certify(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "interop test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "interop test node"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, nodeKey := newKey(t), newKey(t)
	authorityDER := sign(t, authority, authority, authorityKey, authorityKey)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, node, authority, nodeKey, authorityKey)}, PrivateKey: nodeKey}, path
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, certificate, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
