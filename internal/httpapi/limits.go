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
	// PerAddress is for each address. It counts requests of guests, with customers' keys and
	// without a good key. It does not count the requests of a storefront, because a storefront
	// sends the requests of many customers from one address.
	PerAddress float64
	// WrongPerAddress is for each address. It counts requests whose key is not good. While none
	// are left, sessions and tokens of an issuer are refused without a check, because their checks
	// cost much.
	WrongPerAddress float64
}

// burst is how many seconds' worth of requests may come at once. Example: with a limit of 5
// requests a second, 50 may come at once.
const burst = 10 * time.Second

// allowances has a limiter for each of the Limits.
type allowances struct {
	perKey, perCustomer, perAddress, wrong *ratelimit.Limiter
}

func newAllowances(given Limits) allowances {
	return allowances{
		perKey: ratelimit.New(given.PerKey, burst), perCustomer: ratelimit.New(given.PerCustomer, burst),
		perAddress: ratelimit.New(given.PerAddress, burst), wrong: ratelimit.New(given.WrongPerAddress, burst),
	}
}

// stranger returns an error if too many requests without a good key come from a client's address.
// Such requests cannot lock out the programs at the same address, because requests with their keys
// do not count against PerAddress. Customers' keys and guests at the address do count against it.
// Sessions and tokens of an issuer: see costly.
func (l allowances) stranger(client string, wrong bool) error {
	if wrong {
		if err := take(l.wrong, client, wrongKeys, "from one address"); err != nil {
			return err
		}
	}
	return take(l.perAddress, client, "requests", "from one address")
}

// principal returns an error if somebody sends too many requests.
func (l allowances) principal(who access.Principal, client string) error {
	switch {
	case who.IsZero(): // at a path that needs no credentials, such as the sign-in
		return take(l.perAddress, client, "requests", "from one address")
	case who.ID == access.Everyone.ID:
		return nil
	case who.Cart != "": // each guest without a token has a new id, so only one with a token comes back
		if err := take(l.perCustomer, who.ID, "requests", "of one guest"); err != nil {
			return err
		}
		return take(l.perAddress, client, "requests", "from one address")
	}
	if err := take(l.perKey, who.ID, "requests", "with one key"); err != nil {
		return err
	}
	switch {
	case who.ActsFor != "":
		return take(l.perCustomer, who.ID+" for "+string(who.ActsFor), "requests", "for one customer")
	case who.Customer != "":
		if err := take(l.perCustomer, who.ID, "requests", "of one customer"); err != nil {
			return err
		}
		return take(l.perAddress, client, "requests", "from one address")
	}
	return nil
}

// wrongKeys is what the allowance for wrong credentials counts.
const wrongKeys = "requests with a wrong key"

// costly returns an error if an address has sent too many wrong credentials. It is asked before
// credentials whose check costs a query or the check of a signature. API keys are checked without
// it, because their check costs little. It takes nothing, because the credentials may be good.
func (l allowances) costly(client string) error {
	if wait := l.wrong.Wait(client, time.Now()); wait > 0 {
		return problem.RateLimited(l.wrong.PerSecond(), wrongKeys, "from one address", wait)
	}
	return nil
}

// noteWrong counts wrong credentials of a request that is served all the same.
func (l allowances) noteWrong(client string) { l.wrong.Take(client, time.Now()) }

// take returns a problem if a name has no allowance left.
func take(limiter *ratelimit.Limiter, name, what, by string) error {
	if wait := limiter.Take(name, time.Now()); wait > 0 {
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
	if record.Who.IsZero() { // somebody who wants to sign in
		return f.allowances.stranger(record.Client, false)
	}
	return f.allowances.principal(record.Who, record.Client)
}
