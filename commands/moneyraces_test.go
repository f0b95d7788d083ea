package commands_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/commands/payments/simulated"
	"daybook/domain/checkout"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/racetest"
)

// moneyRace is something that several people or programs want at once, and that only some of them
// can have. Each side can be sent again: it then uses the same call.
type moneyRace struct {
	// set makes what the race is about, and returns what each side does. few asks for few sides.
	set func(r *raceRun, few bool) []side
	// ended checks what became of it. errs are the last answers of the sides.
	ended func(r *raceRun, errs []error)
	// dying is how many of the sides die in turn. The others are like one of them.
	dying int
}

// side is what one of those who race does, on a node.
type side func(on *shop) error

// raceRun is one run of a race, whose carts, orders, codes and cards no other run has.
type raceRun struct {
	*shop // a node that lives
	bank  *bank
	name  string
	card  giftcard.ID
}

func (r *raceRun) order() unit.OrderID    { return unit.OrderID("o-" + r.name) }
func (r *raceRun) promotionID() string    { return "few-" + r.name }
func (r *raceRun) cart(i int) unit.CartID { return unit.CartID(fmt.Sprint("c-", r.name, "-", i)) }
func (r *raceRun) orderOf(i int) unit.OrderID {
	return unit.OrderID(fmt.Sprint("o-", r.name, "-", i))
}

// orders are the orders of the run that were placed.
func (r *raceRun) orders() (all []order.State) {
	ids := []unit.OrderID{r.order()}
	for i := range raceBuyers {
		ids = append(ids, r.orderOf(i))
	}
	for _, id := range ids {
		if state := r.OrderState(id); state.Exists() {
			all = append(all, state)
		}
	}
	return all
}

// place places the order of the run: two mugs, for 5.00.
func (r *raceRun) place() {
	r.fill(r.cart(0), 2)
	r.Must(r.PlaceOrder(r.cart(0), r.order()))
}

// told delivers all messages of the provider about the run.
func (r *raceRun) told(on *shop) error {
	var errs []error
	for _, m := range r.bank.delivered() {
		if report, err := r.bank.read(m); err != nil || report.OrderID != r.order() {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, r.bank.deliver(on, m))
	}
	return errors.Join(errs...)
}

// paid places the order of the run, and the provider takes its money.
func (r *raceRun) paid() (payment string) {
	r.place()
	payment = r.bank.pay(r.order(), 500)
	r.Must(r.told(r.shop))
	return payment
}

// confirmed is paid, and the order is confirmed.
func (r *raceRun) confirmed() (payment string) {
	payment = r.paid()
	_, err := r.Order(r.T.Context(), shoptest.NewCall(), r.order(), order.Confirm{Now: r.Now()})
	r.Must(err)
	return payment
}

// asks is a side that sends commands of an order.
func (r *raceRun) asks(asked ...order.Command) side {
	call := shoptest.NewCall()
	return func(on *shop) error {
		_, err := on.Order(on.T.Context(), call, r.order(), asked...)
		return err
	}
}

// raceBuyers is how many buyers race for one thing.
const raceBuyers = 64

// buyers are sides that each check out and confirm.
func (r *raceRun) buyers(few bool, how func(ask *commands.CheckoutRequest)) (all []side) {
	for i := range map[bool]int{false: raceBuyers, true: 3}[few] {
		r.fill(r.cart(i), 1)
		first, paying, then := shoptest.NewCall(), shoptest.NewCall(), shoptest.NewCall()
		all = append(all, func(on *shop) error {
			ask := commands.CheckoutRequest{CartID: r.cart(i), OrderID: r.orderOf(i), After: &commands.AfterPlacing{Call: paying, Confirm: true}}
			how(&ask)
			result, err := on.Checkout(on.T.Context(), first, ask)
			if err == nil {
				err = result.Refusal()
			}
			if err != nil || !few {
				return err
			}
			_, err = on.Order(on.T.Context(), then, r.orderOf(i), order.Cancel{})
			return err
		})
	}
	return all
}

