// Package idtoken tells who sends a JSON web token of an OpenID Connect issuer. One claim of the
// token names the role, and another claim names the customer. What the role may do is defined in
// this shop, not in the token.
package idtoken

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// Reasons why a token is refused. A client is not told which one it is. The program's log has the
// reason.
var (
	ErrRefused = errors.New("the token is not good")
	ErrNoRole  = errors.New("the token names no role that there is")
	ErrEnded   = errors.New("the token has expired, or its role has other rights")
)

// UnreachableError means that the issuer did not say which keys it signs with.
type UnreachableError struct{ Cause error }

func (e *UnreachableError) Error() string {
	return "the issuer of tokens cannot be reached: " + e.Cause.Error()
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// Algorithms are those with which an issuer may sign. All of them sign with a private key and check
// with a public one. So somebody who can check a token cannot make one.
var Algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

const (
	// skew is how much the clocks of the issuer and of this node may differ.
	skew       = 30 * time.Second
	askTimeout = 5 * time.Second
	// recheck is how often While checks whether the token of a long request is still good. The
	// request must end within a second after its token.
	recheck = 500 * time.Millisecond
)

// Config says whose tokens are good.
type Config struct {
	Issuer   string // its address, exactly as it is in its tokens
	Audience string // the issuer's name for this shop
	// RoleClaim and CustomerClaim name the members of a token that have the role and the customer.
	RoleClaim, CustomerClaim string
	// CustomerOf returns the customer of a subject whose tokens name none. Nobody can compute the
	// subject from it. It is always the same one until that customer is erased. nil: such tokens
	// are refused.
	CustomerOf func(ctx context.Context, subject string) (unit.CustomerID, error)
	// Grants returns the grants of a role. A role that does not exist has none.
	Grants func(access.Role) access.Grants
	Now    func() time.Time
	Client *http.Client // nil: one with a time limit
}

// ParseIssuer checks the address of an issuer: https, or http on this machine. Otherwise somebody
// between this server and the issuer could answer with keys of their own.
func ParseIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is no address of an issuer, such as https://login.shop.example", text)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q: want https, because whoever is on the way could answer in the issuer's place", text)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Verifier checks tokens. Its methods may be called by several goroutines.
type Verifier struct {
	config Config
	keys   *keySet
	check  *oidc.IDTokenVerifier
}

// New makes a Verifier. It asks the issuer for its keys when the first token comes.
func New(config Config) *Verifier {
	if config.Client == nil {
		config.Client = &http.Client{Timeout: askTimeout}
	}
	keys := &keySet{config: config}
	return &Verifier{config: config, keys: keys, check: oidc.NewVerifier(config.Issuer, keys, &oidc.Config{
		ClientID: config.Audience, SupportedSigningAlgs: Algorithms,
		Now: func() time.Time { return config.Now().Add(-skew) },
	})}
}

// Looks tells whether a text could be a JSON web token.
func Looks(text string) bool { return strings.Count(text, ".") == 2 }

// Authenticate tells who holds a token.
//
// Errors: ErrRefused with its reason, ErrNoRole, *UnreachableError, and those of Config.CustomerOf.
func (v *Verifier) Authenticate(ctx context.Context, text string) (access.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	token, err := v.check.Verify(ctx, text)
	if err != nil {
		if unreachable := v.keys.unreachable(); unreachable != nil {
			return access.Principal{}, unreachable
		}
		return access.Principal{}, fmt.Errorf("%w: %v", ErrRefused, err) //nolint:errorlint // the reason is only for the log
	}
	var claims map[string]any
	if err := token.Claims(&claims); err != nil || token.Subject == "" {
		return access.Principal{}, fmt.Errorf("%w: it names nobody", ErrRefused)
	}
	role, grants, err := v.role(claims[v.config.RoleClaim])
	if err != nil {
		return access.Principal{}, err
	}
	who := access.Principal{ID: nameOf(token.Subject), Role: role, Grants: grants, Credential: strconv.FormatInt(token.Expiry.Unix(), 10)}
	if !limited(grants) {
		return who, nil
	}
	claimed, named := claims[v.config.CustomerClaim]
	if !named && role == access.Customer && v.config.CustomerOf != nil {
		who.Customer, err = v.config.CustomerOf(ctx, token.Subject)
		return who, err
	}
	customer, _ := claimed.(string)
	if who.Customer, err = unit.ParseCustomerID(customer); err != nil {
		return access.Principal{}, fmt.Errorf("%w: the role %s needs a customer: %v", ErrRefused, role, err) //nolint:errorlint // only for the log
	}
	return who, nil
}

// role reads the claim with the role. The claim is a text, or a list in which exactly one name is a
// role of this shop.
func (v *Verifier) role(claim any) (found access.Role, grants access.Grants, err error) {
	names, isList := claim.([]any)
	if !isList {
		names = []any{claim}
	}
	for _, name := range names {
		text, _ := name.(string)
		role, err := access.ParseRole(text)
		if err != nil {
			continue
		}
		if role == access.Guest {
			continue // a guest has a token of a cart, which no issuer can give
		}
		if has := v.config.Grants(role); len(has) > 0 {
			if found != "" && found != role {
				return "", nil, fmt.Errorf("%w: it names two", ErrNoRole)
			}
			found, grants = role, has
		}
	}
	if found == "" {
		return "", nil, ErrNoRole
	}
	return found, grants, nil
}

func limited(grants access.Grants) bool {
	for _, reach := range grants {
		if reach == access.Own {
			return true
		}
	}
	return false
}

const (
	prefix     = access.OIDCPrefix
	hashed     = "sha256-" // begins the hash of a subject; a subject with this beginning is hashed, too
	maxSubject = 64
)

// nameOf returns the name by which events name the holder of a token. A subject that may be an
// e-mail address, or that is long or not plain, is hashed, because events never change.
func nameOf(subject string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._|-"
	if len(subject) <= maxSubject && strings.Trim(subject, plain) == "" && !strings.HasPrefix(subject, hashed) {
		return prefix + subject
	}
	sum := sha256.Sum256([]byte(subject))
	return prefix + hashed + hex.EncodeToString(sum[:16])
}

// IsHolder tells whether a principal holds a token.
func IsHolder(who access.Principal) bool { return strings.HasPrefix(who.ID, prefix) }

// While returns a context that ends when a token expires or its role gets other rights. The caller
// must call stop.
func (v *Verifier) While(ctx context.Context, who access.Principal) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	end, _ := strconv.ParseInt(who.Credential, 10, 64)
	var once sync.WaitGroup
	once.Go(func() {
		ticker := time.NewTicker(recheck)
		defer ticker.Stop()
		for {
			if !v.config.Now().Before(time.Unix(end, 0).Add(skew)) || !sameGrants(v.config.Grants(who.Role), who.Grants) {
				cancel(ErrEnded)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return ctx, func() { cancel(nil); once.Wait() }
}

func sameGrants(a, b access.Grants) bool {
	if len(a) != len(b) {
		return false
	}
	for permission, reach := range a {
		if b[permission] != reach {
			return false
		}
	}
	return true
}
