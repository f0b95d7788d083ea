package reactor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/internal/shoptest"
	"daybook/commands/streams"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/filestest"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pause"
	"daybook/internal/racetest"
)

// strangerCase is one way in which another program writes an event with a type of the shop's.
// Example: it writes order.placed.v1 with empty data into the stream of an order that was canceled.
type strangerCase struct {
	n         int // the number of the case, from which the ids of its cart, order, return and SKU are made
	category  string
	state     string // the state of the aggregate before the event is written
	eventType string
	data      string
	meta      string
}

func (w strangerCase) String() string {
	return fmt.Sprintf("%d: %s with %.300s and metadata %q on a %s that is %s", w.n, w.eventType, w.data, w.meta, w.category, w.state)
}

func (w strangerCase) sku() unit.SKU           { return unit.SKU(fmt.Sprintf("S%d", w.n)) }
func (w strangerCase) order() unit.OrderID     { return unit.OrderID(fmt.Sprintf("o%d", w.n)) }
func (w strangerCase) cart() unit.CartID       { return unit.CartID(fmt.Sprintf("c%d", w.n)) }
func (w strangerCase) returnID() unit.ReturnID { return unit.ReturnID(fmt.Sprintf("r%d", w.n)) }
func (w strangerCase) parcel() order.Command {
	return order.Ship{ShipmentID: "p", Location: unit.DefaultLocation}
}

func (w strangerCase) stream() string {
	switch w.category {
	case product.Category:
		return product.Stream(w.sku())
	case cart.Category:
		return cart.Stream(w.cart())
	case order.Category:
		return order.Stream(w.order())
	case returns.Category:
		return returns.Stream(w.returnID())
	case access.Category:
		return access.Stream() // there is only one
	case staff.Category:
		return staff.Stream() // there is only one
	case customer.Category:
		return customer.Stream(unit.CustomerID(w.cart()))
	case pricelist.Category:
		return pricelist.Stream(string(w.cart()))
	case shipping.Category:
		return shipping.Stream(string(w.cart()))
	case entity.Category:
		return entity.Stream(string(w.cart()))
	case promotion.Category:
		return promotion.Stream(string(w.cart()))
	case coupon.Category:
		return coupon.Stream(string(w.cart()))
	case payment.Category:
		return payment.Stream("stranger", string(w.cart()))
	case giftcard.Category:
		return giftcard.Category + "-" + string(w.cart())
	case subject.Category:
		return subject.Stream(unit.CustomerID(w.cart()).Owner())
	}
	return stock.Stream(w.sku(), unit.DefaultLocation)
}

// tried has, for each kind of aggregate, all types of its events, and the states in which the
// test writes such an event.
var tried = map[string]struct {
	types  []string
	states []string
}{
	product.Category:  {product.Types(), []string{"not there", "listed"}},
	cart.Category:     {cart.Types(), []string{"not there", "open", "in a checkout", "placed"}},
	order.Category:    {order.Types(), []string{"not there", "placed", "confirmed", "shipped", "canceled"}},
	returns.Category:  {returns.Types(), []string{"not there", "requested", "received"}},
	access.Category:   {access.Types(), []string{"not there"}},
	staff.Category:    {staff.Types(), []string{"not there"}},
	customer.Category: {customer.Types(), []string{"not there"}},
	subject.Category:  {subject.Types(), []string{"not there"}},

	pricelist.Category: {pricelist.Types(), []string{"not there"}},
	shipping.Category:  {shipping.Types(), []string{"not there"}},
	entity.Category:    {entity.Types(), []string{"not there"}},
	promotion.Category: {promotion.Types(), []string{"not there"}},
	coupon.Category:    {coupon.Types(), []string{"not there"}},
	giftcard.Category:  {giftcard.Types(), []string{"not there"}},
	payment.Category:   {payment.Types(), []string{"not there"}},
	stock.Category:     {stock.Types(), []string{"not there", "placed", "confirmed"}},
}

