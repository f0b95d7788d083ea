package commands_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// checkoutOf is a call with which a customer checks out.
func checkoutOf(id unit.CustomerID) commands.Call {
	grants, _ := access.BuiltIn(access.Customer)
	call := callOf("checkout")
	call.Who, call.Meta.Actor, call.Needs = access.Principal{ID: "key:a", Role: access.Customer, Grants: grants, Customer: id}, "key:a", access.CheckOut
	return call
}

// A checkout takes its cart as the node has it in memory. If another node has changed the cart
// meanwhile, the checkout is the same as if the node had read it.
func TestACheckoutFindsOutThatItsCartInMemoryIsOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		customer unit.CustomerID // who has the cart now
		call     commands.Call
		refused  error
		billedTo string
	}{
		"the cart of a guest":            {call: callOf("checkout")},
		"now it is of a customer":        {customer: "ann", call: callOf("checkout"), billedTo: "Ann"},
		"now it is of a blocked one":     {customer: "ben", call: callOf("checkout"), refused: customer.ErrBlocked},
		"now it is not the caller's own": {customer: "ben", call: checkoutOf("ann"), refused: cart.ErrNotFound},
		"now it is the caller's own":     {customer: "cid", call: checkoutOf("cid")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := memory.New()
			s := open(t, &groupLog{Store: log}, commands.DefaultPolicy())
			s.register("ann", "ben", "cid")
			s.change("ann", customer.AddAddress{AddressID: "a", Address: contact.Address{Name: "Ann", Lines: []string{"1 High Street"}, Country: "GB"}})
			s.change("ben", customer.Block{Reason: "fraud"})
			ask := sellMugs(t, s)
			ask.After = nil
			if c.customer == "ben" {
				_, err := s.Cart(t.Context(), shoptest.NewCall(), "c1", cart.ChangeCustomer{CustomerID: "ann"})
				s.Must(err)
			}
			other := open(t, log, commands.DefaultPolicy())
			if c.customer != "" {
				_, err := other.Cart(t.Context(), shoptest.NewCall(), "c1", cart.ChangeCustomer{CustomerID: c.customer})
				other.Must(err)
			}
			result, err := s.Checkout(t.Context(), c.call, ask)
			if !errors.Is(err, c.refused) || result.Placed != (c.refused == nil) {
				t.Fatalf("placed: %t, %v; want %v", result.Placed, err, c.refused)
			}
			if c.refused != nil {
				return
			}
			order, billedTo := other.OrderState(result.OrderID), ""
			if order.Details != nil && order.Details.Billing != nil {
				billedTo = order.Details.Billing.Name
			}
			if order.CustomerID != c.customer || billedTo != c.billedTo {
				t.Errorf("the order is of %q and billed to %q, want %q and %q", order.CustomerID, billedTo, c.customer, c.billedTo)
			}
			other.Audit()
		})
	}
}

// While a checkout waits for its batch, its cart gets a customer on the same node. The order has
// the address of this customer.
func TestACheckoutLooksAgainIfItsCartChangesWhileItWaits(t *testing.T) {
	t.Parallel()
	log := &groupLog{Store: memory.New()}
	s := open(t, log, commands.DefaultPolicy())
	s.register("ann")
	s.change("ann", customer.AddAddress{AddressID: "a", Address: contact.Address{Name: "Ann", Lines: []string{"1 High Street"}, Country: "GB"}})
	ask := sellMugs(t, s)
	s.Sell("OTHER", 10)
	s.Available("OTHER")
	s.Must(s.FillCart("c0", map[unit.SKU]unit.Quantity{"OTHER": 1}))
	begun, goOn := holdFirst(log, asItComes)
	var wait sync.WaitGroup
	wait.Go(func() { _, err := s.Checkout(t.Context(), callOf("first"), payNow("c0")); s.Must(err) })
	<-begun
	var result commands.CheckoutResult
	var err error
	wait.Go(func() { result, err = s.Checkout(t.Context(), callOf("checkout"), ask) })
	awaitWaiting(s, 1)
	s.Must(second(s.Cart(t.Context(), shoptest.NewCall(), "c1", cart.ChangeCustomer{CustomerID: "ann"})))
	close(goOn)
	wait.Wait()
	if err != nil || !result.Placed {
		t.Fatal(result, err)
	}
	order := s.OrderState(result.OrderID)
	if order.CustomerID != "ann" || order.Details == nil || order.Details.Billing == nil || order.Details.Billing.Name != "Ann" {
		t.Errorf("the order is of %q, with the details %+v", order.CustomerID, order.Details)
	}
}

// A checkout whose cart and goods are in memory reads no stream of its cart, its order or its
// stock.
func TestACheckoutReadsNothingThatIsInMemory(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var reads []string
	memory := memory.New()
	log := &watched{Store: memory, reads: func(stream string) {
		mu.Lock()
		defer mu.Unlock()
		reads = append(reads, stream)
	}}
	s := open(t, struct {
		*watched
		eventstore.MultiAppender
	}{log, memory}, commands.DefaultPolicy())
	ask := sellMugs(t, s)
	ask.OrderID = "o1"
	reads = nil
	result, err := s.Checkout(t.Context(), callOf("checkout"), ask)
	if err != nil || !result.Placed {
		t.Fatal(result, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(reads) > 0 {
		t.Errorf("it read %s", strings.Join(reads, ", "))
	}
}
