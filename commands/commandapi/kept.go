package commandapi

import (
	"time"

	"daybook/domain/access"
	"daybook/internal/problem"
	"daybook/internal/ratelimit"
)

// KeptLimits are how many answers each hour are kept under the idempotency keys of one caller. 0
// stands for no limit. Those of an hour may come at once.
type KeptLimits struct {
	// PerCustomer is for each customer, for each customer for whom somebody acts, and for all
	// guests at one address together.
	PerCustomer float64
	// PerPerson is for each person of the staff, and PerKey for each program. What they do for
	// customers counts here, too, because somebody could name ever more customers.
	PerPerson, PerKey float64
}

// keptAllowances counts the answers that are kept. Without a limit, one caller could fill the
// table.
type keptAllowances struct{ perCustomer, perPerson, perKey *ratelimit.Limiter }

func newKeptAllowances(given KeptLimits) keptAllowances {
	perHour := func(count float64) *ratelimit.Limiter {
		return ratelimit.New(count/time.Hour.Seconds(), time.Hour)
	}
	return keptAllowances{perHour(given.PerCustomer), perHour(given.PerPerson), perHour(given.PerKey)}
}

// take tells whether the answer to a request is kept, and counts it. scope is the scope of the
// caller's idempotency keys. If a request whose answer is not kept is repeated, it still has no
// second effect, because its command id derives from its key. Without access control there is no
// limit.
func (a keptAllowances) take(request *problem.Request, scope string) bool {
	now, who := time.Now(), request.Who
	switch {
	case who.ID == access.Everyone.ID:
		return true
	case who.Cart != "": // guests are many, so those of an address count together
		return a.perCustomer.Take(request.Client, now) == 0
	case who.Customer != "":
		return a.perCustomer.Take(scope, now) == 0
	case who.ActsFor != "" && a.perCustomer.Take(scope, now) > 0:
		return false
	}
	switch access.AuthenticatedPrefix(who.ID) {
	case access.StaffPrefix, access.OIDCPrefix:
		return a.perPerson.Take(who.ID, now) == 0
	}
	return a.perKey.Take(who.ID, now) == 0
}