// bringTo brings the aggregates of a case to the state in which the event is written.
func (s *shop) bringTo(w strangerCase) {
	s.T.Helper()
	if w.state == "not there" {
		return
	}
	s.Sell(w.sku(), 10)
	if w.state == "listed" {
		return
	}
	s.Must(s.FillCart(w.cart(), map[unit.SKU]unit.Quantity{w.sku(): 3}))
	switch w.state {
	case "open":
		return
	case "in a checkout":
		s.BeginAsBefore(w.cart(), w.order())
		return
	}
	s.Must(s.PlaceOrder(w.cart(), w.order()))
	var steps []order.Command
	switch w.state {
	case "confirmed":
		steps = []order.Command{order.Confirm{Now: s.Now()}}
	case "shipped", "requested", "received":
		steps = []order.Command{order.Confirm{Now: s.Now()}, w.parcel()}
	case "canceled":
		steps = []order.Command{order.Cancel{Reason: "customer"}}
	}
	if len(steps) > 0 {
		for _, command := range steps {
			_, err := s.Order(s.T.Context(), shoptest.NewCall(), w.order(), command)
			s.Must(err)
		}
	}
	if w.category != returns.Category || w.state != "requested" && w.state != "received" {
		return
	}
	line := returns.Line{SKU: w.sku(), Kind: unit.Stocked, Quantity: 2, Price: unit.Zero("GBP"), Links: []returns.Link{{OrderID: w.order(), Line: 1, Quantity: 2}}}
	_, err := s.Return(s.T.Context(), shoptest.NewCall(), w.returnID(), returns.Request{ReturnID: w.returnID(), OrderID: w.order(), Currency: "GBP", Lines: []returns.Line{line}})
	s.Must(err)
	if w.state == "received" {
		_, err := s.Return(s.T.Context(), shoptest.NewCall(), w.returnID(), returns.Approve{}, returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 2, Disposition: returns.Restocked, Location: unit.DefaultLocation}}})
		s.Must(err)
	}
}

// named replaces the names in an event's JSON by the names of the case. So the event is about
// things that exist.
func (w strangerCase) named(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			switch name {
			case "sku":
				value[name] = string(w.sku())
			case "location":
				value[name] = string(unit.DefaultLocation)
			case "order_id":
				value[name] = string(w.order())
			case "cart_id":
				value[name] = string(w.cart())
			case "return_id":
				value[name] = string(w.returnID())
			case "reservation_id":
				value[name] = string(stock.ReservationIDFor(w.order(), w.sku(), unit.DefaultLocation))
			default:
				value[name] = w.named(member)
			}
		}
	case []any:
		for i := range value {
			value[i] = w.named(value[i])
		}
	}
	return value
}

// odd replaces one number or text in a JSON value by an odd one, such as -1 or a text of 5,000
// letters. The source of random numbers chooses which.
func odd(random *rand.Rand, value any) any {
	switch of := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(of))
		for name := range of {
			names = append(names, name)
		}
		slices.Sort(names)
		if len(names) > 0 {
			name := names[random.IntN(len(names))]
			of[name] = odd(random, of[name])
		}
		return of
	case []any:
		if len(of) > 0 {
			at := random.IntN(len(of))
			of[at] = odd(random, of[at])
		}
		return of
	case float64, json.Number:
		return []any{-1, 0, 7, int64(1) << 62, -(int64(1) << 62), 1.5}[random.IntN(6)]
	case string:
		return []any{"", " ", "1e999999", "-3", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "a\u0000b", "EUR", "x", nil, strings.Repeat("x", 5000)}[random.IntN(11)]
	}
	return "x"
}

