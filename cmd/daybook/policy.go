package main

import (
	"time"

	"daybook/commands"
	"daybook/domain/order"
)

// policyFlags are the settings of the shop that decide what happens to its orders and carts.
type policyFlags struct {
	ReserveFor       time.Duration `name:"hold-for" default:"15m" placeholder:"DURATION" from:"DAYBOOK_HOLD_FOR" help:"How long stock is reserved for an order that is not confirmed. Default: ${default}."`
	CartsExpireAfter time.Duration `default:"720h" placeholder:"DURATION" from:"DAYBOOK_CARTS_EXPIRE_AFTER" help:"How long after its last change an open cart expires; 0 means never. Default: ${default}, which is 30 days."`
	Times            timeFlags     `embed:""`
	Remedy           string        `enum:"void_or_refund,backorder" default:"void_or_refund" from:"DAYBOOK_REMEDY" help:"What happens to a confirmed order whose stock was lost: it is canceled and its payment is given back (void_or_refund), or it waits for stock (backorder). Default: ${default}."`
}

// maxReserveFor is the largest --hold-for. It is also the longest hold_seconds that a checkout may
// ask for.
const maxReserveFor = 30 * 24 * time.Hour

// maxCartsExpireAfter is ten years.
const maxCartsExpireAfter = 10 * 365 * 24 * time.Hour

// policy is what the flags say.
func (f policyFlags) policy(now time.Time) (policy commands.Policy, err error) {
	if f.ReserveFor < time.Second || f.ReserveFor > maxReserveFor {
		return policy, usagef("--hold-for must be from %s to %s, not %s", time.Second, maxReserveFor, f.ReserveFor)
	}
	if f.CartsExpireAfter < 0 || f.CartsExpireAfter > 0 && f.CartsExpireAfter < time.Second || f.CartsExpireAfter > maxCartsExpireAfter {
		return policy, usagef("--carts-expire-after must be 0 or from %s to %s, not %s", time.Second, maxCartsExpireAfter, f.CartsExpireAfter)
	}
	policy = commands.DefaultPolicy()
	if policy.Times, err = f.Times.bounds(now); err != nil {
		return policy, err
	}
	policy.ReserveFor, policy.CartsExpireAfter, policy.Remedy = f.ReserveFor, f.CartsExpireAfter, order.Remedy(f.Remedy)
	return policy, nil
}
