package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"daybook/commands/keyring"
	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
)

// The groups of the gateway that the holders of API keys can be in.
const (
	groupAdmins  = "$admins"      // may do everything
	groupOps     = "$ops"         // manages groups of consumers
	groupReaders = "daybook-read" // reads the shop's streams and the whole log
)

// callers returns the users of the gateway: the holders of API keys and the users of a file. It
// returns nil if everybody may call.
func (g *openGateway) callers(n *node) gateway.Users {
	if !g.keyed {
		return g.users
	}
	return gatewayUsers{keys: n.keys, uses: n.keyUses, file: g.users, refuse: n.store.refuse}
}

// readers returns the groups that may read the shop's streams. It returns nil if every user may
// read them.
func (g *openGateway) readers() []string {
	if !g.keyed {
		return nil
	}
	return []string{groupReaders}
}

// gatewayUsers are the users of a gateway: the holders of API keys, and the users of a file if
// there is one. A key's id is the name of a user, and its secret is the password. The whole text of
// the key is accepted as a password, too.
type gatewayUsers struct {
	keys   *keyring.Keyring
	uses   *keyring.Uses
	file   gateway.Users
	refuse func(path string) error // says why the keys were not read
}

// errNotForGateway means that the role of a key has no right that the gateway could use.
var errNotForGateway = errors.New("the role of the API key has no permission that the gateway needs: events.read, events.write or processes.write")

// Authenticate implements gateway.Users.
func (u gatewayUsers) Authenticate(ctx context.Context, name, password string) (gateway.User, error) {
	text, isKey := keyring.TextOf(name, password)
	if !isKey {
		if u.file == nil {
			return gateway.User{}, gateway.ErrBadCredentials
		}
		return u.file.Authenticate(ctx, name, password)
	}
	who, err := u.keys.Authenticate(text)
	if errors.Is(err, keyring.ErrNotReady) {
		return gateway.User{}, &eventstore.UnavailableError{Cause: errors.Join(err, u.refuse("/v1/keys"))}
	}
	if errors.Is(err, keyring.ErrUnknown) {
		return gateway.User{}, err
	}
	if err != nil { // there is such a key, so its id may be in the log
		return gateway.User{Name: name}, err
	}
	u.uses.Note(keyring.IDOf(who))
	user := gateway.User{
		Name: name, Groups: gatewayGroups(who), ReadOnly: who.Reach(access.WriteEvents) != access.All,
		While: func(ctx context.Context) (context.Context, func()) { return u.keys.While(ctx, who) },
	}
	if len(user.Groups) == 0 && user.ReadOnly {
		return gateway.User{Name: name}, errNotForGateway
	}
	return user, nil
}

// gatewayGroups returns the groups of a key's holder. A holder is in groupAdmins only with all
// rights that the gateway knows, because that group may do everything.
func gatewayGroups(who access.Principal) (groups []string) {
	lacks := func(needs access.Permission) bool { return who.Reach(needs) != access.All }
	if !slices.ContainsFunc(gatewayRights, lacks) {
		groups = append(groups, groupAdmins)
	}
	for _, one := range []struct {
		needs access.Permission
		group string
	}{{access.WriteProcesses, groupOps}, {access.ReadEvents, groupReaders}} {
		if !lacks(one.needs) {
			groups = append(groups, one.group)
		}
	}
	return groups
}

// gatewayRights are all rights that the gateway knows.
var gatewayRights = []access.Permission{access.WriteAccess, access.WriteProcesses, access.ReadEvents, access.WriteEvents}

// The files of a certificate that the program makes itself, in the data directory.
const (
	ownCertFile = "gateway.crt"
	ownKeyFile  = "gateway.key"
)

// How long such a certificate is good, and how long before its end the program makes a new one when
// it starts.
const (
	ownCertLasts = 10 * 365 * 24 * time.Hour
	ownCertRenew = 30 * 24 * time.Hour
)

// ownCertificate returns a certificate for a gateway whose flags name none. The gateway needs one,
// because clients send keys only over TLS. The program makes it at the first start and keeps it in
// the data directory. Clients get the file, so that they trust the certificate. host is the name
// that clients use besides the loopback addresses.
func ownCertificate(dir, host string, now time.Time) (file string, config *tls.Config, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, ownCertFile)
	pair, err := tls.LoadX509KeyPair(file, filepath.Join(dir, ownKeyFile))
	if err != nil || pair.Leaf.VerifyHostname(host) != nil || now.After(pair.Leaf.NotAfter.Add(-ownCertRenew)) {
		if err = makeCertificate(dir, host, now); err == nil {
			pair, err = tls.LoadX509KeyPair(file, filepath.Join(dir, ownKeyFile))
		}
	}
	if err != nil {
		return "", nil, err
	}
	return file, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// makeCertificate writes a certificate that signs itself, and its private key.
func makeCertificate(dir, host string, now time.Time) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: "daybook gateway"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownCertLasts),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := writeSecret(filepath.Join(dir, ownKeyFile), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))); err != nil {
		return err
	}
	file := filepath.Join(dir, ownCertFile)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil { //nolint:gosec // a certificate is not secret
		return fmt.Errorf("write the certificate: %w", err)
	}
	return nil
}
