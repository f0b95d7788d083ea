// Command client buys mugs over the HTTP API, with a shortage at first and a refund at the end. It
// uses the client that ogen makes from the API's document (make client). It takes the server's
// address, and an API key in DAYBOOK_KEY. It ends with an error if a response is not what a shop
// expects.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	api "daybook/internal/httpapi/client/go/build/ogen"
)

const location = "main"

// position is the log position of the latest response. Every read waits for it, so that the shop
// sees its own changes.
var position = "0"

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: client http://127.0.0.1:8080")
	}
	shop, err := api.NewClient(os.Args[1], holder{os.Getenv("DAYBOOK_KEY")}, api.WithClient(asJSON{}))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sku := strings.ToUpper("mug-" + uuid.NewString())
	cart := fill(ctx, shop, sku)
	order := buy(ctx, shop, cart)
	returned := giveBack(ctx, shop, order)
	replay(ctx, shop, order)

	// This is what the read models show at the end.
	end := want[api.Order](shop.GetOrder(ctx, api.GetOrderParams{OrderID: order, DaybookMinPosition: api.NewOptString(position)}))
	same("payment", end.PaymentState, api.OrderPaymentStatePartiallyRefunded)
	same("fulfilment", end.FulfillmentState, api.OrderFulfillmentStateDelivered)
	amount("taken", end.Captured, "22.50")
	amount("given back", end.Refunded, "7.50")
	same("returns", len(end.Returns), 1)
	same("return", end.Returns[0].ReturnID, returned)
	left := want[api.Stock](shop.GetStock(ctx, api.GetStockParams{Sku: sku, Location: location, DaybookMinPosition: api.NewOptString(position)}))
	same("left", left.Available, 1)
	fmt.Printf("order %s: paid %s, given back %s %s\n", order, end.Captured.Amount, end.Refunded.Amount, end.Currency)
}

// fill lists a product and receives three units of it. A cart asks for five of them and is refused.
// It then asks for the three. fill returns this cart.
func fill(ctx context.Context, shop *api.Client, sku string) string {
	product := want[api.Product](shop.ListProduct(ctx, &api.ListProductInputBody{Title: "Mug", Prices: []api.MoneyInput{gbp("7.50")}}, api.ListProductParams{Sku: sku}))
	same("kind", product.Kind, api.ProductKindStocked)
	same("received", want[api.Stock](shop.ReceiveStock(ctx, &api.QuantityBody{Quantity: 3}, api.ReceiveStockParams{IdempotencyKey: once(), Sku: sku, Location: location})).OnHand, 3)
	cart := want[api.Cart](shop.OpenCart(ctx, &api.OpenCartInputBody{
		Currency: "GBP", CustomerID: api.NewOptString("bob"), Lines: []api.LineInput{{Sku: sku, Quantity: 5}},
	}, api.OpenCartParams{}))
	amount("cart", cart.Total, "37.50")

	answer, err := shop.CheckoutCart(ctx, &api.CheckoutInputBody{}, api.CheckoutCartParams{IdempotencyKey: once(), CartID: cart.CartID})
	refused, is := answer.(*api.CheckoutCartConflictHeaders)
	if err != nil || !is {
		log.Fatalf("the checkout of too many: %T %+v, %v", answer, answer, err)
	}
	short, is := refused.Response.GetStockInsufficientProblem()
	if !is || len(short.Shortages) != 1 {
		log.Fatalf("the refusal tells no shortage: %+v", refused.Response)
	}
	shortage := short.Shortages[0]
	same("SKU", shortage.Sku, sku)
	same("asked for", shortage.Requested, 5)
	same("available", shortage.Available, 3)
	same("lines", fmt.Sprint(shortage.Lines), "[1]")
	remember(refused.DaybookPosition.Or("")) // a read that waits for this position shows the cart open again

	again := want[api.Cart](shop.GetCart(ctx, api.GetCartParams{CartID: cart.CartID, DaybookMinPosition: api.NewOptString(position)}))
	same("cart", again.Status, api.CartStatusOpen)
	fewer := want[api.Cart](shop.ChangeCartLine(ctx, &api.ChangeQuantityInputBody{Quantity: shortage.Available}, api.ChangeCartLineParams{CartID: cart.CartID, Line: again.Lines[0].Line}))
	amount("cart", fewer.Total, "22.50")
	return cart.CartID
}

// buy checks the cart out with its payment, ships the goods and records their delivery. It returns
// the order.
func buy(ctx context.Context, shop *api.Client, cart string) string {
	answer, err := shop.CheckoutCart(ctx, &api.CheckoutInputBody{Payment: api.NewOptPaymentInput(api.PaymentInput{
		Type: api.NewOptPaymentInputType(api.PaymentInputTypeCapture), TransactionID: api.NewOptString("pay-1"), Amount: api.NewOptMoneyInput(gbp("22.50")),
	})}, api.CheckoutCartParams{IdempotencyKey: once(), CartID: cart})
	created, is := answer.(*api.CheckoutCartCreated)
	if err != nil || !is {
		log.Fatalf("the checkout: %T %+v, %v", answer, answer, err)
	}
	remember(created.DaybookPosition)
	placed := created.Response.Order
	same("order", placed.Status, api.OrderStatusPending)
	same("payment", placed.PaymentState, api.OrderPaymentStatePaid)
	amount("owed", placed.Owed, "22.50")

	order := placed.OrderID
	same("order", want[api.Order](shop.ConfirmOrder(ctx, api.ConfirmOrderParams{OrderID: order})).Status, api.OrderStatusConfirmed)
	parcel := want[api.ShippedOrder](shop.ShipOrder(ctx, &api.ShipInputBody{Location: api.NewOptString(location)}, api.ShipOrderParams{IdempotencyKey: once(), OrderID: order}))
	same("fulfilment", parcel.Order.FulfillmentState, api.OrderFulfillmentStateFulfilled)
	arrived := want[api.Order](shop.DeliverShipment(ctx, api.DeliverShipmentParams{OrderID: order, ShipmentID: parcel.ShipmentID}))
	same("fulfilment", arrived.FulfillmentState, api.OrderFulfillmentStateDelivered)
	return order
}

