package commands_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// twoCarts is a shop in which a guest and a customer have a cart each: 2 mugs and 1 tray,
// and 3 mugs.
func twoCarts(t *testing.T, store eventstore.Store) *shop {
	t.Helper()
	s := open(t, store, commands.DefaultPolicy())
	s.Sell("MUG", 100)
	s.Sell("TRAY", 100)
	s.Must(s.FillCart("guest", map[unit.SKU]unit.Quantity{"MUG": 2, "TRAY": 1}))
	s.Must(s.FillCart("ann", map[unit.SKU]unit.Quantity{"MUG": 3}))
	return s
}

// has checks the phase of a cart and its numbers of mugs and trays.
func (s *shop) has(id unit.CartID, phase cart.Phase, mugs, trays unit.Quantity) {
	s.T.Helper()
	now, got := s.CartState(id), map[unit.SKU]unit.Quantity{}
	for _, l := range now.Lines {
		got[l.SKU] += l.Quantity
	}
	if now.Phase != phase || got["MUG"] != mugs || got["TRAY"] != trays {
		s.T.Errorf("cart %s is %s with %v, want it %s with %d mugs and %d trays", id, now.Phase, got, phase, mugs, trays)
	}
}

func TestTheLinesOfACartComeIntoAnother(t *testing.T) {
	t.Parallel()
	s := twoCarts(t, memory.New())
	before := s.events(cart.Stream("guest")) + s.events(cart.Stream("ann"))
	call := shoptest.NewCall()
	call.Meta.OccurredAt = time.Now().Add(-time.Hour).UTC()
	first, err := s.MergeCart(t.Context(), call, "ann", "guest")
	s.Must(err)
	if first.Revision != s.LastEvent(cart.Stream("ann")).Revision || first.Replayed || len(first.Events) != 3 {
		t.Errorf("the answer is %+v", first)
	}
	s.has("guest", cart.PhaseMerged, 2, 1)
	s.has("ann", cart.PhaseOpen, 5, 1)
	if lines := s.CartState("ann").Lines; len(lines) != 2 {
		t.Errorf("the mugs have not joined their line: %+v", lines)
	}
	for _, stream := range []string{cart.Stream("guest"), cart.Stream("ann")} {
		if meta := eventstore.MetadataOrNone(s.LastEvent(stream).Meta); !meta.OccurredAt.Equal(call.Meta.OccurredAt) || meta.CorrelationID != call.Meta.CorrelationID {
			t.Errorf("%s ends with %+v", stream, meta)
		}
	}

	again, err := s.MergeCart(t.Context(), call, "ann", "guest")
	if err != nil || !again.Replayed || again.Revision != first.Revision {
		t.Errorf("the same call again: %+v, %v", again, err)
	}
	other, err := s.MergeCart(t.Context(), shoptest.NewCall(), "ann", "guest")
	if err != nil || other.Replayed || len(other.Events) != 0 {
		t.Errorf("another call: %+v, %v", other, err)
	}
	if n := s.events(cart.Stream("guest")) + s.events(cart.Stream("ann")); n != before+1+3 {
		t.Errorf("the two carts have %d events, before they had %d", n, before)
	}
	// The test repeats the merge at any age: in any later state of the cart, and on a node that has
	// forgotten everything.
	s.Must(s.PlaceOrder("ann", "o1"))
	after := &shop{&shoptest.Shop{Service: commands.NewService(s.Log, commands.DefaultPolicy(), time.Now, aggregate.Options{Remembered: -1}), T: t, Log: s.Log}}
	if again, err = after.MergeCart(t.Context(), call, "ann", "guest"); err != nil || !again.Replayed || again.Revision != first.Revision {
		t.Errorf("the same call much later: %+v, %v", again, err)
	}
	s.Must(after.FinishMerge(t.Context(), call.Meta, "guest"))
	if units := s.OrderState("o1").Lines; len(units) != 2 || units[0].Quantity+units[1].Quantity != 6 {
		t.Errorf("the order has %+v", units)
	}
	s.Audit()
}

