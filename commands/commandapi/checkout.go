package commandapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type checkoutInput struct {
	CartPath
	Body struct {
		OrderID        string         `json:"order_id,omitempty" needs:"fields.trusted" maxLength:"64" doc:"Optional. Without it the server makes one from the cart and the Idempotency-Key; after a refusal it makes a new one. Your own id can be used once: after a refusal you get order-id-spent, and if another cart used it order-id-taken."`
		Reference      string         `json:"reference,omitempty" maxLength:"100" doc:"Your own number for the order."`
		Sourcing       *SourcingInput `json:"sourcing,omitempty" needs:"fields.trusted" doc:"The locations that the goods may come from; by default the shop's."`
		Policy         string         `json:"policy,omitempty" needs:"fields.trusted" enum:"all-or-nothing,line-by-line" doc:"What to do if stock is short: refuse the checkout, or leave out the lines that are short. By default the shop's."`
		ReserveSeconds int64          `json:"hold_seconds,omitzero" needs:"fields.trusted" minimum:"1" maximum:"2592000" doc:"How long the stock is reserved for an order that is not confirmed. By default the shop's."`
		Payment        *PaymentInput  `json:"payment,omitempty" needs:"fields.trusted" doc:"A payment transaction to record with the order."`
		Details        *DetailsInput  `json:"details,omitempty" doc:"Where the order goes and how to reach its buyer, in place of the details of the cart. The cart keeps its own."`
		GiftCards      []string       `json:"gift_cards,omitempty" maxItems:"10" minLength:"1" maxLength:"40" doc:"Codes of gift cards. They pay in this order, as far as their money goes and never more than is due. It is set aside until the order is confirmed, and is free again if the order ends before."`
		UseCredit      bool           `json:"use_credit,omitzero" doc:"The credit account of the customer pays, too, after the gift cards."`
		QuoteHash      string         `json:"quote_hash,omitempty" maxLength:"64" doc:"The hash of the quote that the customer has seen (quote-cart). If the cart costs something else by now, the checkout is refused (price-changed)."`
		ExpectedTotal  *MoneyInput    `json:"expected_total,omitempty" doc:"What the customer expects to pay. If neither this nor quote_hash is given, that is what the lines of the cart show."`
		AcceptLower    bool           `json:"accept_lower,omitzero" doc:"Go on if the cart costs less than expected."`
		Confirm        bool           `json:"confirm,omitzero" needs:"fields.trusted" doc:"Confirm the order at once: its reservations become allocations."`
	}
}

// SourcingInput says where stock may come from.
type SourcingInput struct {
	Locations []string `json:"locations" minItems:"1" maxItems:"20" maxLength:"64" doc:"In order of preference."`
	Split     bool     `json:"split,omitzero" doc:"Allow one SKU to come from several locations."`
}

// PaymentInput is a payment made before the order was placed.
type PaymentInput struct {
	TransactionID string      `json:"transaction_id,omitempty" maxLength:"64"`
	Type          string      `json:"type,omitempty" enum:"authorize,capture" default:"capture"`
	State         string      `json:"state,omitempty" enum:"pending,succeeded,failed" default:"succeeded"`
	Amount        *MoneyInput `json:"amount,omitempty" doc:"By default all that the order owes, less what gift cards pay."`
	Provider      string      `json:"provider,omitempty" maxLength:"100"`
	Reference     string      `json:"reference,omitempty" maxLength:"100" doc:"The provider's own."`
}

// CheckoutState is how a checkout ended: with an order, perhaps of fewer lines.
type CheckoutState struct {
	Order     resource.Order      `json:"order"`
	Dropped   []int               `json:"dropped_lines,omitempty" doc:"Lines left out under the policy line-by-line."`
	Shortages []resource.Shortage `json:"shortages,omitempty" doc:"Why they were left out."`
}

