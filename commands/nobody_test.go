package commands_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// withoutCall are the methods of a service that take no call. They read, or the reactor and the
// timers call them, and their events name these as actors.
var withoutCall = []string{
	"ViewProduct", "ViewCart", "ViewCartFrom", "ViewStock", "ViewOrder", "ViewOrderFrom", "ViewReturn", "ViewAccess", "ViewStaff", "Person", "Answering",
	"ViewCustomer", "AbsorbedBy", "Subject", "EraseLater", "ForgetStates",
	"StockRepeats", "Now", "TimeBounds", "At", "CheckLog", "Follow", "Close", "Driving",
	"FinishCheckout", "FinishOrder", "FinishReturn", "FinishMerge", "FinishCustomerMerge", "FinishErasure", "FinishRefund", "CheckRefund", "RecordReport", "ExpireOrder", "ExpireReservations", "ExpireCart",
	"ViewPriceList", "ViewShippingMethod", "ViewLegalEntity", "ViewPromotion", "ViewCoupon", "ViewGiftCard", "ViewClaim", "FindGiftCard", "FollowHold", "ExpireGiftCard", "IssueSold", "CreditBack",
	"LastShortages", "Outcomes", "ReturnHandler", "StockHandler", "WaitingTogether", // of this package's tests only
}

// Each method of the service that takes a call refuses the call of nobody, and records nothing. So
// it refuses a call whose events would name somebody else than its principal.
func TestNobodyCanSendACommand(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	s.deliver("o1", 2)
	before := len(recordedIn(t, log))
	claimed := shoptest.NewCall()
	claimed.Meta.Actor = "staff:eve"
	claimedCustomer := shoptest.NewCall()
	claimedCustomer.Meta.ActingFor = "17850"
	claimedSource := shoptest.NewCall()
	claimedSource.Who = access.Principal{ID: "key:k1", Role: access.Admin, Grants: shoptest.NewCall().Who.Grants}
	claimedSource.Meta.Actor, claimedSource.Meta.OnBehalfOf = "key:k1", "staff:eve"
	open := commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: "staff:eve"}}
	nameless := shoptest.NewCall()
	nameless.Meta.Actor = ""
	for name, test := range map[string]struct {
		call commands.Call
		want error
	}{
		"nobody":                               {commands.Call{Meta: shoptest.NewCall().Meta}, commands.ErrNobody},
		"another actor":                        {claimed, commands.ErrActorDiffers},
		"no actor":                             {nameless, commands.ErrActorDiffers},
		"another customer":                     {claimedCustomer, commands.ErrActorDiffers},
		"on behalf of somebody":                {claimedSource, commands.ErrActorDiffers},
		"an authenticated name, access is off": {open, commands.ErrActorDiffers},
	} {
		walked := 0
		service := reflect.ValueOf(s.Service)
		for i := range service.NumMethod() {
			method := service.Type().Method(i)
			arguments, takes := argumentsOf(t.Context(), service.Method(i).Type(), test.call)
			if !takes {
				if !slices.Contains(withoutCall, method.Name) {
					t.Errorf("%s takes no call, so say here why it need not know who asks", method.Name)
				}
				continue
			}
			walked++
			results := service.Method(i).Call(arguments)
			if err, _ := results[len(results)-1].Interface().(error); !errors.Is(err, test.want) {
				t.Errorf("%s with a call of %s: %v, want %v", method.Name, name, err, test.want)
			}
		}
		if walked < 11 {
			t.Errorf("only %d methods take a call", walked)
		}
	}
	if after := len(recordedIn(t, log)); after != before {
		t.Errorf("%d events were recorded", after-before)
	}
}

