// Package refunds has the rule about how much somebody may give back. Orders and returns use it.
//
// It does not know who has a limit. The caller sets it from the sender's permissions.
package refunds

import (
	"fmt"

	"daybook/domain/rule"
	"daybook/domain/unit"
)

// WithinLimit returns refusal, with the amounts, if more than limit would be given back in all:
// what was given back before and the amount that is asked for. A nil limit means that there is
// none. All amounts have the same currency. where is where the money is given back, such as "on one
// order".
func WithinLimit(limit *unit.Money, before, amount unit.Money, refusal *rule.Rejection, where string) error {
	if limit == nil || before.Plus(amount).Compare(*limit) <= 0 {
		return nil
	}
	return refusal.With(
		fmt.Sprintf("Without the permission refunds.unlimited, at most %s may be given back %s in all. %s have been given back, and %s more are asked for.", limit, where, before, amount),
		map[string]any{"limit": *limit, "given_back": before, "requested": amount})
}