// strangersSeed makes a run that can be repeated.
func strangersSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("STRANGERS_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("STRANGERS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// allWritten returns the cases: each event type of each kind of aggregate, in each state, with
// several data: {}, unknown members, members of wrong types, and the samples of the domain's tests,
// once as they are and twice with an odd value.
func allWritten(t *testing.T) []strangerCase {
	t.Helper()
	random := strangersSeed(t)
	if codecs := filestest.OfAggregates(t, "../../domain", "codec.go"); len(codecs) != len(tried) {
		t.Fatalf("the domain has %d codecs, and this test knows of %d", len(codecs), len(tried))
	}
	metas := []string{"", `{}`, `{"command_id":"zzz"}`, `{"$correlationId":7}`, `{"command_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","occurred_at":"9999-01-01T00:00:00Z"}`}
	var all []strangerCase
	for _, category := range []string{product.Category, cart.Category, order.Category, returns.Category, stock.Category, access.Category, staff.Category, customer.Category, subject.Category, pricelist.Category, shipping.Category, entity.Category, promotion.Category, coupon.Category, giftcard.Category, payment.Category} {
		for _, eventType := range append(tried[category].types, category+".teleported.v1", category+".shipped") {
			samples := slices.DeleteFunc(filestest.OfAggregates(t, "../../domain", "testdata/*.json"), func(file string) bool { return !strings.HasPrefix(filepath.Base(file), eventType) })
			for _, state := range tried[category].states {
				add := func(data string) {
					all = append(all, strangerCase{len(all), category, state, eventType, data, metas[len(all)%len(metas)]})
				}
				add(`{}`)
				add(`{"a":1}`)
				add(`{"order_id":1,"lines":"many","quantity":"x","amount":7,"reason":[],"held":{},"total":"much"}`)
				for _, file := range samples {
					sample, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					for i := range 3 {
						var tree any
						if err := json.Unmarshal(sample, &tree); err != nil {
							t.Fatal(err)
						}
						tree = strangerCase{n: len(all)}.named(tree)
						if i > 0 {
							tree = odd(random, tree)
						}
						data, err := json.Marshal(tree)
						if err != nil {
							t.Fatal(err)
						}
						add(string(data))
					}
				}
			}
		}
	}
	return all
}

// Another program writes events of the shop's types into streams of the shop's. They hold up no
// other work. Work that cannot be done is parked with its reason, and no timer fires for ever. All
// events that it writes under its own ids are parked, and nothing else is.
func TestAnEventOfTheShopsThatAnotherProgramWroteHoldsUpNothing(t *testing.T) {
	racetest.Skip(t, "it repeats the same with every event")
	t.Parallel()
	t.Run("under ids of its own", func(t *testing.T) {
		t.Parallel()
		parked := writtenByStrangers(t, uuid.New)
		for _, p := range parked {
			if p.Kind != string(workEvent) || !strings.Contains(p.Reason, "another program wrote ") {
				t.Errorf("%s %s %s is parked: %s", p.Kind, p.Subject, p.Step, p.Reason)
			}
		}
	})
	t.Run("under ids like the shop's", func(t *testing.T) {
		t.Parallel()
		writtenByStrangers(t, func() uuid.UUID { return aggregate.EventID(uuid.New(), 0) })
	})
}

// writtenByStrangers writes all cases and returns the parked work when everything else is done.
func writtenByStrangers(t *testing.T, id func() uuid.UUID) []UnfinishedWork {
	t.Helper()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	all := allWritten(t)
	for _, w := range all {
		s.bringTo(w)
	}
	refused := 0
	for _, w := range all {
		event := eventstore.Event{ID: id(), Type: w.eventType, Data: []byte(w.data), Meta: []byte(w.meta)}
		_, err := log.Append(t.Context(), w.stream(), eventstore.Any, []eventstore.Event{event})
		if _, invalid := errors.AsType[*eventstore.InvalidError](err); invalid {
			refused++
			continue
		}
		s.Must(err)
	}
	s.Sell("MUG", 30)
	for i := range 20 {
		id := unit.CartID(fmt.Sprint("later", i))
		s.Must(s.FillCart(id, map[unit.SKU]unit.Quantity{"MUG": 1}))
		s.BeginAsBefore(id, unit.OrderID("o-"+id))
	}
	t.Logf("%d cases, of which the log refuses %d", len(all), refused)

	book := &logbook{timers: map[Deadline]Timer{}}
	after := open(t, log, commands.DefaultPolicy()) // another node, which has nothing in memory
	reactor := &Reactor{Store: log, Journal: book, Parking: book, Finisher: after.Service, CartsExpireAfter: time.Hour}
	s.finishOrPark(reactor, book, all)
	if got := s.Available("MUG"); got != 10 {
		t.Errorf("%d mugs are available, want 10: the checkouts after all that are not finished", got)
	}
	parked, _ := book.Parked(t.Context(), uuid.Nil, 100_000)
	for _, p := range parked {
		if p.Reason == "" {
			t.Errorf("%s is parked without a reason", p.Stream)
		}
	}
	if foreign := !streams.OwnsID(id()); foreign && len(parked) != len(all)-refused {
		t.Errorf("%d events are parked, %d were written", len(parked), len(all)-refused)
	}
	t.Logf("%d processes are parked, %d timers are set", len(parked), len(book.timers))
	clockwork := NewClockwork(nil, after, slog.New(slog.DiscardHandler))
	givenUp := 0
	for deadline, timer := range book.timers {
		for ended := false; !ended; timer.Failures++ {
			err := clockwork.fire(t.Context(), timer, time.Now().Add(1000*24*time.Hour))
			_, postponed := errors.AsType[*PostponedError](err)
			parked, gone := errors.AsType[*GiveUpError](err)
			if ended = err == nil || postponed || gone; !ended && timer.Failures >= triesFailed {
				t.Errorf("timer %s comes back for ever: %v", deadline, err)
				break
			}
			if gone {
				givenUp++
				if parked.Work.timer().Deadline != deadline || parked.Work.Reason == "" {
					t.Errorf("timer %s is parked as %+v", deadline, parked.Work)
				}
			}
		}
	}
	t.Logf("%d timers are parked", givenUp)
	return parked
}

// finishOrPark runs the reactor until no work is open. If work stays open, its error names it.
func (s *shop) finishOrPark(reactor *Reactor, book *logbook, all []strangerCase) {
	s.T.Helper()
	said := &lastWords{Handler: slog.DiscardHandler, of: map[string]string{}}
	reactor.Logger, reactor.Grace = slog.New(said), time.Millisecond
	ctx, stop := context.WithTimeout(s.T.Context(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- reactor.Run(ctx) }()
	for !book.reaches(s.T, s.Log)() && ctx.Err() == nil {
		pause.For(ctx, 5*time.Millisecond)
	}
	open, _ := reactor.Open()
	if ctx.Err() != nil {
		for _, p := range open[:min(len(open), 20)] {
			words := said.about(strings.TrimSpace(p.Kind + " " + p.Subject + " " + p.Step))
			at := slices.IndexFunc(all, func(c strangerCase) bool { return c.stream() == p.Stream })
			if at < 0 {
				s.T.Errorf("%s of %s is open: %s", p.Kind, p.Stream, words)
				continue
			}
			s.T.Errorf("%s of %s is open: %s\n%s", p.Kind, p.Stream, words, all[at])
		}
		at, _ := book.Checkpoint(s.T.Context())
		s.T.Errorf("%d processes are open after a minute, the checkpoint is at %s; the reactor said at last %q", len(open), at, said.about(""))
	}
	stop()
	s.Must(<-ended)
}

// lastWords remembers the latest log message about each work.
type lastWords struct {
	slog.Handler
	mu sync.Mutex
	of map[string]string
}

func (l *lastWords) about(work string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[work]
}

func (l *lastWords) Enabled(context.Context, slog.Level) bool { return true }

func (l *lastWords) Handle(_ context.Context, r slog.Record) error {
	work, text := "", r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "work" {
			work = strings.TrimSpace(a.Value.String())
		}
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[work] = text
	return nil
}