// Each method of the service that takes a call refuses a principal who lacks the permission that
// the call uses. It also refuses a call that uses none of the method's permissions. So a route with
// the wrong permission, or with none, gives nobody a right that they lack.
func TestTheServiceChecksThePermission(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	s.deliver("o1", 2)
	before := len(recordedIn(t, log))
	call := func(id string, grants access.Grants, needs access.Permission) commands.Call {
		return commands.Call{Who: access.Principal{ID: id, Role: "some", Grants: grants}, Needs: needs, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: id}}
	}
	all, _ := access.BuiltIn(access.Admin)
	service := reflect.ValueOf(s.Service)
	walked := 0
	for i := range service.NumMethod() {
		method, name := service.Method(i), service.Type().Method(i).Name
		arguments, takes := argumentsOf(t.Context(), method.Type(), call("key:k1", all, ""))
		if !takes {
			continue
		}
		walked++
		results := method.Call(arguments)
		err, _ := results[len(results)-1].Interface().(error)
		if !errors.Is(err, commands.ErrPermission) {
			t.Errorf("%s with a call that names no permission: %v", name, err)
		}
		used := 0
		for needs := range all {
			without := maps.Clone(all)
			delete(without, needs)
			arguments, _ := argumentsOf(t.Context(), method.Type(), call("key:k1", without, needs))
			results := method.Call(arguments)
			err, _ := results[len(results)-1].Interface().(error)
			lacks, is := errors.AsType[*access.LacksError](err)
			if is && lacks.Permission == needs {
				used++
			} else if !errors.Is(err, commands.ErrPermission) {
				t.Errorf("%s with %s, which its sender lacks: %v", name, needs, err)
			}
		}
		if used == 0 || used > 9 { // Order takes the most: one for each kind of work on an order
			t.Errorf("%s takes %d permissions", name, used)
		}
	}
	if walked < 11 {
		t.Errorf("only %d methods take a call", walked)
	}
	if after := len(recordedIn(t, log)); after != before {
		t.Errorf("%d events were recorded", after-before)
	}
}

// The service itself finds out from the principal whose things a call may be about. So the things
// of others are safe even if the sender of the call forgets to ask.
func TestTheServiceChecksTheOwner(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	s.Sell("MUG", 9)
	s.deliver("o1", 2) // an order without a customer
	before := len(recordedIn(t, log))
	grants, _ := access.BuiltIn(access.Customer)
	bob := access.Principal{ID: "key:bob", Role: access.Customer, Grants: grants, Customer: "bob"}
	from := func(needs access.Permission) commands.Call {
		return commands.Call{Who: bob, Needs: needs, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: bob.ID}}
	}
	_, err := s.Order(t.Context(), from(access.CancelOrders), "o1", order.Cancel{})
	if !errors.Is(err, order.ErrNotFound) {
		t.Errorf("bob cancels an order that is not his: %v", err)
	}
	_, err = s.Return(t.Context(), from(access.AskReturns), "r1", returns.Cancel{})
	if !errors.Is(err, returns.ErrNotFound) {
		t.Errorf("bob cancels a return that is not his: %v", err)
	}
	_, err = s.Cart(t.Context(), from(access.WriteCarts), "o1", cart.Abandon{})
	if !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("bob abandons a cart that is not his: %v", err)
	}
	if after := len(recordedIn(t, log)); after != before {
		t.Errorf("%d events were recorded", after-before)
	}
}

// argumentsOf makes arguments for a method that takes a call. The others have their zero values.
func argumentsOf(ctx context.Context, method reflect.Type, call commands.Call) (arguments []reflect.Value, takesCall bool) {
	for i := range method.NumIn() {
		in := method.In(i)
		switch {
		case method.IsVariadic() && i == method.NumIn()-1:
		case in == reflect.TypeFor[context.Context]():
			arguments = append(arguments, reflect.ValueOf(ctx))
		case in == reflect.TypeFor[commands.Call]():
			takesCall = true
			arguments = append(arguments, reflect.ValueOf(call))
		default:
			arguments = append(arguments, reflect.Zero(in))
		}
	}
	return arguments, takesCall
}

func recordedIn(t *testing.T, log eventstore.Store) (events []eventstore.Recorded) {
	t.Helper()
	for recorded, err := range log.ReadAll(t.Context(), eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, recorded)
	}
	return events
}

// A node dies after each number of appends of a sale and its return. The events of its own calls
// name their principal. The events by which the reactor finishes the work name system:reactor, on
// behalf of the principal, and have the same correlation.
func TestTheReactorActsInItsOwnName(t *testing.T) {
	t.Parallel()
	const seller = "key:seller"
	finished := 0
	for left := range 30 {
		log := memory.New()
		before := open(t, log, commands.DefaultPolicy())
		before.Sell("MUG", 9)
		start := len(recordedIn(t, log))
		dying := open(t, &shoptest.Mortal{Store: log, Left: left}, commands.DefaultPolicy())
		call := func() commands.Call {
			next := callAs("seller", shoptest.NewCall().Who.Grants)
			next.Meta.CorrelationID = "one request"
			return next
		}
		sellAndTakeBack(dying, call)
		after := open(t, log, commands.DefaultPolicy())
		recoverFrom(t, after)
		for _, recorded := range recordedIn(t, log)[start:] {
			meta := eventstore.MetadataOrNone(recorded.Meta)
			switch {
			case meta.CorrelationID != "one request":
				t.Errorf("%d appends: %s has the correlation %q", left, recorded.Type, meta.CorrelationID)
			case meta.Actor == seller && meta.OnBehalfOf == "":
			case meta.Actor == "system:reactor" && meta.OnBehalfOf == seller:
				finished++
			default:
				t.Errorf("%d appends: %s of %s names %q, on behalf of %q", left, recorded.Type, recorded.Stream, meta.Actor, meta.OnBehalfOf)
			}
		}
	}
	if finished < 10 {
		t.Errorf("the reactor has recorded %d events", finished)
	}
}

