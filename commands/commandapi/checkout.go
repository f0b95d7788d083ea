package commandapi

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type checkoutInput struct {
	CartPath
	Body struct {
		OrderID        string         `json:"order_id,omitempty" maxLength:"64" doc:"Optional. Without it the server makes one from the cart and the Idempotency-Key; after a refusal it makes a new one. Your own id can be used once: after a refusal you get order-id-spent, and if another cart used it order-id-taken."`
		Reference      string         `json:"reference,omitempty" maxLength:"100" doc:"Your own number for the order."`
		Sourcing       *SourcingInput `json:"sourcing,omitempty" doc:"Which locations may serve it; by default the shop's."`
		Policy         string         `json:"policy,omitempty" enum:"all-or-nothing,line-by-line" doc:"What to do when stock is short: refuse, or leave out the lines that are. By default the shop's."`
		ReserveSeconds int64          `json:"hold_seconds,omitzero" minimum:"1" maximum:"2592000" doc:"How long the stock is reserved for an order that is not confirmed. By default the shop's."`
		Payment        *PaymentInput  `json:"payment,omitempty" doc:"A payment transaction to record with the order."`
		Confirm        bool           `json:"confirm,omitzero" doc:"Confirm the order at once: its reservations become allocations."`
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
	Amount        *MoneyInput `json:"amount,omitempty" doc:"By default what the order is charged."`
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
	pay := payment(&bad, in.Body.Payment)
	if err := bad.err(); err != nil {
		return nil, err
	}
	result, err := a.service.Checkout(ctx, c.Call, ask)
	if err != nil {
		return nil, err
	}
	if err := result.Refusal(); err != nil {
		return nil, withPosition(ctx, err, result.Cart.Position)
	}
	if pay != nil && pay.TransactionID == "" {
		pay.TransactionID = unit.TransactionID(unit.NewTransaction.Of(cmp.Or(result.BegunBy, c.Meta.CommandID).String()).ID())
	}
	placed := result.Order
	if pay != nil || in.Body.Confirm {
		if placed, err = a.payAndConfirm(ctx, c, result.OrderID, placed, pay, in.Body.Confirm); err != nil {
			return nil, withOrder(ctx, err, result.OrderID)
		}
	}
	state, err := placedOrder(ctx, a, result.OrderID, placed, in.Body.Confirm, resource.OrderOf)
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
		out.Status = http.StatusOK // it was done under another key
	}
	return out, nil
}

// payment reads the payment of a checkout. An amount that is left out is set later, when the
// order says what it is charged. An id that is left out is set when it is known which call
// made the order. So two calls that get the same order also have the same payment.
func payment(bad *check, given *PaymentInput) *order.RecordTransaction {
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

// payAndConfirm records the payment and confirms the order, in one step. It returns the
// results of the placing and of this step as one result.
func (a *api) payAndConfirm(ctx context.Context, c call, id unit.OrderID, placed aggregate.Result[order.Event], pay *order.RecordTransaction, confirm bool) (aggregate.Result[order.Event], error) {
	var wanted []order.Command
	if pay != nil {
		if pay.Amount.Currency == "" {
			owed, err := placedOrder(ctx, a, id, placed, false, func(s order.State, _ int64) unit.Money { return s.Owed() })
			if err != nil {
				return placed, err
			}
			pay.Amount = owed
		}
		if pay.Amount.Sign() != 0 { // a free order is paid without a transaction
			wanted = append(wanted, *pay)
		}
	}
	if confirm {
		wanted = append(wanted, order.Confirm{Now: a.service.Now()})
	}
	if len(wanted) == 0 {
		return placed, nil
	}
	done, err := a.service.Order(ctx, c.then("confirm"), id, wanted...)
	if err != nil {
		return placed, err
	}
	if !placed.Replayed && !done.Replayed && len(placed.Events) > 0 && len(done.Events) > 0 {
		done.Events = append(placed.Events[:len(placed.Events):len(placed.Events)], done.Events...)
	} else {
		done.Events = nil // some of it was done before, so the order must be read again
	}
	return done, nil
}

// placedOrder is what body makes of the order as this request left it. If all the order's
// events are known, the order is not read again. A confirmed order also has the event
// StockSettled, which is not needed, because no member of a response shows it.
func placedOrder[B any](ctx context.Context, a *api, id unit.OrderID, done aggregate.Result[order.Event], confirmed bool, body func(order.State, int64) B) (B, error) {
	known := done
	if confirmed && len(done.Events) > 0 && done.Revision == int64(len(done.Events)) {
		known.Revision--
	}
	if state, _, whole := foldNew(order.Evolve, known); whole {
		return body(state, done.Revision), nil
	}
	return view(ctx, a.service.ViewOrder, id, body)
}

// withPosition adds a position to the refusal of a checkout or a merge that was recorded and
// then refused. From this position on, reads show the cart as open again.
func withPosition(ctx context.Context, err error, position eventstore.Position) error {
	refused := problem.From(ctx, known(ctx, err))
	if eventstore.Start.Before(position) {
		return refused.At(position.String())
	}
	return refused
}

// withOrder adds the order's id to a refusal of the payment or of the confirmation, because
// the checkout has placed the order.
func withOrder(ctx context.Context, err error, id unit.OrderID) error {
	refused := problem.From(ctx, known(ctx, err))
	if !problem.MayNameOrder(refused.Code()) {
		return refused
	}
	return refused.With(map[string]any{"order_id": id})
}