func (a *api) checkout(ctx context.Context, c call, in *checkoutInput) (*response[CheckoutState], error) {
	var bad check
	ask := commands.CheckoutRequest{
		CartID:    inPath(&bad, "cart_id", in.CartID, unit.ParseCartID),
		OrderID:   optional(&bad, "/order_id", in.Body.OrderID, unit.ParseOrderID),
		Reference: in.Body.Reference, Shortage: cart.Policy(in.Body.Policy),
	}
	if given := in.Body.Sourcing; given != nil {
		ask.Sourcing = &cart.Sourcing{Split: given.Split}
		for i, location := range given.Locations {
			ask.Sourcing.Locations = append(ask.Sourcing.Locations, inBody(&bad, at("/sourcing/locations", i), location, unit.ParseLocationID))
		}
	}
	if in.Body.ReserveSeconds > 0 {
		ask.ReserveUntil = a.service.Now().Add(time.Duration(in.Body.ReserveSeconds) * time.Second)
	}
	for i, code := range in.Body.GiftCards {
		id, err := a.service.FindGiftCard(ctx, code)
		if errors.Is(err, giftcard.ErrNotFound) {
			bad.fault(problem.InBody(at("/gift_cards", i), "there is no gift card with this code"))
		} else if err != nil {
			return nil, err
		}
		ask.GiftCards = append(ask.GiftCards, id)
	}
	ask.UseCredit = in.Body.UseCredit
	ask.Expect = commands.Expectation{Quote: in.Body.QuoteHash, AcceptLower: in.Body.AcceptLower}
	if given := in.Body.ExpectedTotal; given != nil {
		ask.Expect.Total = new(money(&bad, "/expected_total", *given))
	}
	pay := paidAtOnce(&bad, in.Body.Payment)
	if in.Body.Details != nil {
		ask.Details = new(details(&bad, "/details", *in.Body.Details))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if pay != nil || in.Body.Confirm {
		ask.After = &commands.AfterPlacing{Call: c.then("confirm"), Pay: pay, Confirm: in.Body.Confirm}
	}
	result, err := a.service.Checkout(ctx, c.Call, ask)
	if err != nil && result.Placed {
		return nil, withOrder(ctx, err, result.OrderID)
	}
	if err != nil {
		return nil, priceChanged(err)
	}
	if err := result.Refusal(); err != nil {
		return nil, withPosition(ctx, err, result.Cart.Position)
	}
	placed := result.Final
	state, err := placedOrder(ctx, a, result.OrderID, placed, resource.OrderOf)
	if err != nil {
		return nil, err
	}
	body := CheckoutState{Order: state, Dropped: result.Dropped, Shortages: resource.ShortagesOf(result.Shortages)}
	// Another driver may have placed the order of a first request, so the order's own result does
	// not say whether the request was done before.
	placed.Replayed = result.Repeated && len(result.Order.Events) == 0
	out := respond(state.Revision, placed, body).at("/v1/orders/" + string(result.OrderID))
	out.changed = true // there is an order
	if result.BegunBy != uuid.Nil {
		out.Status = http.StatusOK // another call has placed the order
	}
	return out, nil
}

// paidAtOnce reads the payment of a checkout. commands.AfterPlacing says which amount or id is used
// if the request has none.
func paidAtOnce(bad *check, given *PaymentInput) *order.RecordTransaction {
	if given == nil {
		return nil
	}
	record := &order.RecordTransaction{
		TransactionID: optional(bad, "/payment/transaction_id", given.TransactionID, unit.ParseTransactionID),
		Type:          order.TransactionType(given.Type), State: order.TransactionState(given.State),
		// The order refuses such texts, too, but only when it is placed.
		Provider:  oneLine(bad, "/payment/provider", given.Provider),
		Reference: oneLine(bad, "/payment/reference", given.Reference),
	}
	if given.Amount != nil {
		record.Amount = money(bad, "/payment/amount", *given.Amount)
	}
	return record
}

// placedOrder calls body with the order's state and revision after this request, and returns its
// result. If the order has no other events than those of this request, its stream is not read.
func placedOrder[B any](ctx context.Context, a *api, id unit.OrderID, done aggregate.Result[order.Event], body func(order.State, int64) B) (B, error) {
	if state, revision, whole := foldNew(order.Evolve, done); whole {
		return body(state, revision), nil
	}
	return viewFrom(ctx, a.service.ViewOrderFrom, id, done.Revision, body)
}

// withPosition adds a position to the refusal of a checkout or a merge that was recorded and
// then refused. From this position on, reads show the cart as open again.
func withPosition(ctx context.Context, err error, position eventstore.Position) error {
	refused := problem.From(ctx, typedProblem(ctx, err))
	if eventstore.Start.Before(position) {
		return refused.At(position.String())
	}
	return refused
}

// withOrder adds the order's id to a refusal of the payment or of the confirmation, because
// the checkout has placed the order.
func withOrder(ctx context.Context, err error, id unit.OrderID) error {
	refused := problem.From(ctx, typedProblem(ctx, err))
	if !problem.MayNameOrder(refused.Code()) {
		return refused
	}
	return refused.With(map[string]any{"order_id": id})
}