// giveBack takes back one of the three units and refunds its price. It returns the return.
func giveBack(ctx context.Context, shop *api.Client, order string) string {
	asked := want[api.Return](shop.RequestReturn(ctx, &api.RequestReturnInputBody{
		OrderID: api.NewOptString(order), Lines: []api.ReturnLineInput{{OrderLine: api.NewOptInt64(1), Quantity: 1}},
	}, api.RequestReturnParams{IdempotencyKey: api.NewOptString(once())}))
	amount("worth", asked.Value, "7.50")
	id := asked.ReturnID
	same("return", want[api.Return](shop.ApproveReturn(ctx, api.ApproveReturnParams{ReturnID: id})).Status, api.ReturnStatusOpen)
	received := want[api.Return](shop.ReceiveReturn(ctx, &api.ReceiptInputBody{Lines: []api.ReceivedLineInput{
		{Line: 1, Quantity: 1, Disposition: api.ReceivedLineInputDispositionRestocked, Location: api.NewOptString(location)},
	}}, api.ReceiveReturnParams{IdempotencyKey: once(), ReturnID: id}))
	same("awaited", received.Lines[0].Awaited, 0)
	refunded := want[api.Return](shop.RefundReturn(ctx, &api.RefundInputBody{Amount: gbp("7.50")}, api.RefundReturnParams{IdempotencyKey: once(), ReturnID: id}))
	amount("given back", refunded.Refunded, "7.50")
	return id
}

// replay reads the order's events. Their union tells which type each one is. The amounts in events
// have the digits that they were recorded with, so they are compared as numbers.
func replay(ctx context.Context, shop *api.Client, order string) {
	answer, err := shop.ReadStream(ctx, api.ReadStreamParams{Stream: "order-" + order})
	page, is := answer.(*api.ReadStreamOKApplicationJSONHeaders)
	if err != nil || !is || len(page.Response.Events) < 4 {
		log.Fatalf("the order's events: %T %+v, %v", answer, answer, err)
	}
	placed, is := page.Response.Events[0].GetOrderPlacedEvent()
	if !is {
		log.Fatalf("the first event is a %s", page.Response.Events[0].Type)
	}
	amount("placed", placed.Data.Total, "22.50")
	same("units", placed.Data.Lines[0].Quantity, 3)

	answers, err := shop.ListEvents(ctx, api.ListEventsParams{Type: []string{"order.placed"}})
	pages, is := answers.(*api.ListEventsOKApplicationJSONHeaders)
	if err != nil || !is || len(pages.Response.Events) == 0 {
		log.Fatalf("the events of the log: %T %+v, %v", answers, answers, err)
	}
	for _, event := range pages.Response.Events {
		if _, is := event.GetOrderPlacedEvent(); !is {
			log.Fatalf("an event is a %s, want only orders placed", event.Type)
		}
	}
}

// holder has an API key. It may be a key of an admin or of another role that may do all this.
type holder struct{ key string }

// ApiKey implements the source of credentials that ogen's code wants.
func (h holder) ApiKey(context.Context, api.OperationName) (api.ApiKey, error) {
	return api.ApiKey{Token: h.key}, nil
}

// asJSON asks for JSON documents. Without it, the log is sent as one JSON object on each line.
type asJSON struct{}

// Do implements the client that ogen's code wants.
func (asJSON) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Accept", "application/json")
	return http.DefaultClient.Do(r)
}

// want returns the body of an answer. It ends the program if the answer is a problem.
func want[Body any](answer any, err error) Body {
	if err != nil {
		log.Fatal(err)
	}
	done, is := answer.(interface {
		GetResponse() Body
		GetDaybookPosition() string
	})
	if !is {
		log.Fatalf("answered with %T: %+v", answer, answer)
	}
	remember(done.GetDaybookPosition())
	return done.GetResponse()
}

func remember(at string) {
	if at == "" {
		log.Fatal("a response without a position")
	}
	position = at
}

func same[T comparable](what string, got, want T) {
	if got != want {
		log.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func amount(what string, got api.Money, want string) {
	if got.Currency != "GBP" || !got.Amount.Equal(decimal.RequireFromString(want)) {
		log.Fatalf("%s: %s %s, want %s GBP", what, got.Amount, got.Currency, want)
	}
}

func gbp(amount string) api.MoneyInput {
	return api.MoneyInput{Amount: decimal.RequireFromString(amount), Currency: "GBP"}
}

// once returns a key under which a write can be repeated.
func once() string { return uuid.NewString() }
