package httpapi

import (
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
	// PerKey is for each principal except guests. PerCustomer is for the holder of a customer's
	// key, for each customer for whom a storefront acts, and for each guest.
	PerKey, PerCustomer float64
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

// allowances has a limiter for each of the Limits.
type allowances struct {
	perKey, perCustomer, wrong, guestCarts *ratelimit.Limiter
	// Each of them is for an address: requests with customers' keys, of guests with a token, and
	// without good credentials.
	customers, guests, strangers *ratelimit.Limiter
	recent                       *recent
	now                          func() time.Time
}

func newAllowances(given Limits, now func() time.Time) allowances {
	if now == nil {
		now = time.Now
	}
	return allowances{
		perKey: ratelimit.New(given.PerKey, burst), perCustomer: ratelimit.New(given.PerCustomer, burst),
		wrong: ratelimit.New(given.WrongPerAddress, burst), guestCarts: ratelimit.New(given.GuestCartsPerAddress, burst),
		customers: ratelimit.New(given.PerAddress, burst), guests: ratelimit.New(given.PerAddress, burst), strangers: ratelimit.New(given.PerAddress, burst),
		recent: newRecent(maxRecent), now: now,
	}
}

// stranger returns an error if too many requests without a good key come from a client's address.
// Such requests cannot lock out others at the same address, because requests with a key or with a
// guest's token count apart. Sessions and tokens of an issuer: see costly.
func (l allowances) stranger(client string, wrong bool) error {
	if wrong {
		if err := l.take(l.wrong, client, wrongKeys, "from one address"); err != nil {
			return err
		}
	}
	return l.take(l.strangers, client, "requests", "from one address")
}

// principal returns an error if somebody sends too many requests.
func (l allowances) principal(who access.Principal, client string) error {
	switch {
	case who.ID == access.Everyone.ID:
		return nil
	case who.Cart != "":
		if err := l.take(l.perCustomer, who.ID, "requests", "of one guest"); err != nil {
			return err
		}
		return l.take(l.guests, client, "requests", "from one address")
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

// wrongKeys is what the allowance for wrong credentials counts.
const wrongKeys = "requests with a wrong key"

// costly returns an error if an address has sent too many wrong credentials. It is asked before
// credentials whose check costs a query or the check of a signature. API keys are checked without
// it, because their check costs little. It takes nothing, because the credentials may be good. It
// does not refuse credentials that were good a short time ago, so that somebody who guesses cannot
// lock out the people who have signed in at the same address.
func (l allowances) costly(client, credential string) error {
	now := l.now()
	if wait := l.wrong.Wait(client, now); wait > 0 && !l.recent.has(credential, now) {
		return problem.RateLimited(l.wrong.PerSecond(), wrongKeys, "from one address", wait)
	}
	return nil
}

// noteWrong counts wrong credentials of a request that is served all the same.
func (l allowances) noteWrong(client string) { l.wrong.Take(client, l.now()) }

// opensCart returns an error if guests at a client's address open too many carts.
func (l allowances) opensCart(client string) error {
	return l.take(l.guestCarts, client, "new carts of guests", "from one address")
}

// take returns a problem if a name has no allowance left.
func (l allowances) take(limiter *ratelimit.Limiter, name, what, by string) error {
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
		if over := f.allowances.stranger(record.Client, refused.Unwrap() != nil); over != nil {
			return over
		}
	}
	if err != nil {
		return err
	}
	if record.Who.IsZero() || record.Anonymous { // somebody who wants to sign in, or a guest without a token
		if err := f.allowances.stranger(record.Client, false); err != nil || !opensCart(r) || !record.Anonymous {
			return err
		}
		return f.allowances.opensCart(record.Client)
	}
	return f.allowances.principal(record.Who, record.Client)
}

// opensCart tells whether a request opens a cart.
func opensCart(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/v1/carts" }
