package httpapi

import (
	"context"
	"net/http"
	"time"

	"daybook/domain/access"
	"daybook/internal/problem"
	"daybook/internal/ratelimit"
)

// Limits are how many requests each second a node serves. 0 stands for no limit. The requests of
// ten seconds may come at once. Probes are not limited, and neither is a node without access
// control.
type Limits struct {
	// PerKey is for each principal except guests and people. PerPerson is for each person of the
	// staff who has signed in, which is less, because a person cannot send as much as a program.
	// PerCustomer is for the holder of a customer's key, for each customer for whom a storefront
	// acts, and for each guest.
	PerKey, PerPerson, PerCustomer float64
	// PerAddress is for each address. Requests with customers' keys, requests of guests with a
	// token, and requests without a good key count apart, so that none of them uses up the
	// allowance of another. It does not count the requests of a storefront, because a storefront
	// sends the requests of many customers from one address.
	PerAddress float64
	// WrongPerAddress is for each address. It counts requests whose key is not good. While none
	// are left, sessions and tokens of an issuer are refused without a check, because their checks
	// cost much. Those that were good a short time ago are checked all the same.
	WrongPerAddress float64
	// GuestCartsPerAddress is for each address. It counts the carts that guests open without a
	// token.
	GuestCartsPerAddress float64
}

// burst is how many seconds' worth of requests may come at once. Example: with a limit of 5
// requests a second, 50 may come at once.
const burst = 10 * time.Second

// Allowances has a limiter for each of the Limits. Whatever serves the same callers in another way
// than HTTP uses the same Allowances. So nobody gets more tries by using both. Its methods may be
// called by several goroutines.
type Allowances struct {
	perKey, perPerson, perCustomer, wrong, guestCarts *ratelimit.Limiter
	// Each of them is for an address: requests with customers' keys, of guests with a token, and
	// without good credentials.
	customers, guests, strangers *ratelimit.Limiter
	recent                       *recent
	now                          func() time.Time
}

// NewAllowances makes an Allowances in which nothing is used up. now may be nil for the time of
// day.
func NewAllowances(given Limits, now func() time.Time) *Allowances {
	if now == nil {
		now = time.Now
	}
	return &Allowances{
		perKey: ratelimit.New(given.PerKey, burst), perPerson: ratelimit.New(given.PerPerson, burst), perCustomer: ratelimit.New(given.PerCustomer, burst),
		wrong: ratelimit.New(given.WrongPerAddress, burst), guestCarts: ratelimit.New(given.GuestCartsPerAddress, burst),
		customers: ratelimit.New(given.PerAddress, burst), guests: ratelimit.New(given.PerAddress, burst), strangers: ratelimit.New(given.PerAddress, burst),
		recent: newRecent(maxRecent), now: now,
	}
}

// Stranger returns an error if too many requests without a good key come from a client's address.
// Such requests cannot lock out others at the same address, because requests with a key or with a
// guest's token count apart. Sessions and tokens of an issuer: see costly. wrong means that the
// request had credentials that are not good. client is the address as ClientAt returns it.
func (l *Allowances) Stranger(client string, wrong bool) error {
	if wrong {
		if err := l.take(l.wrong, client, wrongKeys, "from one address"); err != nil {
			return err
		}
	}
	return l.take(l.strangers, client, "requests", "from one address")
}

// Principal returns an error if somebody sends too many requests.
func (l *Allowances) Principal(who access.Principal, client string) error {
	switch {
	case who.ID == access.Everyone.ID:
		return nil
	case who.Cart != "":
		if err := l.take(l.perCustomer, who.ID, "requests", "of one guest"); err != nil {
			return err
		}
		return l.take(l.guests, client, "requests", "from one address")
	case isPerson(who):
		if err := l.take(l.perPerson, who.ID, "requests", "of one person"); err != nil || who.ActsFor == "" {
			return err
		}
		return l.take(l.perCustomer, who.ID+" for "+string(who.ActsFor), "requests", "for one customer")
	}
	if err := l.take(l.perKey, who.ID, "requests", "with one key"); err != nil {
		return err
	}
	switch {
	case who.ActsFor != "":
		return l.take(l.perCustomer, who.ID+" for "+string(who.ActsFor), "requests", "for one customer")
	case who.Customer != "":
		if err := l.take(l.perCustomer, who.ID, "requests", "of one customer"); err != nil {
			return err
		}
		return l.take(l.customers, client, "requests", "from one address")
	}
	return nil
}