// If two carts cannot be merged, the refusal records nothing and names the cart that is the reason.
func TestAnImpossibleMergeIsRefusedBeforeItBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before     func(s *shop)
		into, from unit.CartID
		want       *rule.Rejection
		about      any // the cart that the refusal names
	}{
		"into itself":                 {into: "ann", from: "ann", want: cart.ErrMergeSelf},
		"from a missing cart":         {into: "ann", from: "nobody", want: cart.ErrNotFound, about: unit.CartID("nobody")},
		"into a missing cart":         {into: "nobody", from: "guest", want: cart.ErrNotFound},
		"from an empty cart":          {func(s *shop) { s.Must(s.FillCart("empty", nil)) }, "ann", "empty", cart.ErrEmpty, unit.CartID("empty")},
		"from an expired cart":        {func(s *shop) { s.end("guest", cart.Expire{}) }, "ann", "guest", cart.ErrNotOpen, unit.CartID("guest")},
		"from a cart that is ordered": {func(s *shop) { s.Must(s.PlaceOrder("guest", "o1")) }, "ann", "guest", cart.ErrNotOpen, unit.CartID("guest")},
		"from a cart that is merged":  {func(s *shop) { s.Must(s.FillCart("bob", nil)); s.Must(s.MergeInto("bob", "guest")) }, "ann", "guest", cart.ErrNotOpen, unit.CartID("guest")},
		"into an expired cart":        {func(s *shop) { s.end("ann", cart.Expire{}) }, "ann", "guest", cart.ErrNotOpen, nil},
		"into a cart that is ordered": {func(s *shop) { s.Must(s.PlaceOrder("ann", "o1")) }, "ann", "guest", cart.ErrNotOpen, nil},
		"into a cart that is merged":  {func(s *shop) { s.Must(s.FillCart("bob", nil)); s.Must(s.MergeInto("bob", "ann")) }, "ann", "guest", cart.ErrNotOpen, nil},
		"into one of another currency": {func(s *shop) {
			_, err := s.AddLines(s.T.Context(), shoptest.NewCall(), "euro", &cart.Open{CartID: "euro", Currency: "EUR"}, nil)
			s.Must(err)
		}, "euro", "guest", cart.ErrCurrencyMismatch, nil},
		"into one that would have too many units": {func(s *shop) { s.end("ann", cart.ChangeQuantity{Line: 1, Quantity: unit.MaxQuantity - 2}) }, "ann", "guest", cart.ErrUnitLimit, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := twoCarts(t, memory.New())
			if c.before != nil {
				c.before(s)
			}
			head, err := s.Log.Head(t.Context())
			s.Must(err)
			result, err := s.MergeCart(t.Context(), shoptest.NewCall(), c.into, c.from)
			no, refused := errors.AsType[*rule.Rejection](err)
			if !refused || !errors.Is(err, c.want) || no.Facts["cart_id"] != c.about {
				t.Errorf("got %v with %v, want %s about %v", err, no, c.want.Code, c.about)
			}
			if now, err := s.Log.Head(t.Context()); err != nil || now != head || eventstore.Start.Before(result.Position) {
				t.Errorf("something was recorded: %s, then %s, %v; the answer is %+v", head, now, err, result)
			}
			s.Audit()
		})
	}
}

func (s *shop) end(id unit.CartID, command cart.Command) {
	s.T.Helper()
	_, err := s.Cart(s.T.Context(), shoptest.NewCall(), id, command)
	s.Must(err)
}

