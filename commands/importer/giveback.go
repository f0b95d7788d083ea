package importer

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/internal/onlineretail"
)

// giveBack imports a cancellation as a return. All its units are restocked and their worth is
// refunded. Its lines are linked to the sales that they were matched to.
func (r *run) giveBack(ctx context.Context, j *job) (outcome, error) {
	invoice := *j.invoice
	if err := j.ticket.wait(ctx); err != nil {
		return outcome{}, err
	}
	result := outcome{}
	request := returns.Request{
		ReturnID: returnID(invoice), CustomerID: invoice.CustomerID, Reference: invoice.Number,
		Currency: onlineretail.Currency, Country: invoice.Country, Reason: "cancellation",
		Lines: make([]returns.Line, len(invoice.Lines)),
	}
	arrival := returns.Receive{Receipt: 1}
	worth := decimal.Zero
	linked := map[soldLine]unit.Quantity{}
	for i, line := range invoice.Lines {
		links, err := r.links(ctx, request.ReturnID, r.plan.matching.Links[j.index][i], linked)
		if err != nil {
			return outcome{}, err
		}
		result.linksKept += len(links)
		result.linksLost += len(r.plan.matching.Links[j.index][i]) - len(links)
		request.Lines[i] = returns.Line{
			SKU: line.SKU, SKUText: givenText(line), Title: line.Note, Kind: line.Kind,
			Quantity: -line.Quantity, Price: money(line.Price), Links: links,
		}
		worth = worth.Sub(line.Amount())
		if line.Kind == unit.Stocked {
			arrival.Lines = append(arrival.Lines, returns.ReceivedLine{
				Line: line.Number, Quantity: -line.Quantity, Disposition: returns.Restocked, Location: unit.DefaultLocation,
			})
		}
	}
	request.OrderID = soleOrder(request.Lines)

	asked := call(invoice, "return")
	asked.New = true
	if _, err := r.Service.Return(ctx, asked, request.ReturnID, request); err != nil {
		return outcome{}, fmt.Errorf("return: %w", err)
	}
	steps := []returns.Command{returns.Approve{}}
	if len(arrival.Lines) > 0 {
		steps = append(steps, arrival)
	}
	if _, err := r.Service.Return(ctx, call(invoice, "return", "goods"), request.ReturnID, append(steps, returns.Close{})...); err != nil {
		return outcome{}, fmt.Errorf("take back: %w", err)
	}
	if refund := money(worth).Charge(); refund.Sign() > 0 {
		shares, err := r.shares(ctx, request, refund)
		if err != nil {
			return outcome{}, err
		}
		if _, err := r.Service.Return(ctx, call(invoice, "return", "refund"), request.ReturnID, returns.RecordRefund{
			TransactionID: unit.TransactionID(invoice.Number + "-refund"), Amount: refund, Provider: "import", Reference: invoice.Number, Of: shares,
		}); err != nil {
			return outcome{}, fmt.Errorf("give back: %w", err)
		}
	}
	j.ticket.releaseAll()
	return result, nil
}

// shares divides a refund among the orders of a return: each gets what it owes less because of the
// return. The file does not say which sale a cancellation belongs to. If it was matched to a sale
// at a lower price, the rest of the refund belongs to no order.
func (r *run) shares(ctx context.Context, request returns.Request, refund unit.Money) ([]returns.Share, error) {
	shares := []returns.Share{}
	for _, id := range linkedOrders(request) {
		err := r.Service.ViewOrder(ctx, id, func(state order.State, _ int64) {
			part := unit.Zero(refund.Currency)
			for _, credit := range state.Credits {
				if credit.ReturnID == request.ReturnID {
					part = part.Plus(credit.Amount)
				}
			}
			if part.Compare(refund) > 0 {
				part = refund
			}
			if part.Sign() > 0 {
				refund = refund.Minus(part)
				shares = append(shares, returns.Share{OrderID: id, Amount: part})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("look at order %s: %w", id, err)
		}
	}
	return shares, nil
}

// linkedOrders are the orders that a return names, in the order of its lines.
func linkedOrders(request returns.Request) (ids []unit.OrderID) {
	for _, line := range request.Lines {
		for _, link := range line.Links {
			if !slices.Contains(ids, link.OrderID) {
				ids = append(ids, link.OrderID)
			}
		}
	}
	return ids
}

// soldLine is a line of an order.
type soldLine struct {
	order unit.OrderID
	line  int
}

// links links units to order lines, and counts them in linked. A match is left out if the
// order cannot take so many units back: its sale was refused, its line was left out, or other
// returns have brought the units back. Units that an earlier run of the import admitted for
// the same return still count as returnable. So an import that is continued makes the same
// links again.
func (r *run) links(ctx context.Context, back unit.ReturnID, matched []onlineretail.Link, linked map[soldLine]unit.Quantity) ([]returns.Link, error) {
	var links []returns.Link
	for _, match := range matched {
		if err := r.after(ctx, match.Invoice); err != nil {
			return nil, err
		}
		of := soldLine{orderID(r.plan.invoices[match.Invoice]), match.Line}
		var left unit.Quantity
		err := r.Service.ViewOrder(ctx, of.order, func(state order.State, _ int64) { left = returnable(state, of.line, back) })
		if err != nil {
			return nil, fmt.Errorf("look at order %s: %w", of.order, err)
		}
		if left >= linked[of]+match.Quantity {
			linked[of] += match.Quantity
			links = append(links, returns.Link{OrderID: of.order, Line: of.line, Quantity: match.Quantity})
		}
	}
	return links, nil
}

// returnable is how many units of a line may come back by one return. It includes the units
// that the order has already admitted for this return.
func returnable(state order.State, number int, back unit.ReturnID) (units unit.Quantity) {
	for _, line := range state.Lines {
		if line.Number == number {
			units += line.Returnable()
		}
	}
	for _, have := range state.Returns {
		if have.ID != back || have.Released {
			continue
		}
		for _, line := range have.Lines {
			if line.Line == number {
				units += line.Quantity
			}
		}
	}
	return units
}

// soleOrder is the order that sold all units of all lines. It is empty if there is no such
// order.
func soleOrder(lines []returns.Line) unit.OrderID {
	var sole unit.OrderID
	for _, line := range lines {
		var linked unit.Quantity
		for _, link := range line.Links {
			if sole != "" && link.OrderID != sole {
				return ""
			}
			sole = link.OrderID
			linked += link.Quantity
		}
		if linked != line.Quantity {
			return ""
		}
	}
	return sole
}

// givenText is the code as the file has it, if it differs from the SKU.
func givenText(line onlineretail.Line) string {
	if line.SKUText == string(line.SKU) {
		return ""
	}
	return line.SKUText
}

// noteCredit records lines that move no goods, as a credit note.
func (r *run) noteCredit(ctx context.Context, j *job, reason string, lines []onlineretail.Line) error {
	invoice := *j.invoice
	note := returns.NoteCredit{
		ReturnID: returnID(invoice), CustomerID: invoice.CustomerID, Reference: invoice.Number,
		Currency: onlineretail.Currency, Country: invoice.Country, Reason: reason,
	}
	for _, line := range lines {
		note.Lines = append(note.Lines, returns.CreditLine{
			SKU: line.SKU, SKUText: givenText(line), Title: line.Note, Quantity: line.Quantity, Price: money(line.Price),
		})
	}
	credit := call(invoice, "credit-note")
	credit.New = true
	if _, err := r.Service.Return(ctx, credit, note.ReturnID, note); err != nil {
		return fmt.Errorf("credit note: %w", err)
	}
	return nil
}
