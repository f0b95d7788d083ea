package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// retainFlags say how long the shop keeps personal data that nobody asks to erase.
type retainFlags struct {
	RetainGuests time.Duration `placeholder:"DURATION" from:"DAYBOOK_RETAIN_GUESTS" help:"How long the personal texts of a guest are kept after the last change of the guest's cart and order, such as 8760h. Then the program erases them. An order that is not finished keeps them longer. By default they are kept until somebody erases them."`
	RetainLast   time.Duration `name:"retain-answers" default:"48h" placeholder:"DURATION" from:"DAYBOOK_RETAIN_ANSWERS" help:"How long responses are kept under their idempotency keys. A request that is repeated later gets a new response, and has no second effect. Default: ${default}."`
}

// retention is how long personal data is kept.
type retention struct {
	guests  time.Duration // 0: until somebody erases them
	answers time.Duration // 0: the default
}

// maxRetention is a hundred years.
const maxRetention = 100 * 365 * 24 * time.Hour

func (f retainFlags) config() (retention, error) {
	if f.RetainGuests < 0 || f.RetainGuests > 0 && f.RetainGuests < time.Second || f.RetainGuests > maxRetention {
		return retention{}, usagef("--retain-guests must be 0 or from %s to %s, not %s", time.Second, maxRetention, f.RetainGuests)
	}
	if f.RetainLast < time.Minute || f.RetainLast > maxRetention {
		return retention{}, usagef("--retain-answers must be from %s to %s, not %s", time.Minute, maxRetention, f.RetainLast)
	}
	return retention{guests: f.RetainGuests, answers: f.RetainLast}, nil
}

const (
	// Guests are looked for when a tenth of the retention has passed, but at least once an hour and
	// at most once a second.
	retainMost  = time.Hour
	retainLeast = time.Second
	// retainPage is how many guests are looked up at once.
	retainPage = 200
)

// retentionPart is the part that erases what the shop keeps no longer.
func (n *node) retentionPart(of retention) part {
	return part{name: "retention", onLog: true, run: func(ctx context.Context) error { return n.runRetention(ctx, of) }}
}

// runRetention erases what the shop keeps no longer, in the program's own name. Several nodes may
// do it at the same time: an erasure that was recorded is not recorded again.
func (n *node) runRetention(ctx context.Context, of retention) error {
	every := retainMost
	if of.guests > 0 {
		every = min(max(of.guests/10, retainLeast), retainMost)
	}
	for ; ctx.Err() == nil; pause.For(ctx, every) {
		if err := n.erasing.removeKept(ctx); err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "invoices whose time is over are not all deleted; it is tried again", "error", err)
		}
		if of.guests == 0 {
			continue
		}
		if err := n.eraseOldGuests(ctx, of.guests); err != nil && ctx.Err() == nil {
			n.log.WarnContext(ctx, "old personal texts of guests are not all erased; it is tried again", "error", err)
		}
	}
	return ctx.Err()
}

// eraseOldGuests erases the guests whose carts and orders were not changed for some time.
func (n *node) eraseOldGuests(ctx context.Context, after time.Duration) error {
	before := n.now().Add(-after)
	for last := unit.Owner(""); ; {
		guests, err := n.erasing.table.KeyedGuests(ctx, last, before, retainPage)
		if err != nil || len(guests) == 0 {
			return err
		}
		for _, guest := range guests {
			last = guest
			id := unit.CartID(strings.TrimPrefix(string(guest), "cart:"))
			old, err := n.unchangedSince(ctx, id, before)
			if err != nil {
				return err
			}
			if !old {
				continue
			}
			_, err = n.service.Erase(ctx, commands.ByRetention(uuid.New()), subject.Erased{CartID: id, Reason: subject.Retention})
			if errors.Is(err, subject.ErrOrderOpen) || errors.Is(err, subject.ErrHasCustomer) { // somebody has signed in meanwhile
				continue
			}
			if err != nil {
				return fmt.Errorf("erase the guest of cart %s: %w", id, err)
			}
		}
	}
}

// unchangedSince tells whether the cart and the order of a guest had no event since a time. A cart
// that has a customer now is no guest's: it goes with the customer.
func (n *node) unchangedSince(ctx context.Context, id unit.CartID, since time.Time) (old bool, err error) {
	err = n.readPool.QueryRow(ctx, `
		SELECT coalesce(bool_and(c.customer_id = '' AND c.recorded_at < $2 AND coalesce(o.changed_at < $2, true)), false)
		FROM read.carts c LEFT JOIN read.orders o ON o.order_id = c.order_id WHERE c.cart_id = $1`, id, since).Scan(&old)
	if err != nil {
		return false, fmt.Errorf("the last change of cart %s: %w", eventstore.Visible(string(id)), err)
	}
	return old, nil
}
