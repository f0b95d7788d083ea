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
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"daybook/commands/keyring"
	"daybook/commands/signin"
	"daybook/domain/access"
	"daybook/eventstore"
	"daybook/eventstore/gateway"
	"daybook/internal/httpapi"
	"daybook/internal/idtoken"
	"daybook/internal/problem"
)

// The groups of the gateway that callers can be in, besides those of a file.
const (
	groupAdmins  = "$admins"      // may do everything
	groupOps     = "$ops"         // manages groups of consumers
	groupReaders = "daybook-read" // reads the shop's streams and the whole log
)

// setUsers says in the options who the callers of the gateway are. Without them everybody may call.
func (g *openGateway) setUsers(options *gateway.Options, n *node) {
	if !g.keyed {
		options.Users = g.users
		return
	}
	users := gatewayUsers{access: n.access(), limits: n.allowances, refusals: n.callers, file: g.users, withheld: n.withhold.Event}
	options.Users, options.Refused = users, users.refused
}

// readers returns the groups that may read the shop's streams. It returns nil if every user may
// read them.
func (g *openGateway) readers() []string {
	if !g.keyed {
		return nil
	}
	return []string{groupReaders}
}

// gatewayUsers are the users of a gateway. They are those who may send requests to the HTTP API,
// and the users of a file if there is one:
//
//   - the holder of an API key, whose name is the key's id, and whose password is its secret. The
//     whole text of the key is accepted as a password, too.
//   - a person who has signed in, whose name is the e-mail address, and whose password is the token
//     of the session. The person's own password is not accepted, because it would bypass the second
//     factor and the pauses after wrong ones.
//   - the holder of a token of an issuer, whose name is oidcName, and whose password is the token.
//
// Each of them can send the key or the token as a bearer token instead. The limits are those of the
// HTTP API, and calls count together with requests.
type gatewayUsers struct {
	access   nodeAccess
	limits   *httpapi.Allowances
	refusals *httpapi.Refusals
	file     gateway.Users // nil: there is none
	// withheld takes personal data out of an event.
	withheld func(eventstore.Recorded) eventstore.Recorded
}

// oidcName is the user name with which a client that cannot send bearer tokens sends a token of an
// issuer.
const oidcName = "oidc"

// Reasons why a caller of the gateway is refused, besides those of the credentials.
var (
	errNotForGateway = errors.New("the role has no permission that the gateway needs: events.read, events.write or processes.write")
	errOtherAddress  = errors.New("the user name is not the e-mail address of the session's person")
)

// gatewayReasons are why the gateway refuses callers.
var gatewayReasons = []string{problem.CodeCredentials, httpapi.ReasonWrongKey, problem.CodeForbidden, problem.CodeRateLimited}

// Authenticate implements gateway.Users.
func (u gatewayUsers) Authenticate(ctx context.Context, name, password string) (gateway.User, error) {
	if text, isKey := keyring.TextOf(name, password); isKey {
		who, err := u.access.Authenticate(ctx, text)
		var toLog gateway.User
		if !errors.Is(err, keyring.ErrUnknown) {
			toLog.Name = name // there is such a key, so its id may be in the log
		}
		return u.admit(ctx, toLog, who, err)
	}
	switch {
	case signin.IsSession(password):
		who, err := u.limits.Throttled(clientAt(ctx), u.access.Session)(ctx, password)
		if err == nil {
			err = u.checkAddress(ctx, who, name)
		}
		return u.admit(ctx, gateway.User{Name: who.ID}, who, err)
	case name == oidcName && u.access.tokens != nil && idtoken.Looks(password):
		return u.AuthenticateToken(ctx, password)
	case u.file == nil:
		return gateway.User{}, gateway.ErrBadCredentials
	}
	user, err := u.file.Authenticate(ctx, name, password)
	if err == nil {
		err = tooMany(u.limits.User(user.Name))
	}
	return user, err
}