// sellAndTakeBack sells mugs and takes one back, until the node dies.
func sellAndTakeBack(s *shop, call func() commands.Call) {
	ctx := s.T.Context()
	for _, step := range []func() error{
		func() error {
			_, err := s.AddLines(ctx, using(access.WriteCarts, call()), "c1", &cart.Open{CartID: "c1", Currency: "GBP"}, []commands.WantedLine{{SKU: "MUG", Quantity: 2}})
			return err
		},
		func() error {
			_, err := s.AddLines(ctx, using(access.WriteCarts, call()), "c2", &cart.Open{CartID: "c2", Currency: "GBP"}, []commands.WantedLine{{SKU: "MUG", Quantity: 1}})
			return err
		},
		func() error { _, err := s.MergeCart(ctx, using(access.WriteCarts, call()), "c1", "c2"); return err },
		func() error {
			_, err := s.Checkout(ctx, using(access.CheckOut, call()), commands.CheckoutRequest{CartID: "c1", OrderID: "o1"})
			return err
		},
		func() error {
			_, err := s.Order(ctx, using(access.ConfirmOrder, call()), "o1", order.Confirm{Now: s.Now()})
			return err
		},
		func() error {
			_, err := s.Order(ctx, using(access.ShipOrders, call()), "o1", order.Ship{ShipmentID: "s1", Location: unit.DefaultLocation})
			return err
		},
		func() error {
			_, err := s.Return(ctx, using(access.AskReturns, call()), "r1", mugsOf("r1", 1, "o1"))
			return err
		},
		func() error {
			_, err := s.Return(ctx, using(access.HandleReturns, call()), "r1", giveBack(1, "1")[:2]...)
			return err
		},
	} {
		if step() != nil {
			return
		}
	}
}

// using returns a call that uses a permission.
func using(needs access.Permission, call commands.Call) commands.Call {
	call.Needs = needs
	return call
}

// The timers act as system:timer.
func TestTheTimersActInTheirOwnName(t *testing.T) {
	t.Parallel()
	log := memory.New()
	policy := commands.DefaultPolicy()
	policy.CartsExpireAfter = 1
	s := open(t, log, policy)
	s.Sell("MUG", 9)
	if err := errors.Join(s.FillCart("c1", map[unit.SKU]unit.Quantity{"MUG": 1}), s.FillCart("c2", map[unit.SKU]unit.Quantity{"MUG": 1}), s.PlaceOrder("c1", "o1")); err != nil {
		t.Fatal(err)
	}
	reserve := stock.Reserve{At: s.At(shoptest.Key("MUG")), ReservationID: "r1", OrderID: "by-hand", Quantity: 1, ExpiresAt: s.Now().Add(time.Hour)}
	if _, err := s.MoveStock(t.Context(), using(access.WriteStock, shoptest.NewCall()), shoptest.Key("MUG"), reserve); err != nil {
		t.Fatal(err)
	}
	start := len(recordedIn(t, log))
	late := s.Now().Add(48 * time.Hour)
	meta := func() eventstore.Metadata { return eventstore.Metadata{CommandID: uuid.New()} }
	if err := s.ExpireOrder(t.Context(), meta(), "o1", late); err != nil {
		t.Error(err)
	}
	if _, err := s.ExpireCart(t.Context(), meta(), "c2", late); err != nil {
		t.Error(err)
	}
	if _, err := s.ExpireReservations(t.Context(), meta(), shoptest.Key("MUG"), late); err != nil {
		t.Error(err)
	}
	var types []string
	for _, recorded := range recordedIn(t, log)[start:] {
		types = append(types, recorded.Type)
		if meta := eventstore.MetadataOrNone(recorded.Meta); meta.Actor != "system:timer" || meta.OnBehalfOf != "" {
			t.Errorf("%s names %q, on behalf of %q", recorded.Type, meta.Actor, meta.OnBehalfOf)
		}
	}
	for _, want := range []string{"order.expired", "cart.expired", "stock.reservation_expired"} {
		if said := strings.Join(types, " "); !strings.Contains(said, want) {
			t.Errorf("recorded: %s, want %s, too", said, want)
		}
	}
}
