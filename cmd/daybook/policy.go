package main

import (
	"slices"
	"strings"
	"time"

	"daybook/commands"
	"daybook/domain/order"
	"daybook/domain/unit"
)

// policyFlags are the settings of the shop that decide what happens to its orders and carts.
type policyFlags struct {
	ReserveFor       time.Duration `name:"hold-for" default:"15m" placeholder:"DURATION" from:"DAYBOOK_HOLD_FOR" help:"How long stock is reserved for an order that is not confirmed. Default: ${default}."`
	CartsExpireAfter time.Duration `default:"720h" placeholder:"DURATION" from:"DAYBOOK_CARTS_EXPIRE_AFTER" help:"How long after its last change an open cart expires; 0 means never. Default: ${default}, which is 30 days."`
	Times            timeFlags     `embed:""`
	RefundLimit      []string      `placeholder:"GBP=100.00" from:"DAYBOOK_REFUND_LIMIT" help:"The most that may be given back in all on one order, and for one return, without the permission refunds.unlimited, which managers and admins have. One for each currency, such as GBP=100.00; repeatable, or separated by commas. If there are any, every refund in another currency needs the permission. By default there is no limit."`
	DiscountLimit    []string      `placeholder:"GBP=20.00" from:"DAYBOOK_DISCOUNT_LIMIT" help:"The most that may be taken off one cart by hand without the permission discounts.unlimited, which managers and admins have. One for each currency, such as GBP=20.00; repeatable, or separated by commas. If there are any, every such discount in another currency needs the permission. By default there is no limit."`
	WriteOffLimit    []string      `placeholder:"GBP=0.10" from:"DAYBOOK_WRITE_OFF_LIMIT" help:"The largest difference between what was paid and what is owed that may be written off on one order without the permission writeoffs.unlimited, which managers and admins have. One for each currency, such as GBP=0.10; repeatable, or separated by commas. Without one, every write-off needs the permission."`
	SurchargeLimit   []string      `placeholder:"GBP=10.00" from:"DAYBOOK_SURCHARGE_LIMIT" help:"The most that may be added to one order as surcharges without the permission surcharges.unlimited, which managers and admins have. One for each currency, such as GBP=10.00; repeatable, or separated by commas. Without one, every surcharge needs the permission."`
	ExtendAtMost     time.Duration `default:"720h" placeholder:"DURATION" from:"DAYBOOK_EXTEND_AT_MOST" help:"How far after now the deadline of an order that is not confirmed may be moved. Default: ${default}, which is 30 days."`
	Remedy           string        `enum:"void_or_refund,backorder" default:"void_or_refund" from:"DAYBOOK_REMEDY" help:"What happens to a confirmed order whose stock was lost: it is canceled and its payment is given back (void_or_refund), or it waits for stock (backorder). Default: ${default}."`
}

// maxReserveFor is the largest --hold-for. It is also the longest hold_seconds that a checkout may
// ask for.
const maxReserveFor = 30 * 24 * time.Hour

// maxCartsExpireAfter is ten years.
const maxCartsExpireAfter = 10 * 365 * 24 * time.Hour

// maxExtendAtMost is a year.
const maxExtendAtMost = 365 * 24 * time.Hour

// policy is what the flags say.
func (f policyFlags) policy(now time.Time) (policy commands.Policy, err error) {
	if f.ReserveFor < time.Second || f.ReserveFor > maxReserveFor {
		return policy, usagef("--hold-for must be from %s to %s, not %s", time.Second, maxReserveFor, f.ReserveFor)
	}
	if f.CartsExpireAfter < 0 || f.CartsExpireAfter > 0 && f.CartsExpireAfter < time.Second || f.CartsExpireAfter > maxCartsExpireAfter {
		return policy, usagef("--carts-expire-after must be 0 or from %s to %s, not %s", time.Second, maxCartsExpireAfter, f.CartsExpireAfter)
	}
	if f.ExtendAtMost < time.Second || f.ExtendAtMost > maxExtendAtMost {
		return policy, usagef("--extend-at-most must be from %s to %s, not %s", time.Second, maxExtendAtMost, f.ExtendAtMost)
	}
	policy = commands.DefaultPolicy()
	if policy.Times, err = f.Times.bounds(now); err != nil {
		return policy, err
	}
	if policy.RefundLimits, err = limits("--refund-limit", f.RefundLimit); err != nil {
		return policy, err
	}
	if policy.DiscountLimits, err = limits("--discount-limit", f.DiscountLimit); err != nil {
		return policy, err
	}
	if policy.WriteOffLimits, err = limits("--write-off-limit", f.WriteOffLimit); err != nil {
		return policy, err
	}
	if policy.SurchargeLimits, err = limits("--surcharge-limit", f.SurchargeLimit); err != nil {
		return policy, err
	}
	policy.ExtendAtMost = f.ExtendAtMost
	policy.ReserveFor, policy.CartsExpireAfter, policy.Remedy = f.ReserveFor, f.CartsExpireAfter, order.Remedy(f.Remedy)
	return policy, nil
}

// limits reads values of a flag, such as "GBP=100.00".
func limits(flag string, texts []string) (limits []unit.Money, err error) {
	for _, text := range texts {
		currency, amount, named := strings.Cut(strings.TrimSpace(text), "=")
		limit, err := unit.ParseMoney(amount, currency)
		switch {
		case !named:
			return nil, usagef("%s needs a currency and an amount, such as GBP=100.00, not %q", flag, text)
		case err != nil:
			return nil, usagef("%s %q: %v", flag, text, err)
		case limit.Sign() < 0:
			return nil, usagef("%s %q: the amount must not be below zero", flag, text)
		case slices.ContainsFunc(limits, func(other unit.Money) bool { return other.Currency == limit.Currency }):
			return nil, usagef("%s has two limits for %s", flag, limit.Currency)
		}
		limits = append(limits, limit)
	}
	return limits, nil
}
