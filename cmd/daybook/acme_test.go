package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/crypto/acme"
)

// authority is an authority that speaks ACME (RFC 8555) with one account and one order at a time.
// It makes a certificate only if the server at the resolved address passes the challenge
// tls-alpn-01 (RFC 8737). It does not check signatures of requests.
type authority struct {
	t      *testing.T
	url    string
	client *http.Client // trusts the authority's own HTTPS
	key    crypto.Signer
	cert   *x509.Certificate
	issued atomic.Int64

	mu      sync.Mutex
	address string // where all names lead
	name    string // the name of the order
	account string // the thumbprint of the account's key
	proved  bool
	chain   []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key, cert: cert}
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	a.url, a.client = server.URL, server.Client()
	return a
}

// resolve makes all names lead to an address.
func (a *authority) resolve(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.address = address
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// ServeHTTP implements http.Handler.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Replay-Nonce", "nonce")
	order := map[string]any{
		"status": map[bool]string{false: "pending", true: "ready"}[a.proved], "finalize": a.url + "/finalize", "certificate": a.url + "/certificate",
		"authorizations": []string{a.url + "/authorization"}, "identifiers": []any{map[string]string{"type": "dns", "value": a.name}},
	}
	challenge := map[string]string{"type": "tls-alpn-01", "url": a.url + "/challenge", "token": "token", "status": map[bool]string{false: "pending", true: "valid"}[a.proved]}
	switch r.URL.Path {
	case "/directory":
		a.respond(w, http.StatusOK, map[string]string{"newNonce": a.url + "/nonce", "newAccount": a.url + "/account", "newOrder": a.url + "/new-order"})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", a.url+"/account/1")
		a.account = a.thumbprint(r)
		a.respond(w, http.StatusCreated, map[string]string{"status": "valid"})
	case "/new-order":
		var wanted struct {
			Identifiers []struct{ Value string }
		}
		a.read(r, &wanted)
		a.name, a.proved = wanted.Identifiers[0].Value, false
		order["status"], order["identifiers"] = "pending", []any{map[string]string{"type": "dns", "value": a.name}}
		w.Header().Set("Location", a.url+"/order")
		a.respond(w, http.StatusCreated, order)
	case "/authorization":
		a.respond(w, http.StatusOK, map[string]any{"status": challenge["status"], "identifier": map[string]string{"type": "dns", "value": a.name}, "challenges": []any{challenge}})
	case "/challenge":
		if err := a.prove(); err != nil {
			a.t.Errorf("the challenge: %v", err)
		}
		a.respond(w, http.StatusOK, challenge)
	case "/order":
		a.respond(w, http.StatusOK, order)
	case "/finalize":
		var wanted struct{ CSR string }
		a.read(r, &wanted)
		a.issue(wanted.CSR)
		order["status"] = "valid"
		w.Header().Set("Location", a.url+"/order")
		a.respond(w, http.StatusOK, order)
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.chain)
	default:
		http.NotFound(w, r)
	}
}

func (a *authority) respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.MarshalWrite(w, body); err != nil {
		a.t.Error(err)
	}
}

// read reads the payload of a signed request.
func (a *authority) read(r *http.Request, payload any) {
	var signed struct{ Protected, Payload string }
	err := json.UnmarshalRead(r.Body, &signed, json.MatchCaseInsensitiveNames(true))
	if err == nil {
		var text []byte
		if text, err = base64.RawURLEncoding.DecodeString(signed.Payload); err == nil {
			err = json.Unmarshal(text, payload, json.MatchCaseInsensitiveNames(true))
		}
	}
	if err != nil {
		a.t.Error(err)
	}
}

// thumbprint is that of the key in the head of a signed request.
func (a *authority) thumbprint(r *http.Request) string {
	var signed struct{ Protected string }
	var head struct{ JWK struct{ X, Y string } }
	err := json.UnmarshalRead(r.Body, &signed, json.MatchCaseInsensitiveNames(true))
	if err == nil {
		var text []byte
		if text, err = base64.RawURLEncoding.DecodeString(signed.Protected); err == nil {
			err = json.Unmarshal(text, &head, json.MatchCaseInsensitiveNames(true))
		}
	}
	x, xErr := base64.RawURLEncoding.DecodeString(head.JWK.X)
	y, yErr := base64.RawURLEncoding.DecodeString(head.JWK.Y)
	if err := errors.Join(err, xErr, yErr); err != nil {
		a.t.Error(err)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		a.t.Error(err)
		return ""
	}
	thumbprint, err := acme.JWKThumbprint(key)
	if err != nil {
		a.t.Error(err)
	}
	return thumbprint
}

// prove connects to the server and checks what the challenge asks for.
func (a *authority) prove() error {
	config := &tls.Config{ServerName: a.name, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // the challenge has a certificate of its own
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: config}
	connection, err := dialer.DialContext(a.t.Context(), "tcp", a.address)
	if err != nil {
		return err
	}
	defer connection.Close()
	secure, ok := connection.(*tls.Conn)
	if !ok {
		return fmt.Errorf("a %T is no connection by TLS", connection)
	}
	state := secure.ConnectionState()
	want := crypto.SHA256.New()
	fmt.Fprint(want, "token."+a.account)
	for _, extension := range state.PeerCertificates[0].Extensions {
		if strings.HasSuffix(extension.Id.String(), ".1.31") && string(extension.Value) == "\x04\x20"+string(want.Sum(nil)) {
			a.proved = state.NegotiatedProtocol == acme.ALPNProto
			return nil
		}
	}
	return errors.New("the certificate does not have the token")
}

// issue makes a certificate if the challenge was passed.
func (a *authority) issue(csr string) {
	der, err := base64.RawURLEncoding.DecodeString(csr)
	if err != nil {
		a.t.Error(err)
		return
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || !a.proved {
		a.t.Errorf("a certificate is wanted, proved: %t, %v", a.proved, err)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: request.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(80 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, a.cert, request.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
		return
	}
	a.issued.Add(1)
	a.chain = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})...)
}