// moneyRaces are the races about money of the shop's rules.
var moneyRaces = map[string]moneyRace{
	"the last use of a code": {dying: 1, set: func(r *raceRun, few bool) []side {
		r.promote(r.promotionID(), pricing.Limits{Uses: 1}, nil)
		return r.buyers(few, func(ask *commands.CheckoutRequest) {
			ask.Uses, ask.Expect.Unpriced, ask.After = uses(r.promotionID(), "0.25"), true, nil
		})
	}, ended: func(r *raceRun, errs []error) {
		r.oneWins(errs, promotion.ErrExhausted)
		pending := 0
		for _, o := range r.orders() {
			if o.Status == order.StatusPending {
				pending++
			}
		}
		if now := r.promotion(r.promotionID()); len(now.Held) != pending || now.Committed != 0 || pending > 1 {
			r.T.Errorf("%d uses are held and %d committed, by %d orders", len(now.Held), now.Committed, pending)
		}
	}},
	"the balance of a gift card": {dying: 1, set: func(r *raceRun, few bool) []side {
		r.card = r.issue("2.50") // a mug
		return r.buyers(few, func(ask *commands.CheckoutRequest) {
			ask.GiftCards = []giftcard.ID{r.card}
		})
	}, ended: func(r *raceRun, errs []error) {
		r.oneWins(errs, giftcard.ErrInsufficient)
		kept := gbp("0")
		for _, o := range r.orders() {
			kept = kept.Plus(o.Kept())
		}
		now := r.theCard()
		if len(now.Held) != 0 || !now.Balance.Plus(kept).Equal(gbp("2.50")) || !now.Redeemed.Minus(now.Back).Equal(kept) {
			r.T.Errorf("the card has %s and holds %d, it has paid %s and got back %s; the orders keep %s", now.Balance, len(now.Held), now.Redeemed, now.Back, kept)
		}
	}},
	"client, provider and another order with one payment": {dying: 3, set: func(r *raceRun, _ bool) []side {
		r.place()
		r.fill(r.cart(1), 2)
		r.Must(r.PlaceOrder(r.cart(1), r.orderOf(1)))
		paid := r.bank.pay(r.order(), 500)
		r.bank.delivered()
		capture := r.bank.transaction(paid, "capture")
		record := order.RecordTransaction{
			TransactionID: unit.TransactionID(unit.ProviderTransaction.Of(simulated.Name, capture, string(order.Capture)).ID()),
			Type:          order.Capture, State: order.Succeeded, Amount: gbp("5.00"), Provider: simulated.Name, Reference: capture, Payment: paid,
		}
		theirs := shoptest.NewCall()
		return []side{r.asks(record), r.told, func(on *shop) error {
			_, err := on.Order(on.T.Context(), theirs, r.orderOf(1), record)
			return err
		}}
	}, ended: func(r *raceRun, errs []error) {
		mine, theirs := r.OrderState(r.order()), r.OrderState(r.orderOf(1))
		if !mine.Captured().Plus(theirs.Captured()).Equal(gbp("5.00")) || mine.Captured().Sign() > 0 && theirs.Captured().Sign() > 0 {
			r.T.Errorf("one payment of 5.00 counts as %s and %s: %v", mine.Captured(), theirs.Captured(), errs)
		}
		if claimed := errors.Is(errs[2], payment.ErrClaimed); claimed != (theirs.Captured().Sign() == 0) {
			r.T.Errorf("the other order has %s, and was told %v", theirs.Captured(), errs[2])
		}
	}},
	"a cancel and a chargeback": {dying: 2, set: func(r *raceRun, _ bool) []side {
		paid := r.confirmed()
		return []side{r.asks(order.Cancel{}), r.chargesBack(paid)}
	}, ended: allWentBack},
	"a refund and a chargeback": {dying: 2, set: func(r *raceRun, _ bool) []side {
		paid := r.confirmed()
		r.Must(r.asks(order.Cancel{})(r.shop))
		return []side{r.refundAll, r.chargesBack(paid)}
	}, ended: allWentBack},
	"a cancel and a capture": {dying: 2, set: func(r *raceRun, _ bool) []side {
		r.place()
		r.bank.pay(r.order(), 500)
		return []side{r.asks(order.Cancel{}), r.told}
	}, ended: func(r *raceRun, _ []error) {
		now := r.OrderState(r.order())
		if now.Status != order.StatusCanceled || now.Kept().Sign() != 0 || !now.Captured().Equal(gbp("5.00")) {
			r.T.Errorf("the order is %s, %s came and %s are kept", now.Status, now.Captured(), now.Kept())
		}
	}},
	"two returns and a refund of the order": {dying: 3, set: func(r *raceRun, _ bool) []side {
		r.confirmed()
		_, err := r.Order(r.T.Context(), shoptest.NewCall(), r.order(), order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation})
		r.Must(err)
		all := []side{r.asks(order.RequestRefund{RefundID: "r", Purpose: order.Settlement, Amount: gbp("5.00")})}
		for _, n := range []string{"a", "b"} {
			id := unit.ReturnID(n + "-" + r.name)
			_, err := r.Return(r.T.Context(), shoptest.NewCall(), id, mugsOf(id, 1, r.order()))
			r.Must(err)
			_, err = r.Return(r.T.Context(), shoptest.NewCall(), id, giveBack(1, "1")[:2]...)
			r.Must(err)
			call := shoptest.NewCall()
			all = append(all, func(on *shop) error {
				_, err := on.Return(on.T.Context(), call, id, returns.RecordRefund{TransactionID: unit.TransactionID("rf-" + n), Amount: gbp("2.50")})
				return err
			})
		}
		return all
	}, ended: func(r *raceRun, errs []error) {
		now := r.OrderState(r.order())
		out := now.Returned().Plus(now.InFlight())
		if won := errs[0] == nil; won == (errs[1] == nil || errs[2] == nil) || !out.Equal(gbp("5.00")) || now.ToReturn().Sign() != 0 {
			r.T.Errorf("%s of 5.00 went out, %s are to be returned: %v", out, now.ToReturn(), errs)
		}
	}},
}