// isPerson tells whether a principal is a person of the staff who has signed in, here or at an
// identity provider. A program with a token of an identity provider counts as a person, too,
// because its token does not say which of the two it is.
func isPerson(who access.Principal) bool {
	prefix := access.AuthenticatedPrefix(who.ID)
	return who.Customer == "" && (prefix == access.StaffPrefix || prefix == access.OIDCPrefix)
}

// User returns an error if a user of another part of the program, who is no principal, sends too
// many calls.
func (l *Allowances) User(name string) error {
	return l.take(l.perKey, "user "+name, "calls", "of one user")
}

// wrongKeys is what the allowance for wrong credentials counts.
const wrongKeys = "requests with a wrong key"

// costly returns an error if an address has sent too many wrong credentials. It is asked before
// credentials whose check costs a query or the check of a signature. API keys are checked without
// it, because their check costs little. It takes nothing, because the credentials may be good. It
// does not refuse credentials that were good a short time ago, so that somebody who guesses cannot
// lock out the people who have signed in at the same address.
func (l *Allowances) costly(client, credential string) error {
	now := l.now()
	if wait := l.wrong.Wait(client, now); wait > 0 && !l.recent.has(credential, now) {
		return problem.RateLimited(l.wrong.PerSecond(), wrongKeys, "from one address", wait)
	}
	return nil
}

// Throttled returns check for credentials whose check costs much. It does not check them if the
// client's address has sent too many wrong ones, unless they were good a short time ago.
func (l *Allowances) Throttled(client string, check Check) Check {
	return func(ctx context.Context, credential string) (access.Principal, error) {
		if err := l.costly(client, credential); err != nil {
			return access.Principal{}, err
		}
		who, err := check(ctx, credential)
		switch {
		case err == nil:
			l.recent.note(credential, l.now())
		case isWrong(err):
			l.recent.forget(credential)
		}
		return who, err
	}
}

// Check returns who has a credential. The error says why it is not good.
type Check func(ctx context.Context, credential string) (access.Principal, error)

// noteWrong counts wrong credentials of a request that is served all the same.
func (l *Allowances) noteWrong(client string) { l.wrong.Take(client, l.now()) }

// opensCart returns an error if guests at a client's address open too many carts.
func (l *Allowances) opensCart(client string) error {
	return l.take(l.guestCarts, client, "new carts of guests", "from one address")
}

// take returns a problem if a name has no allowance left.
func (l *Allowances) take(limiter *ratelimit.Limiter, name, what, by string) error {
	if wait := limiter.Take(name, l.now()); wait > 0 {
		return problem.RateLimited(limiter.PerSecond(), what, by, wait)
	}
	return nil
}

// limited is identify with limits.
func (f *front) limited(r *http.Request, record *problem.Request) error {
	err := f.identify(r, record)
	if f.access == nil || isProbe(r.URL.EscapedPath()) {
		return err
	}
	if refused, is := err.(*problem.Document); is && refused.Status == http.StatusUnauthorized { //nolint:errorlint // identify returns it as it is
		if over := f.allowances.Stranger(record.Client, refused.Unwrap() != nil); over != nil {
			return over
		}
	}
	if err != nil {
		return err
	}
	if record.Who.IsZero() || record.Anonymous { // somebody who wants to sign in, or a guest without a token
		if err := f.allowances.Stranger(record.Client, false); err != nil || !opensCart(r) || !record.Anonymous {
			return err
		}
		return f.allowances.opensCart(record.Client)
	}
	return f.allowances.Principal(record.Who, record.Client)
}

// opensCart tells whether a request opens a cart.
func opensCart(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/v1/carts" }
