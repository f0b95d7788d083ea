package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"daybook/internal/certs"
	"daybook/internal/httpapi"
)

// openFlags say how other machines may reach the HTTP API: by TLS, or through a proxy that does
// TLS.
type openFlags struct {
	TLSCert       string   `name:"tls-cert" placeholder:"FILE" from:"DAYBOOK_TLS_CERT" help:"Certificate (PEM, with its chain) with which the API is served by HTTPS; needs --tls-key. If the files change, the new certificate is used within a second."`
	TLSKey        string   `name:"tls-key" placeholder:"FILE" from:"DAYBOOK_TLS_KEY" help:"Private key (PEM) of the certificate."`
	ACMEDomain    []string `name:"acme-domain" placeholder:"NAME" from:"DAYBOOK_ACME_DOMAIN" help:"Get certificates for this name from an authority that speaks ACME, such as Let's Encrypt. The authority connects to port 443 of this name. It is also a public host. Repeatable, or separated by commas."`
	ACMECache     string   `name:"acme-cache" placeholder:"DIR" from:"DAYBOOK_ACME_CACHE" help:"Where these certificates are kept. Default: acme in the data directory."`
	ACMEEmail     string   `name:"acme-email" placeholder:"ADDRESS" from:"DAYBOOK_ACME_EMAIL" help:"Where the authority can reach you. By using --acme-domain you accept the authority's terms of service."`
	ACMEDirectory string   `name:"acme-directory" placeholder:"URL" from:"DAYBOOK_ACME_DIRECTORY" help:"The authority's directory. Default: that of Let's Encrypt."`
	BehindProxy   []string `name:"behind-proxy" placeholder:"CIDR" from:"DAYBOOK_BEHIND_PROXY" help:"Addresses or networks of the proxies in front of the server, such as 10.0.0.0/8. They are believed when they say who their client is, and without TLS only they may send requests. Repeatable, or separated by commas."`
	ProxyHeader   string   `name:"proxy-header" enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" from:"DAYBOOK_PROXY_HEADER" help:"The header in which the proxies say who their client is: ${enum}. The other one is ignored. Default: ${default}."`
}

// secure tells whether the API is served by HTTPS.
func (f openFlags) secure() bool { return f.TLSCert != "" || len(f.ACMEDomain) > 0 }

// protected tells whether clients on other machines send by TLS, to this server or to a proxy. Then
// nobody else can read what they send.
func (f openFlags) protected() bool { return f.secure() || len(f.BehindProxy) > 0 }

// check refuses flags that do not fit together. dir is the data directory.
func (f openFlags) check(dir string) error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	for _, proxy := range f.BehindProxy {
		if _, err := httpapi.ParseProxy(proxy); err != nil {
			return usagef("--behind-proxy: %v", err)
		}
	}
	if len(f.ACMEDomain) == 0 {
		for flag, value := range map[string]string{"--acme-cache": f.ACMECache, "--acme-email": f.ACMEEmail, "--acme-directory": f.ACMEDirectory} {
			if value != "" {
				return usagef("%s does nothing without --acme-domain", flag)
			}
		}
		return nil
	}
	if f.TLSCert != "" {
		return usagef("--acme-domain and --tls-cert exclude each other: each of them gives the certificate")
	}
	for _, name := range f.ACMEDomain {
		if host, err := httpapi.ParsePublicHost(name); err != nil || net.ParseIP(host) != nil || !strings.Contains(host, ".") {
			return usagef("--acme-domain %q: want a name that others can look up, such as shop.example", name)
		}
	}
	if u, err := url.Parse(f.ACMEDirectory); err != nil || f.ACMEDirectory != "" && (u.Scheme != "https" || u.Host == "") {
		return usagef("--acme-directory %q: want an address that begins with https://", f.ACMEDirectory)
	}
	if f.ACMEEmail != "" && (strings.Count(f.ACMEEmail, "@") != 1 || strings.ContainsAny(f.ACMEEmail, " ,:<>")) {
		return usagef("--acme-email %q: want an e-mail address", f.ACMEEmail)
	}
	if f.ACMECache == "" && dir == "" {
		return usagef("--acme-domain needs --acme-cache, because there is no data directory")
	}
	return nil
}