// allWentBack checks that the money of a canceled order went back once.
func allWentBack(r *raceRun, _ []error) {
	now := r.OrderState(r.order())
	if now.Status != order.StatusCanceled || now.Kept().Sign() != 0 || !now.Returned().Equal(gbp("5.00")) {
		r.T.Errorf("the order is %s, %s are kept and %s went back: %+v", now.Status, now.Kept(), now.Returned(), now.Transactions)
	}
}

// chargesBack is a side in which the bank takes the money of a payment back, and the provider tells
// of it. If the money has gone back already, there is nothing to dispute.
func (r *raceRun) chargesBack(payment string) side {
	return func(on *shop) error {
		if id := r.bank.try("/v1/disputes", "dispute of "+payment, `{"payment_intent":"`+payment+`","amount":500,"reason":"fraudulent"}`); id != "" {
			r.bank.try("/v1/disputes/"+id+"/close", "close "+payment, `{"payment_intent":"`+payment+`","outcome":"lost"}`)
		}
		return r.told(on)
	}
}

// oneWins checks that one side won, and that the others were told so. A side that won may have
// canceled its order, and then the next one wins, too.
func (r *raceRun) oneWins(errs []error, refusal error) {
	r.T.Helper()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, refusal) && !errors.Is(err, checkout.ErrOrderIDSpent) { // spent: it was refused before, in its absence
			r.T.Errorf("side %d: %v", i, err)
		}
	}
	if won == 0 || won > 1 && len(errs) == raceBuyers {
		r.T.Errorf("%d of %d have won", won, len(errs))
	}
}

func (r *raceRun) theCard() giftcard.State { return r.shop.card(r.card) }

// refundAll sends the refunds of the run's order that are requested.
func (r *raceRun) refundAll(on *shop) (err error) {
	for _, refund := range on.OrderState(r.order()).Refunds {
		for _, part := range refund.Parts {
			err = errors.Join(err, on.FinishRefund(on.T.Context(), shoptest.NewCall().Meta, r.order(), part.ID))
		}
	}
	return err
}

// node opens a node that can do all that the races need.
func (b *bank) node(store eventstore.Store) *shop {
	s := b.openShopAt(store)
	s.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
	return s
}

// transaction is the provider's name of the first transaction of a kind.
func (b *bank) transaction(payment, kind string) string {
	b.t.Helper()
	for _, p := range b.Payments() {
		for _, t := range p.Transactions {
			if p.ID == payment && t.Kind == kind {
				return t.ID
			}
		}
	}
	b.t.Fatalf("payment %s has no %s", payment, kind)
	return ""
}

// finish lets another node finish the work, sends all again as clients and the provider do, and
// checks the money.
func (r *raceRun) finish(race moneyRace, sides []side, errs []error) {
	r.T.Helper()
	recoverFrom(r.T, r.shop)
	for i, again := range sides {
		if _, refused := commands.RefusedBy(errs[i]); !refused {
			errs[i] = again(r.shop)
		}
	}
	for range 2 { // what the provider tells can ask for a refund, of which the provider then tells
		if err := r.told(r.shop); err != nil && !errors.Is(err, payment.ErrClaimed) {
			r.T.Error(err)
		}
		recoverFrom(r.T, r.shop)
	}
	race.ended(r, errs)
	for _, state := range r.orders() {
		r.checkMoney(state)
		if len(state.Unsettled) > 0 {
			r.T.Errorf("order %s has open steps: %+v", state.OrderID, state.Unsettled)
		}
	}
	for _, p := range r.bank.Payments() {
		in, out := int64(0), int64(0)
		for _, t := range p.Transactions {
			switch {
			case t.Status != "succeeded":
			case t.Kind == "capture" || t.Kind == "reversal":
				in += t.Amount
			case t.Kind == "refund" || t.Kind == "chargeback":
				out += t.Amount
			}
		}
		if out > in {
			r.T.Errorf("the provider has given back %d of %d: %+v", out, in, p.Transactions)
		}
	}
	r.auditLater()
}

