package commands_test

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// countedReads is a log that counts how often a stream is read.
type countedReads struct {
	eventstore.Store

	reads atomic.Int64
}

func (c *countedReads) ReadStream(ctx context.Context, stream string, from int64, limit int) iter.Seq2[eventstore.Recorded, error] {
	c.reads.Add(1)
	return c.Store.ReadStream(ctx, stream, from, limit)
}

// A caller sees its own change without a read of the log, and the change of another node with one.
func TestACallerSeesItsOwnChangeWithoutARead(t *testing.T) {
	t.Parallel()
	log := &countedReads{Store: memory.New()}
	shop := shoptest.Open(t, log, commands.DefaultPolicy())
	shop.Sell("MUG", 10)
	shop.Must(shop.FillCart("ann", map[unit.SKU]unit.Quantity{"MUG": 3}))
	done, err := shop.Cart(t.Context(), shoptest.NewCall(), "ann", cart.ChangeCountry{Country: "GB"})
	shop.Must(err)
	country := func(revision int64) (country string, at, reads int64) {
		t.Helper()
		before := log.reads.Load()
		shop.Must(shop.ViewCartFrom(t.Context(), "ann", revision, func(state cart.State, now int64) { country, at = state.Country, now }))
		return country, at, log.reads.Load() - before
	}
	if country, at, reads := country(done.Revision); country != "GB" || at != done.Revision || reads != 0 {
		t.Errorf("saw %q at revision %d with %d reads; want GB at %d without one", country, at, reads, done.Revision)
	}
	other := shoptest.Open(t, log, commands.DefaultPolicy())
	theirs, err := other.Cart(t.Context(), shoptest.NewCall(), "ann", cart.ChangeCountry{Country: "FR"})
	shop.Must(err)
	if country, at, reads := country(theirs.Revision); country != "FR" || at != theirs.Revision || reads == 0 {
		t.Errorf("saw %q at revision %d with %d reads; want FR at %d with one", country, at, reads, theirs.Revision)
	}
}
