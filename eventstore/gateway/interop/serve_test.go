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
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
)

// serve has two gateways over one log until the test ends: one in plain text,
// where everybody may do everything but write to the domain, and one with TLS
// and users.
func serve(t *testing.T, store eventstore.Store) addresses {
	t.Helper()
	_, err := store.Append(t.Context(), protectedStream, eventstore.NoStream, []eventstore.Event{
		{ID: uuid.New(), Type: "order.placed.v1", Data: []byte("{}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	plain := start(t, store, gateway.Options{Protected: commands.Owns})
	certificate, authority := certify(t)
	secure := start(t, store, gateway.Options{
		Protected: commands.Owns,
		Users:     twoUsers{},
		TLS:       &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	})
	return addresses{
		Plain:    "esdb://" + plain + "?tls=false",
		Seeds:    "esdb://" + deadAddress(t) + "," + plain + "?tls=false",
		Discover: "esdb+discover://" + plain + "?tls=false",
		Secure:   secure + "?tlsCAFile=" + url.QueryEscape(authority),
	}
}

// start serves a log at a free port and returns the address.
func start(t *testing.T, store eventstore.Store, options gateway.Options) string {
	t.Helper()
	server, err := gateway.New(store, options)
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
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

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// deadAddress is one at which nobody listens.
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