func TestAMergeExpectsTheRevisionThatItsCallNames(t *testing.T) {
	t.Parallel()
	log := &overhearing{Store: memory.New(), hear: func(string) {}}
	s := twoCarts(t, log)
	call := shoptest.NewCall()
	was := s.LastEvent(cart.Stream("ann")).Revision
	call.If = aggregate.AtRevision(was + 4)
	stale, is := errors.AsType[*aggregate.StaleError](second(s.MergeCart(t.Context(), call, "ann", "guest")))
	if !is || stale.Actual != was {
		t.Errorf("at another revision: %v", stale)
	}
	s.has("guest", cart.PhaseOpen, 2, 1)

	// The cart changes after the merge has looked at it, and before it takes the lines.
	beside := open(t, log.Store, commands.DefaultPolicy())
	changed := false
	log.hear = func(stream string) {
		if stream == cart.Stream("ann") && !changed {
			changed = true
			beside.end("ann", cart.ChangeQuantity{Line: 1, Quantity: 7})
		}
	}
	call = shoptest.NewCall()
	call.If = aggregate.AtRevision(was)
	result, err := s.MergeCart(t.Context(), call, "ann", "guest")
	if stale, is = errors.AsType[*aggregate.StaleError](err); !is || stale.Actual != was+2 {
		t.Errorf("it changed meanwhile: %v", err)
	}
	if opened := s.LastEvent(cart.Stream("guest")); result.Position != opened.Position || opened.Type != "cart.merge_refused.v1" {
		t.Errorf("the guest's cart is open again from %s, the answer is %+v", opened.Position, result)
	}
	s.has("guest", cart.PhaseOpen, 2, 1)
	s.has("ann", cart.PhaseOpen, 7, 0)

	call.If = aggregate.AtRevision(was + 2)
	_, err = s.MergeCart(t.Context(), call, "ann", "guest") // the same command, decided again
	s.Must(err)
	s.has("guest", cart.PhaseMerged, 2, 1)
	s.has("ann", cart.PhaseOpen, 9, 1)
	if again, err := s.MergeCart(t.Context(), call, "ann", "guest"); err != nil || !again.Replayed {
		t.Errorf("again at a revision that has passed: %+v, %v", again, err)
	}
	s.Audit()
}

func second[T any](_ T, err error) error { return err }

// The driver of a merge dies after each possible number of appends. Then something happens to the
// other cart. Then another driver finishes the merge.
func TestAMergeIsFinishedWhereverItsDriverDies(t *testing.T) {
	t.Parallel()
	meanwhile := map[string]func(s *shop){
		"nothing":           func(*shop) {},
		"the other expires": func(s *shop) { _, _ = s.Cart(s.T.Context(), shoptest.NewCall(), "ann", cart.Expire{}) },
		"the other is sold": func(s *shop) { _ = s.PlaceOrder("ann", "o1") },
		"the other is full": func(s *shop) {
			_, _ = s.Cart(s.T.Context(), shoptest.NewCall(), "ann", cart.ChangeQuantity{Line: 1, Quantity: unit.MaxQuantity})
		},
		"the other changes": func(s *shop) {
			_, _ = s.Cart(s.T.Context(), shoptest.NewCall(), "ann", cart.ChangeCountry{Country: "EIRE"})
		},
		"the other is merged into a third": func(s *shop) { _ = s.FillCart("bob", nil); _ = s.MergeInto("bob", "ann") },
	}
	finish := map[string]func(t *testing.T, s *shop, call commands.Call){
		"the reactor": func(t *testing.T, s *shop, _ commands.Call) { t.Helper(); recoverFrom(t, s) },
		"the same call": func(_ *testing.T, s *shop, call commands.Call) {
			_, _ = s.MergeCart(s.T.Context(), call, "ann", "guest")
		},
		"another call": func(_ *testing.T, s *shop, _ commands.Call) { _ = s.MergeInto("ann", "guest") },
	}
	die := func(t *testing.T, log eventstore.Store, appends int, between, who string) {
		t.Helper()
		twoCarts(t, log)
		call := shoptest.NewCall()
		dying := open(t, &shoptest.Mortal{Store: log, Left: appends}, commands.DefaultPolicy())
		_, _ = dying.MergeCart(t.Context(), call, "ann", "guest")
		after := open(t, log, commands.DefaultPolicy())
		meanwhile[between](after)
		finish[who](t, after, call)
		recoverFrom(t, after)
		if guest := after.CartState("guest").Phase; guest == cart.PhaseMerged {
			if events := after.merged(t, "guest"); events != 1 {
				t.Errorf("the lines have come %d times", events)
			}
		} else if guest != cart.PhaseOpen || after.merged(t, "guest") != 0 {
			t.Errorf("the guest's cart is %s, and its lines have come %d times", guest, after.merged(t, "guest"))
		} else {
			after.has("guest", cart.PhaseOpen, 2, 1)
		}
		after.Audit()
	}
	for between := range meanwhile {
		for who := range finish {
			for appends := range 5 {
				for engine, empty := range emptyLogs {
					t.Run(fmt.Sprintf("%s, after append %d, %s, %s goes on", engine, appends, between, who), func(t *testing.T) {
						t.Parallel()
						die(t, empty(t), appends, between, who)
					})
				}
			}
		}
	}
}