// checkMoney checks with sums of its own that no more went out than came in, and that nothing is
// kept that the order does not owe without somebody being told.
func (r *raceRun) checkMoney(state order.State) {
	r.T.Helper()
	in, out, onItsWay := gbp("0"), gbp("0"), gbp("0")
	for _, t := range state.Transactions {
		switch {
		case t.State == order.Succeeded && (t.Type == order.Capture || t.Type == order.Reversal):
			in = in.Plus(t.Amount)
		case t.State == order.Succeeded && (t.Type == order.Refund || t.Type == order.Chargeback):
			out = out.Plus(t.Amount)
		case t.State == order.Pending && t.Type == order.Refund:
			onItsWay = onItsWay.Plus(t.Amount)
		}
	}
	if out.Plus(onItsWay).Compare(in) > 0 {
		r.T.Errorf("order %s: %s came in, %s went out and %s are on their way: %+v", state.OrderID, in, out, onItsWay, state.Transactions)
	}
	if tooMuch := in.Minus(out).Minus(onItsWay).Minus(state.Owed()); tooMuch.Sign() > 0 && !state.NeedsAttention() {
		r.T.Errorf("order %s is %s, keeps %s that it does not owe, and nobody is told", state.OrderID, state.Status, tooMuch)
	}
}

// Each race about money, on each engine: all at once, on several nodes.
func TestRacesAboutMoney(t *testing.T) {
	t.Parallel()
	for name, race := range moneyRaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachStore(t, func(t *testing.T, store eventstore.Store) {
				b := openBank(t)
				const nodes = 4
				var at []*shop
				for range nodes {
					at = append(at, b.node(store))
				}
				at[0].Sell("MUG", 10_000)
				for round := range racetest.Few(3, 1) {
					r := &raceRun{shop: at[0], bank: b, name: fmt.Sprint("at-once-", round)}
					sides := race.set(r, false)
					r.bank.delivered()
					r.finish(race, sides, atOnce(at, sides))
				}
			})
		})
	}
}

// atOnce lets all sides act at the same moment, on several nodes.
func atOnce(at []*shop, sides []side) []error {
	errs, start := make([]error, len(sides)), make(chan struct{})
	var wait sync.WaitGroup
	for i, act := range sides {
		wait.Go(func() {
			<-start
			errs[i] = act(at[i%len(at)])
		})
	}
	close(start)
	wait.Wait()
	return errs
}

// Each race about money, on each engine: the node of one side dies after each number of appends.
// Then the others act, and another node finishes the work.
func TestRacesAboutMoneyWhereverADriverDies(t *testing.T) {
	t.Parallel()
	for name, race := range moneyRaces {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachStore(t, func(t *testing.T, store eventstore.Store) {
				b := openBank(t)
				b.node(store).Sell("MUG", 10_000)
				for dying := range race.dying {
					deaths := diesInTurn(t, b, store, race, dying)
					t.Logf("side %d died after each of %d appends", dying, deaths)
				}
			})
		})
	}
}

// diesInTurn returns how many appends the side makes.
func diesInTurn(t *testing.T, b *bank, store eventstore.Store, race moneyRace, dying int) (appends int) {
	t.Helper()
	for left := 0; ; left++ {
		r := &raceRun{shop: b.node(store), bank: b, name: fmt.Sprintf("%d-dies-after-%d", dying, left)}
		sides := race.set(r, true)
		first := sides[dying](b.node(&shoptest.Mortal{Store: stepwise(store), Left: left}))
		others := slices.Delete(slices.Clone(sides), dying, dying+1)
		errs := slices.Insert(atOnce([]*shop{b.node(store), b.node(store)}, others), dying, first)
		r.finish(race, sides, errs)
		if t.Failed() {
			t.Fatalf("side %d died after %d appends: %v", dying, left, errs)
		}
		if !errors.Is(first, shoptest.ErrDead) {
			return left - 1
		}
		if left > 60 {
			t.Fatal("it does not end")
		}
	}
}