// tls is the configuration of TLS, or nil without TLS. It reads the files that the flags name.
func (f openFlags) tls(dir string, log *slog.Logger) (*tls.Config, error) {
	switch {
	case f.TLSCert != "":
		files, err := certs.Open(f.TLSCert, f.TLSKey, log)
		if err != nil {
			return nil, usagef("--tls-cert and --tls-key: %v", err)
		}
		config := files.Config()
		config.NextProtos = []string{"h2", "http/1.1"}
		return config, nil
	case len(f.ACMEDomain) > 0:
		return f.acme(dir, nil), nil
	}
	return nil, nil
}

// acme is the configuration of TLS with certificates by ACME. The authority connects to this server
// (the challenge tls-alpn-01), and so finds out that the names lead here. client sends the requests
// to the authority. nil stands for http.DefaultClient.
func (f openFlags) acme(dir string, client *http.Client) *tls.Config {
	cache := f.ACMECache
	if cache == "" {
		cache = filepath.Join(dir, "acme")
	}
	manager := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(cache), Email: f.ACMEEmail,
		HostPolicy: autocert.HostWhitelist(f.ACMEDomain...),
		Client:     &acme.Client{DirectoryURL: cmp.Or(f.ACMEDirectory, autocert.DefaultACMEDirectory), HTTPClient: client},
	}
	config := manager.TLSConfig()
	config.MinVersion = tls.VersionTLS12
	return config
}

// address is the URL that the program shows to its user. With certificates by ACME it has the first
// name, because the certificate has no address.
func (f openFlags) address(listener net.Listener) string {
	if !f.secure() {
		return "http://" + listener.Addr().String()
	}
	if len(f.ACMEDomain) == 0 {
		return "https://" + listener.Addr().String()
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if port == "443" {
		return "https://" + f.ACMEDomain[0]
	}
	return "https://" + net.JoinHostPort(f.ACMEDomain[0], port)
}

// checkListen refuses an address at which listen would not listen.
func (f webFlags) checkListen(ctx context.Context, flag, address string) error {
	_, err := f.listenAddress(ctx, flag, address)
	return err
}

// listenAddress is the address at which the API listens. An address that other machines can reach
// needs access control, because otherwise they could do everything. It also needs TLS, because
// otherwise others could read the keys that they send.
func (f webFlags) listenAddress(ctx context.Context, flag, address string) (string, error) {
	if f.Access == accessByKeys && f.Open.protected() {
		if _, _, err := splitPort(address); err != nil {
			return "", usagef("%s %s: want HOST:PORT, such as 0.0.0.0:8443", flag, address)
		}
		return address, nil
	}
	return ownAddress(ctx, flag, address, "for other machines it needs --access keys, and TLS (--tls-cert, --acme-domain) or a proxy with TLS (--behind-proxy)")
}

// listen opens the address of the API.
func (f webFlags) listen(ctx context.Context, flag, address string) (net.Listener, error) {
	at, err := f.listenAddress(ctx, flag, address)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// ownAddress returns a loopback address, with an IP address in place of a name. It refuses every
// other address. needs is for the text of the refusal, and says what another address would need.
func ownAddress(ctx context.Context, flag, address, needs string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", usagef("%s %s: want HOST:PORT, such as 127.0.0.1:8080", flag, address)
	}
	if _, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil {
		return "", usagef("%s %s: %q is no port", flag, address, port)
	}
	ip, err := loopback(ctx, flag, host, needs)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// loopback is the IP address of a host, if it is a loopback address.
func loopback(ctx context.Context, flag, host, needs string) (net.IP, error) {
	refused := usagef("%s: will not listen on %q, which other machines can reach: %s", flag, host, needs)
	if host == "" {
		return nil, refused
	}
	if ip := net.ParseIP(host); ip != nil {
		if !ip.IsLoopback() {
			return nil, refused
		}
		return ip, nil
	}
	found, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return nil, usagef("%s: %v", flag, err)
	}
	for _, ip := range found {
		if !ip.IsLoopback() {
			return nil, refused
		}
	}
	return found[0], nil
}
