package resource

import (
	"time"

	"daybook/domain/returns"
	"daybook/domain/unit"
)

// ReturnCommon are the members of a return or a credit note that both lists and single responses
// have.
type ReturnCommon struct {
	ReturnID   string `json:"return_id"`
	Reference  string `json:"reference,omitempty" class:"personal"`
	OrderID    string `json:"order_id,omitempty" doc:"The order, if all lines of the return are from one order."`
	CustomerID string `json:"customer_id,omitempty" class:"customer"`
	Currency   string `json:"currency"`
	Country    string `json:"country,omitempty"`
	Status     string `json:"status" enum:"requested,open,received,closed,declined,canceled,noted" doc:"How the return stands. noted: it is a credit note."`
	Reason     string `json:"reason,omitempty" class:"personal"`
	Value      Money  `json:"value"`
	Refunded   Money  `json:"refunded"`
	Units      int64  `json:"units"`
	Revision   int64  `json:"revision"`
}

// ReturnSummary is a return or a credit note as lists show it.
type ReturnSummary struct {
	ReturnCommon
	Channel   string    `json:"channel,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// Return is a return or a credit note with all that belongs to it.
type Return struct {
	ReturnCommon
	Lines    []ReturnLine    `json:"lines" doc:"Empty for a credit note, which has credit_lines."`
	Receipts []ReturnReceipt `json:"receipts"`
	Refunds  []ReturnRefund  `json:"refunds"`
	Credit   []CreditLine    `json:"credit_lines,omitempty"`

	Channel    string          `json:"channel,omitempty" reads:"only"`
	CreatedAt  time.Time       `json:"created_at,omitzero" reads:"only"`
	ApprovedAt time.Time       `json:"approved_at,omitzero" reads:"only"`
	ClosedAt   time.Time       `json:"closed_at,omitzero" reads:"only"`
	ChangedAt  time.Time       `json:"changed_at,omitzero" reads:"only"`
	Timeline   []TimelineEntry `json:"timeline,omitzero" reads:"only"`
}

// ReturnLine is a returned line, and how many of its units are still to come.
type ReturnLine struct {
	Line     int          `json:"line"`
	SKU      string       `json:"sku"`
	SKUText  string       `json:"sku_text,omitempty"`
	Title    string       `json:"title,omitempty"`
	Kind     string       `json:"kind" enum:"stocked,service"`
	Quantity int64        `json:"quantity"`
	Price    Money        `json:"price" doc:"What is credited for one unit."`
	Awaited  int64        `json:"awaited"`
	Links    []ReturnLink `json:"links,omitempty"`
}

// ReturnLink says which order line some units of a returned line were sold on.
type ReturnLink struct {
	OrderID  string `json:"order_id"`
	Line     int    `json:"line"`
	Quantity int64  `json:"quantity"`
}

// ReturnReceipt is one delivery of returned goods.
type ReturnReceipt struct {
	Receipt int               `json:"receipt"`
	Lines   []ReturnedOutcome `json:"lines"`
}

// ReturnedOutcome is what became of units of a line, and where.
type ReturnedOutcome struct {
	Line        int    `json:"line"`
	Quantity    int64  `json:"quantity"`
	Disposition string `json:"disposition" enum:"restocked,damaged,lost,wrong_item,written_off"`
	Location    string `json:"location"`
}

// ReturnRefund is money given back.
type ReturnRefund struct {
	TransactionID string        `json:"transaction_id"`
	Amount        Money         `json:"amount"`
	Provider      string        `json:"provider,omitempty" class:"chosen"`
	Reference     string        `json:"reference,omitempty" class:"personal" example:"ch_3P1" doc:"The payment provider's own number for it."`
	Shares        []RefundShare `json:"shares,omitempty"`
}

// RefundShare is the part of a refund that belongs to one order.
type RefundShare struct {
	OrderID string `json:"order_id"`
	Amount  Money  `json:"amount"`
}

// CreditLine is a line of a credit note.
type CreditLine struct {
	Line     int    `json:"line"`
	SKU      string `json:"sku"`
	SKUText  string `json:"sku_text,omitempty"`
	Title    string `json:"title,omitempty"`
	Quantity int64  `json:"quantity"`
	Price    Money  `json:"price" doc:"The price of one unit. Quantity times price is the change of the shop's sales."`
}

// ReturnOf makes a Return from the state of a return or a credit note.
func ReturnOf(s returns.State, revision int64) Return {
	r := Return{
		ReturnCommon: ReturnCommon{Status: string(s.Status), Revision: revision},
		Lines:        []ReturnLine{}, Receipts: listed(s.Receipts, returnReceipt), Refunds: listed(s.Refunds, returnRefund),
	}
	if s.Status == returns.StatusNoted {
		r.fillNote(s.Noted)
	} else {
		r.fillReturn(s)
	}
	return r
}

func (r *Return) fillNote(note returns.CreditNoted) {
	r.ReturnID, r.CustomerID, r.Reference, r.Country, r.Reason = string(note.ReturnID), string(note.CustomerID), note.Reference, note.Country, note.Reason
	r.Currency, r.Value, r.Refunded = string(note.Amount.Currency), MoneyOf(note.Amount.Negated()), MoneyOf(unit.Zero(note.Amount.Currency))
	for _, l := range note.Lines {
		r.Units += int64(l.Quantity)
	}
	r.Credit = each(note.Lines, func(l returns.CreditLine) CreditLine {
		return CreditLine{
			Line: l.Number, SKU: string(l.SKU), SKUText: l.SKUText, Title: l.Title, Quantity: int64(l.Quantity), Price: MoneyOf(l.Price),
		}
	})
}

func (r *Return) fillReturn(s returns.State) {
	asked := s.Requested
	r.ReturnID, r.OrderID, r.CustomerID = string(asked.ReturnID), string(asked.OrderID), string(s.Customer())
	r.Reference, r.Currency, r.Country, r.Reason = asked.Reference, string(asked.Currency), asked.Country, asked.Reason
	value := unit.Zero(asked.Currency)
	for i, l := range asked.Lines {
		line := returnLine(l)
		if i < len(s.Lines) {
			line.Awaited = int64(s.Lines[i].Awaited())
		}
		// Only the amounts are added, because an old log may have a line in another currency.
		value.Amount = value.Amount.Add(l.Price.Times(l.Quantity).Amount)
		r.Units += int64(l.Quantity)
		r.Lines = append(r.Lines, line)
	}
	refunded := unit.Zero(asked.Currency)
	for _, refund := range s.Refunds {
		refunded.Amount = refunded.Amount.Add(refund.Amount.Amount)
	}
	r.Value, r.Refunded = MoneyOf(value), MoneyOf(refunded)
}

func returnLine(l returns.Line) ReturnLine {
	return ReturnLine{
		Line: l.Number, SKU: string(l.SKU), SKUText: l.SKUText, Title: l.Title, Kind: string(l.Kind),
		Quantity: int64(l.Quantity), Price: MoneyOf(l.Price),
		Links: each(l.Links, func(link returns.Link) ReturnLink {
			return ReturnLink{OrderID: string(link.OrderID), Line: link.Line, Quantity: int64(link.Quantity)}
		}),
	}
}

func returnReceipt(r returns.Received) ReturnReceipt {
	return ReturnReceipt{Receipt: r.Receipt, Lines: listed(r.Lines, func(l returns.ReceivedLine) ReturnedOutcome {
		return ReturnedOutcome{Line: l.Line, Quantity: int64(l.Quantity), Disposition: string(l.Disposition), Location: string(l.Location)}
	})}
}

func returnRefund(r returns.Refunded) ReturnRefund {
	return ReturnRefund{
		TransactionID: string(r.TransactionID), Amount: MoneyOf(r.Amount), Provider: r.Provider, Reference: r.Reference,
		Shares: each(r.Shares, func(s returns.Share) RefundShare {
			return RefundShare{OrderID: string(s.OrderID), Amount: MoneyOf(s.Amount)}
		}),
	}
}