// emptyLogs are engines that are quick to open.
var emptyLogs = map[string]func(t *testing.T) eventstore.Store{
	"memory": func(*testing.T) eventstore.Store { return memory.New() }, "kurrentdb": overKurrentDB,
}

// merged counts how often another cart has taken the lines of a cart.
func (s *shop) merged(t *testing.T, from unit.CartID) (times int) {
	t.Helper()
	for recorded, err := range s.Log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{TypePrefixes: []string{"cart.merged_from."}}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := eventstore.Decode(&recorded, cart.Decode)
		if err != nil {
			t.Fatal(err)
		}
		if event.(cart.MergedFrom).Source == from {
			times++
		}
	}
	return times
}

// Before one append of a merge, another node does one of these things. The test tries each of them
// at each append.
func TestWhatHappensDuringAMergeLosesNothing(t *testing.T) {
	t.Parallel()
	quietly := func(id unit.CartID, command cart.Command) func(s *shop) {
		return func(s *shop) { _, _ = s.Cart(s.T.Context(), shoptest.NewCall(), id, command) }
	}
	mug := func(id unit.CartID) func(s *shop) {
		return func(s *shop) {
			_, _ = s.AddLines(s.T.Context(), shoptest.NewCall(), id, nil, []commands.WantedLine{{SKU: "MUG", Quantity: 10}})
		}
	}
	for name, happen := range map[string]func(s *shop){
		"a line comes into the first":        mug("guest"),
		"a line comes into the other":        mug("ann"),
		"the first is checked out":           func(s *shop) { _ = s.PlaceOrder("guest", "o1") },
		"the other is checked out":           func(s *shop) { _ = s.PlaceOrder("ann", "o1") },
		"the first expires":                  quietly("guest", cart.Expire{}),
		"the other expires":                  quietly("ann", cart.Expire{}),
		"the other is full":                  quietly("ann", cart.ChangeQuantity{Line: 1, Quantity: unit.MaxQuantity}),
		"the same merge":                     func(s *shop) { _ = s.MergeInto("ann", "guest") },
		"the first is merged into a third":   func(s *shop) { _ = s.MergeInto("bob", "guest") },
		"the other is merged into a third":   func(s *shop) { _ = s.MergeInto("bob", "ann") },
		"the other is merged into the first": func(s *shop) { _ = s.MergeInto("guest", "ann") },
		"the reactor is quicker":             func(s *shop) { _ = s.FinishMerge(s.T.Context(), shoptest.NewCall().Meta, "guest") },
	} {
		for at := range 4 {
			for engine, empty := range emptyLogs {
				t.Run(fmt.Sprintf("%s, %s at append %d", engine, name, at), func(t *testing.T) {
					t.Parallel()
					mergeWhile(t, empty(t), at, happen)
				})
			}
		}
	}
}

