package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/subject"
	"daybook/domain/unit"
)

// foldSubject folds an event about a subject. It must be in the stream of this subject.
func (b *Book) foldSubject(e *event, value subject.Event) {
	switch value := value.(type) {
	case subject.Erased:
		if e.Stream != subject.Stream(value.Owner()) {
			b.report(e, "it is in the stream of another subject")
			return
		}
		b.subjects[e.Stream] = subject.Evolve(b.subjects[e.Stream], value)
		for _, owner := range value.Owners() {
			b.erased[owner] = true
		}
		for _, id := range value.OfCustomers() {
			c := b.Customers[id]
			if c == nil {
				continue
			}
			c.erasedAt, c.erasedLists = e.lastEvent(), nil
			for _, list := range c.WishLists {
				c.erasedLists = append(c.erasedLists, list.ListID)
			}
		}
	}
}

// checkWishLists checks that the wish lists of erased customers were removed. A list that is made
// after the erasure may be there.
func (b *Book) checkWishLists() *Check {
	check := &Check{Name: "erasures: no wish list of an erased customer is left"}
	for _, owner := range sorted(b.erased) {
		id, _ := strings.CutPrefix(string(owner), "customer:")
		c := b.Customers[unit.CustomerID(id)]
		if c == nil || owner != unit.CustomerID(id).Owner() {
			continue // a guest, or a customer without an account
		}
		check.Examined += int64(len(c.erasedLists))
		for _, list := range c.erasedLists {
			if _, left := c.WishList(list); left && !b.underWay(c.erasedAt) {
				check.differ("customer %s was erased and has the wish list %s", id, list)
			}
		}
	}
	return check
}

// checkKept checks that what is kept of an order is named by an erasure of its own subject: of its
// customer, or of the guest whose cart became the order.
func (b *Book) checkKept() *Check {
	check := &Check{Name: "erasures: kept orders are those of their subjects"}
	for _, stream := range sorted(b.subjects) {
		erased := b.subjects[stream].Erased
		check.Examined += int64(len(erased.Kept))
		for _, kept := range erased.Kept {
			o := b.Orders[kept.OrderID]
			switch {
			case o == nil || !o.Exists():
				check.differ("the erasure of %s keeps the order %s, which does not exist", erased.Owner(), kept.OrderID)
			case !slices.Contains(erased.OfCustomers(), o.CustomerID) && (erased.CartID == "" || !o.OwnedBy(erased.CartID.Owner())):
				check.differ("the erasure of %s keeps the order %s, which is somebody else's", erased.Owner(), kept.OrderID)
			}
		}
	}
	return check
}

// checkErased checks that no subject has a key whose texts were erased. It reads the keys as they
// are after the log was folded, because a node may erase somebody meanwhile.
func (b *Book) checkErased(ctx context.Context, pool *pgxpool.Pool) (*Check, error) {
	check := &Check{Name: "erasures: no key of an erased subject exists"}
	owners := sorted(b.erased)
	check.Examined = int64(len(owners))
	if len(owners) == 0 {
		return check, nil
	}
	rows, err := pool.Query(ctx, `SELECT subject FROM commands.data_keys WHERE subject = ANY ($1) AND destroyed_at IS NULL ORDER BY 1`, owners)
	if err != nil {
		return nil, fmt.Errorf("compare erasures: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[unit.Owner])
	if err != nil {
		return nil, fmt.Errorf("compare erasures: %w", err)
	}
	for _, owner := range found {
		check.differ("%s was erased and has a key that is not destroyed", owner)
	}
	return check, nil
}