// AuthenticateToken implements gateway.TokenUsers.
func (u gatewayUsers) AuthenticateToken(ctx context.Context, token string) (gateway.User, error) {
	check := httpapi.Check(u.access.Authenticate)
	switch {
	case signin.IsSession(token):
		check = u.limits.Throttled(clientAt(ctx), u.access.Session)
	case idtoken.Looks(token):
		check = u.limits.Throttled(clientAt(ctx), check)
	}
	who, err := check(ctx, token)
	return u.admit(ctx, gateway.User{}, who, err)
}

// checkAddress returns an error if a name is not the e-mail address of a person who has signed in.
func (u gatewayUsers) checkAddress(ctx context.Context, who access.Principal, name string) error {
	same, err := u.access.desk.HasAddress(ctx, signin.PersonOf(who), name)
	if err != nil {
		return &eventstore.UnavailableError{Cause: err}
	}
	if !same {
		return errOtherAddress
	}
	return nil
}

// admit returns the user for a principal, unless err is an error of the check of its credentials.
// refused is the user that is named in the log then.
func (u gatewayUsers) admit(ctx context.Context, refused gateway.User, who access.Principal, err error) (gateway.User, error) {
	if unready, is := errors.AsType[*httpapi.UnreadyError](err); is {
		return gateway.User{}, &eventstore.UnavailableError{Cause: unready}
	}
	if err != nil {
		return refused, tooMany(err)
	}
	user := gateway.User{
		Name: nameInGateway(who), Groups: gatewayGroups(who), ReadOnly: who.Reach(access.WriteEvents) != access.All,
		While: func(ctx context.Context) (context.Context, func()) { return u.access.While(ctx, who) },
	}
	if err := u.limits.Principal(who, clientAt(ctx)); err != nil {
		return gateway.User{Name: user.Name}, tooMany(err)
	}
	if !who.SeesPersonal(access.ReadEvents) {
		user.Show = u.withheld
	}
	if len(user.Groups) == 0 && user.ReadOnly {
		return gateway.User{Name: user.Name}, errNotForGateway
	}
	return user, nil
}

// nameInGateway is the name of a user for the lists of rights that clients write: the id of a key,
// and otherwise the actor, such as staff:p3f9a1c2d4 or oidc:u1. Neither a key nor a user of a file
// has a colon in its name, so no two users have one name.
func nameInGateway(who access.Principal) string {
	if id := keyring.IDOf(who); id != "" {
		return string(id)
	}
	return who.ID
}

// tooMany makes an error of the limits one of the gateway. Other errors stay as they are.
func tooMany(err error) error {
	if over, is := errors.AsType[*problem.Document](err); is && over.Status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %s", gateway.ErrTooMany, over.Detail)
	}
	return err
}

// refused counts a caller who is refused. It returns an error if the caller's address has sent too
// many calls without good credentials.
func (u gatewayUsers) refused(ctx context.Context, cause error) error {
	var over error
	reason := httpapi.ReasonWrongKey
	switch {
	case errors.Is(cause, gateway.ErrTooMany):
		reason = problem.CodeRateLimited
	case errors.Is(cause, errNotForGateway):
		reason = problem.CodeForbidden
	case errors.Is(cause, gateway.ErrNoCredentials):
		reason, over = problem.CodeCredentials, u.limits.Stranger(clientAt(ctx), false)
	default:
		over = u.limits.Stranger(clientAt(ctx), true)
	}
	if over != nil {
		reason = problem.CodeRateLimited
	}
	u.refusals.Note(reason)
	return tooMany(over)
}

// clientAt is the client of a call, as the limits of the HTTP API count it.
func clientAt(ctx context.Context) string {
	ip, _ := gateway.AddressOf(ctx)
	return httpapi.ClientAt(ip)
}

// gatewayGroups returns the groups of a caller. A caller is in groupAdmins only with all rights
// that the gateway knows, because that group may do everything.
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