// mergeWhile merges a guest's cart, and lets something happen before one of the appends.
func mergeWhile(t *testing.T, store eventstore.Store, at int, happen func(s *shop)) {
	t.Helper()
	log := &overhearing{Store: store, hear: func(string) {}}
	s := twoCarts(t, log)
	s.Must(s.FillCart("bob", map[unit.SKU]unit.Quantity{"TRAY": 4}))
	beside := open(t, log.Store, commands.DefaultPolicy())
	appends := 0
	log.hear = func(string) {
		if appends++; appends-1 == at {
			happen(beside)
		}
	}
	err := s.MergeInto("ann", "guest")
	log.hear = func(string) {}
	guest := s.CartState("guest")
	into := guest.MergeTarget()
	switch _, refused := errors.AsType[*rule.Rejection](err); {
	case err == nil && into != "ann":
		t.Errorf("merged, and the guest's cart is %s into %q", guest.Phase, into)
	case err != nil && !refused:
		t.Errorf("neither merged nor refused: %v", err)
	case err != nil && into == "ann":
		t.Errorf("refused (%v), and merged", err)
	}
	recoverFrom(t, s)
	if n := s.merged(t, "guest"); (into != "") != (n == 1) || n > 1 {
		t.Errorf("the guest's lines went into %q, and came %d times", into, n)
	}
	s.Audit()
}

// Several nodes merge carts into each other at the same moment, two by two and in a ring. No merge
// waits for ever, and all goods are in the carts that are open.
func TestMergesAtTheSameMomentKeepTheGoods(t *testing.T) {
	t.Parallel()
	onEachStore(t, mergeAtTheSameMoment)
}

func mergeAtTheSameMoment(t *testing.T, log eventstore.Store) {
	t.Helper()
	nodes := []*shop{open(t, log, commands.DefaultPolicy()), open(t, log, commands.DefaultPolicy())}
	s := nodes[0]
	s.Sell("MUG", 100)
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		var carts []unit.CartID
		for i := range 2 + random.IntN(2) {
			carts = append(carts, unit.CartID(fmt.Sprintf("c-%d-%d", seed, i)))
		}
		var before unit.Quantity
		for i, id := range carts {
			s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": unit.Quantity(i + 1)}))
			before += unit.Quantity(i + 1)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var wait sync.WaitGroup
		told := make([]error, 2*len(carts))
		for i := range told {
			into, from := carts[(i+1)%len(carts)], carts[i%len(carts)]
			if i >= len(carts) && random.IntN(2) == 0 {
				into = carts[(i+len(carts)-1)%len(carts)]
			}
			node := nodes[random.IntN(2)]
			wait.Go(func() { _, told[i] = node.MergeCart(ctx, shoptest.NewCall(), into, from) })
		}
		wait.Wait()
		stop()
		for _, err := range told {
			if _, refused := errors.AsType[*rule.Rejection](err); err != nil && !refused && !errors.Is(err, aggregate.ErrOverloaded) {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		var after unit.Quantity
		for _, id := range carts {
			if now := s.CartState(id); now.Phase == cart.PhaseOpen {
				after += now.Units
			}
		}
		if after != before {
			t.Errorf("seed %d: the open carts have %d mugs, before they had %d; the answers are %v", seed, after, before, told)
		}
		if t.Failed() {
			return
		}
	}
	recoverFrom(t, s)
	s.Audit()
}

func TestAMergeOfTheLargestCartFits(t *testing.T) {
	t.Parallel()
	s := open(t, memory.New(), commands.DefaultPolicy())
	var lines []commands.WantedLine
	for i := range cart.MaxLines {
		lines = append(lines, commands.WantedLine{SKU: unit.SKU(fmt.Sprint("SKU-", i)), Quantity: 1, Override: &cart.Offer{
			Title: "Something with a title of the usual length", Kind: unit.Stocked, Price: unit.Money{Amount: decimal.New(int64(i), -2), Currency: "GBP"},
		}})
	}
	_, err := s.AddLines(t.Context(), shoptest.NewCall(), "guest", &cart.Open{CartID: "guest", Currency: "GBP"}, lines)
	s.Must(err)
	s.Must(s.FillCart("ann", nil))
	s.Must(s.MergeInto("ann", "guest"))
	if now := s.CartState("ann"); len(now.Lines) != cart.MaxLines {
		t.Errorf("%d lines came", len(now.Lines))
	}
	s.Audit()
}
