package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"daybook/internal/httpapi"
	"daybook/internal/pgtest"
)

// trusting is a client that trusts only one certificate. Each request has a connection of its own.
func trusting(t *testing.T, certPEM []byte) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certPEM) {
		t.Fatal("no certificate")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
}

func getBy(ctx context.Context, client *http.Client, url string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// With a certificate, the API is served by HTTPS on an address that other machines can reach. A new
// certificate is used without a restart.
func TestServeByHTTPS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	server := serve(t, "--access", "keys", "--database-url", pgtest.URL(t), "--tls-cert", cert, "--tls-key", key, "--listen", "0.0.0.0:0")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.url, "https://"))
	if err != nil {
		t.Fatalf("%s: %v", server.url, err)
	}
	address := "https://127.0.0.1:" + port
	oldPEM, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	old := trusting(t, oldPEM)
	if response, body, err := getBy(t.Context(), old, address+"/livez"); err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Fatalf("by HTTPS: %v %v %s", response, err, body)
	}
	if response, body, err := getBy(t.Context(), old, address+"/v1/orders"); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %v %v %s", response, err, body)
	}
	if response, body, err := getBy(t.Context(), http.DefaultClient, "http://127.0.0.1:"+port+"/livez"); err == nil && response.StatusCode == http.StatusOK {
		t.Errorf("in plain text: %s", body)
	}
	certPEM, keyPEM := newCertificate(t)
	for file, content := range map[string][]byte{cert: certPEM, key: keyPEM} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := trusting(t, certPEM)
	eventually(t, patience, "the new certificate is used", func() bool {
		_, _, err := getBy(t.Context(), next, address+"/livez")
		return err == nil
	})
	if _, _, err := getBy(t.Context(), old, address+"/livez"); err == nil {
		t.Error("the old certificate is still used")
	}
}

// A server on an address that other machines can reach, behind a proxy with TLS, believes what the
// proxy says about its clients.
func TestServeBehindAProxy(t *testing.T) {
	t.Parallel()
	server := serve(t, "--access", "keys", "--database-url", pgtest.URL(t), "--behind-proxy", "127.0.0.1", "--listen", "0.0.0.0:0")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.url, "http://"))
	if err != nil {
		t.Fatalf("%s: %v", server.url, err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/v1/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "192.0.2.77")
	request.Header.Set("Authorization", "Bearer dbk_wrong")
	response, err := contract.Client(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(server.log.String(), "client=192.0.2.77") {
		t.Errorf("%d, and the log does not name the client:\n%s", response.StatusCode, server.log)
	}
}

// The server gets certificates from an authority by ACME, only for the names that were given, and
// keeps them in the cache.
func TestCertificatesByACME(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	flags := openFlags{ACMEDomain: []string{"shop.example"}, ACMEDirectory: authority.url + "/directory", ACMECache: t.TempDir()}
	open := func(flags openFlags) string {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
		server := httpapi.NewServer(handler, slog.New(slog.DiscardHandler))
		server.TLSConfig = flags.acme("", authority.client)
		go server.ServeTLS(listener, "", "") //nolint:errcheck // it ends with the test
		t.Cleanup(func() { _ = server.Close() })
		authority.resolve(listener.Addr().String())
		return listener.Addr().String()
	}
	ask := func(address, name string) (string, error) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: authority.roots(), MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}}
		_, body, err := getBy(t.Context(), client, "https://"+name+"/")
		return body, err
	}
	address := open(flags)
	if body, err := ask(address, "shop.example"); err != nil || body != "hello" {
		t.Fatalf("by ACME: %q, %v", body, err)
	}
	if _, err := ask(address, "other.example"); err == nil {
		t.Error("a name that was not given has a certificate")
	}
	if made := authority.issued.Load(); made != 1 {
		t.Errorf("%d certificates were made, want 1", made)
	}
	// Another start takes the certificate from the cache.
	if body, err := ask(open(flags), "shop.example"); err != nil || body != "hello" || authority.issued.Load() != 1 {
		t.Errorf("after another start: %q, %v, %d certificates were made", body, err, authority.issued.Load())
	}
}
