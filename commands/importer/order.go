package importer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"daybook/commands"
	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/internal/onlineretail"
)

// reserveFor is the deadline of an imported order. It is long. An interrupted import may leave an
// order unconfirmed, and the order must still exist when the import is continued.
const reserveFor = 365 * 24 * time.Hour

func orderID(invoice onlineretail.Invoice) unit.OrderID   { return unit.OrderID(invoice.Number) }
func cartID(invoice onlineretail.Invoice) unit.CartID     { return unit.CartID("import-" + invoice.Number) }
func returnID(invoice onlineretail.Invoice) unit.ReturnID { return unit.ReturnID(invoice.Number) }

// order imports a sale: a cart with the invoice's lines, a checkout, a payment, a confirmation
// and one parcel.
func (r *run) order(ctx context.Context, j *job) (outcome, error) {
	invoice := *j.invoice
	cartID := cartID(invoice)
	add := call(invoice, "cart")
	add.New = true
	open := &cart.Open{CartID: cartID, CustomerID: invoice.CustomerID, Currency: onlineretail.Currency, Country: invoice.Country}
	if _, err := r.Service.AddLines(ctx, add, cartID, open, wantedLines(invoice)); err != nil {
		return outcome{}, fmt.Errorf("fill the cart: %w", err)
	}
	if err := j.ticket.wait(ctx); err != nil {
		return outcome{}, err
	}
	result, err := r.Service.Checkout(ctx, call(invoice, "checkout"), commands.CheckoutRequest{
		CartID: cartID, OrderID: orderID(invoice), Reference: invoice.Number,
		Shortage: r.plan.options.Policy, ReserveUntil: r.Service.Now().Add(reserveFor),
		OnReserved: j.ticket.releaseAll, Expect: commands.Expectation{Unpriced: true},
		After: &commands.AfterPlacing{
			Call: call(invoice, "confirm"), Confirm: true,
			Pay: &order.RecordTransaction{ // the amount is what the order owes
				TransactionID: unit.TransactionID(invoice.Number + "-capture"), Type: order.Capture, State: order.Succeeded,
				Provider: "import", Reference: invoice.Number,
			},
		},
	})
	if err != nil {
		return outcome{}, fmt.Errorf("check out, pay and confirm: %w", err)
	}
	if result.OrderIDTaken { // the shop took the id after the import had begun
		return outcome{}, &TakenError{Taken: []string{"order " + invoice.Number}}
	}
	// This does nothing if the ticket was released when all stock was reserved.
	j.ticket.release(takenOf(invoice, result))
	sold := sold(invoice, result)
	if !result.Placed {
		return sold, nil
	}
	_, err = r.Service.Order(ctx, call(invoice, "ship"), orderID(invoice), order.Ship{
		ShipmentID: unit.ShipmentID(invoice.Number + "-1"), Location: unit.DefaultLocation,
	})
	if err != nil {
		return sold, fmt.Errorf("ship: %w", err)
	}
	return sold, nil
}

func wantedLines(invoice onlineretail.Invoice) []commands.WantedLine {
	lines := make([]commands.WantedLine, len(invoice.Lines))
	for i, line := range invoice.Lines {
		lines[i] = commands.WantedLine{
			SKU: line.SKU, SKUText: line.SKUText, Quantity: line.Quantity,
			Override: &cart.Offer{Title: line.Note, Kind: line.Kind, Price: money(line.Price), Overridden: true, BelowZero: true},
		}
	}
	return lines
}

// takenOf returns how many units of each SKU a checkout took.
func takenOf(invoice onlineretail.Invoice, result commands.CheckoutResult) took {
	if !result.Placed {
		return tookNothing
	}
	return func(sku unit.SKU) unit.Quantity {
		var taken unit.Quantity
		for _, line := range invoice.Lines {
			if line.SKU == sku && !slices.Contains(result.Dropped, line.Number) {
				taken += line.Quantity
			}
		}
		return taken
	}
}

// sold counts what a checkout took. The lines of an order have the same numbers as the lines
// of its invoice.
func sold(invoice onlineretail.Invoice, result commands.CheckoutResult) outcome {
	o := outcome{taken: 1}
	if !result.Placed {
		o = outcome{refused: 1}
	}
	for _, line := range invoice.Lines {
		taken := result.Placed && !slices.Contains(result.Dropped, line.Number)
		if taken {
			o.valueTaken = o.valueTaken.Add(line.Amount())
		}
		switch {
		case line.Kind != unit.Stocked:
		case taken:
			o.linesTaken++
			o.unitsTaken += int64(line.Quantity)
		default:
			o.linesRefused++
		}
	}
	return o
}
