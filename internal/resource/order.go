package resource

import (
	"time"

	"daybook/domain/order"
	"daybook/domain/unit"
)

// OrderCommon are the members of an order that both lists and single responses have.
type OrderCommon struct {
	OrderID          string   `json:"order_id"`
	Reference        string   `json:"reference,omitempty" class:"personal"`
	CustomerID       string   `json:"customer_id,omitempty" class:"customer"`
	CartID           string   `json:"cart_id,omitempty"`
	Currency         string   `json:"currency"`
	Country          string   `json:"country,omitempty"`
	Status           string   `json:"status" enum:"pending,confirmed,completed,canceled,expired"`
	PaymentState     string   `json:"payment_state" enum:"unpaid,authorized,partially_authorized,partially_paid,paid,partially_refunded,refunded,overpaid,due,voided"`
	FulfillmentState string   `json:"fulfillment_state" enum:"unfulfilled,partially_fulfilled,fulfilled,partially_delivered,delivered,backordered,not_required"`
	OnHold           bool     `json:"on_hold"`
	Archived         bool     `json:"archived"`
	NeedsAttention   bool     `json:"needs_attention"`
	Attention        []string `json:"attention,omitempty" enum:"stock_lost,to_return,due,refund_failed,refund_unknown,refund_unplaced,refund_unexplained,dispute_open,parcel_undelivered,transaction_unreadable" doc:"Why somebody has to look at the order."`
	PlacedTotal      Money    `json:"placed_total"`
	Total            Money    `json:"total" doc:"The exact sum of what was not taken off; it is not rounded."`
	Owed             Money    `json:"owed"`
	Captured         Money    `json:"captured"`
	Refunded         Money    `json:"refunded"`
	ToReturn         Money    `json:"to_return" doc:"What has to be given back, and for which no refund is under way."`
	ToCollect        Money    `json:"to_collect" doc:"What is still to be paid."`
	LineCount        int      `json:"line_count"`
	Units            int64    `json:"units" doc:"How many units in all, as placed."`
	Revision         int64    `json:"revision"`
}

// OrderSummary is an order as lists show it.
type OrderSummary struct {
	OrderCommon
	Channel   string    `json:"channel,omitempty"`
	PlacedAt  time.Time `json:"placed_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// Order is an order with all that belongs to it.
type Order struct {
	OrderCommon
	HoldReason       string             `json:"hold_reason,omitempty" class:"personal"`
	Details          *Details           `json:"details,omitempty" doc:"Where it goes and how to reach its buyer, as they were at the checkout. Left out if nothing was given."`
	ConfirmBy        time.Time          `json:"confirm_by"`
	AllocationFailed bool               `json:"allocation_failed"`
	Remedy           string             `json:"remedy,omitempty" enum:"void_or_refund,backorder"`
	Lines            []OrderLine        `json:"lines"`
	Reservations     []OrderReservation `json:"reservations"`
	Payments         []Payment          `json:"payments"`
	Orphans          []OrphanedPayment  `json:"orphaned_payments,omitempty"`
	Shipments        []Shipment         `json:"shipments"`
	Quote            *Quote             `json:"quote,omitempty" doc:"How the amounts of lines and charges came about, as they were at the checkout. Left out if each line costs its price times its units."`
	Refunds          []OrderRefund      `json:"refunds,omitempty" doc:"Money that was asked to go back, one by one."`
	Credits          []OrderCredit      `json:"credits,omitempty" doc:"By what the order owes less: goods that came back, and price reductions."`
	Charges          []OrderCharge      `json:"charges,omitempty" doc:"Money that is no goods, such as shipping, and what is left of it."`

	Channel     string          `json:"channel,omitempty" reads:"only"`
	PlacedAt    time.Time       `json:"placed_at,omitzero" reads:"only"`
	ConfirmedAt time.Time       `json:"confirmed_at,omitzero" reads:"only"`
	EndedAt     time.Time       `json:"ended_at,omitzero" reads:"only"`
	ChangedAt   time.Time       `json:"changed_at,omitzero" reads:"only"`
	Returns     []ReturnSummary `json:"returns,omitzero" reads:"only"`
	Timeline    []TimelineEntry `json:"timeline,omitzero" reads:"only"`
}

// OrderLine is a line as placed, and what became of it.
type OrderLine struct {
	Line        int    `json:"line"`
	SKU         string `json:"sku"`
	Kind        string `json:"kind" enum:"stocked,service"`
	Quantity    int64  `json:"quantity" doc:"As placed."`
	Price       Money  `json:"price" doc:"The price of one unit."`
	Total       Money  `json:"total" doc:"Quantity times price, as placed; it is not rounded."`
	Canceled    int64  `json:"canceled"`
	Shipped     int64  `json:"shipped"`
	Delivered   int64  `json:"delivered"`
	Open        int64  `json:"open"`
	Undelivered int64  `json:"undelivered"`
	Returning   int64  `json:"returning"`
	Returnable  int64  `json:"returnable"`
	Amount      Money  `json:"amount" doc:"What the line cost when it was placed: with tax, after discounts. It is rounded, but not in orders of older versions and of imports."`
	Left        *Money `json:"left,omitempty" doc:"What is left of amount after cancellations and credits. Orders of older versions and of imports do not have it."`

	SKUText    string `json:"sku_text,omitempty" reads:"only"`
	Title      string `json:"title,omitempty" reads:"only"`
	Overridden bool   `json:"overridden,omitzero" reads:"only"`
}

// OrderCharge is a charge as placed, and what became of it.
type OrderCharge struct {
	Charge int    `json:"charge"`
	Kind   string `json:"kind" doc:"Such as shipping. gift_card is a gift card whose purchase was undone: what was left of it is credited, and what was spent stays owed."`
	Title  string `json:"title,omitempty"`
	Amount Money  `json:"amount" doc:"As placed or added, with tax."`
	Left   Money  `json:"left"`
	// The others are of charges that were added after the order was placed.
	ChargeID string `json:"charge_id,omitempty" doc:"Only of a charge that was added after the order was placed."`
	CreditID string `json:"credit_id,omitempty" doc:"The credit to which a clawback belongs."`
	Tax      *Money `json:"tax,omitempty" doc:"The part of amount that is tax, of a charge that was added after the order was placed."`
}

// OrderReservation is what stock has reserved or allocated for an order at one location.
type OrderReservation struct {
	ReservationID string `json:"reservation_id"`
	SKU           string `json:"sku"`
	Location      string `json:"location"`
	Quantity      int64  `json:"quantity" doc:"As reserved."`
	Remaining     int64  `json:"remaining"`
}

// Payment is a payment transaction.
type Payment struct {
	TransactionID string `json:"transaction_id"`
	Type          string `json:"type" enum:"authorize,capture,void,refund,chargeback,dispute,reversal" doc:"What the transaction does."`
	State         string `json:"state" enum:"pending,succeeded,failed" doc:"The state of the transaction."`
	Amount        Money  `json:"amount"`
	Parent        string `json:"parent,omitempty"`
	Provider      string `json:"provider,omitempty" class:"chosen"`
	Reference     string `json:"reference,omitempty" class:"personal" example:"ch_3P1" doc:"The payment provider's own number for it."`
	ReturnID      string `json:"return_id,omitempty" doc:"The return that a refund belongs to."`
	RefundID      string `json:"refund_id,omitempty" doc:"The refund that the transaction is a part of."`
	Purpose       string `json:"purpose,omitempty" enum:"settlement,compensation" doc:"What a refund was for. Left out: settlement."`
	Unexplained   *Money `json:"unexplained,omitempty" doc:"How much of a refund was more than what was to be given back, as long as nobody has said what it was."`

	RecordedAt time.Time `json:"at,omitzero" reads:"only"`
	SettledAt  time.Time `json:"settled_at,omitzero" reads:"only"`
}

// OrphanedPayment is a payment that came too late, so the customer must get it back.
type OrphanedPayment struct {
	TransactionID string `json:"transaction_id"`
	Amount        Money  `json:"amount"`
}

// Shipment is a parcel.
type Shipment struct {
	ShipmentID string         `json:"shipment_id"`
	Location   string         `json:"location"`
	Lines      []LineQuantity `json:"lines" doc:"What is in the parcel."`
	Carrier    string         `json:"carrier,omitempty" class:"chosen"`
	Tracking   string         `json:"tracking,omitempty" class:"personal"`
	Forced     bool           `json:"forced"`
	Delivered  bool           `json:"delivered" doc:"It has arrived." example:"true"`
	State      string         `json:"state" enum:"shipped,delivered,undeliverable,returning,came_back,lost" doc:"Where it is. undeliverable: the carrier has given up. returning: it is on its way back."`
	Back       []BackLine     `json:"back,omitempty" doc:"What came back of it."`
	BackTo     string         `json:"back_to,omitempty"`
	Resent     []LineQuantity `json:"resent,omitempty" doc:"Units that are sent again. They are open again in the order."`
	Credited   []LineQuantity `json:"credited,omitempty" doc:"Units that did not arrive and that the order does not owe any more."`

	ShippedAt   time.Time `json:"shipped_at,omitzero" reads:"only"`
	DeliveredAt time.Time `json:"delivered_at,omitzero" reads:"only"`
	ReportedAt  time.Time `json:"reported_at,omitzero" reads:"only"`
}

// BackLine is some units of a line that came back in a parcel.
type BackLine struct {
	Line        int    `json:"line"`
	SKU         string `json:"sku"`
	Quantity    int64  `json:"quantity"`
	Disposition string `json:"disposition" enum:"restocked,damaged,quarantined,lost"`
}

// LineQuantity is some units of one line.
type LineQuantity struct {
	Line     int   `json:"line"`
	Quantity int64 `json:"quantity"`
}

// Lost is some units of a SKU that are not allocated any more at a location.
type Lost struct {
	SKU      string `json:"sku"`
	Location string `json:"location"`
	Quantity int64  `json:"quantity"`
}

// LostOf is nil if nothing was lost.
func LostOf(all []order.Lost) []Lost {
	return each(all, func(l order.Lost) Lost {
		return Lost{SKU: string(l.SKU), Location: string(l.Location), Quantity: int64(l.Quantity)}
	})
}

// OrderOf makes an Order from an order's state.
func OrderOf(s order.State, revision int64) Order {
	placed, units := unit.Zero(s.Currency()), unit.Quantity(0)
	lines := make([]OrderLine, len(s.Lines))
	for i, l := range s.Lines {
		amount := s.Amount(l)
		lines[i] = orderLine(l)
		lines[i].Amount = MoneyOf(amount)
		if s.Accounts {
			lines[i].Left = new(MoneyOf(unit.OfMinor(l.Account.Money(), s.Currency())))
		}
		// Only the amounts are added, because an old log may have a line in another currency.
		placed.Amount, units = placed.Amount.Add(amount.Amount), units+l.Quantity
	}
	charges := chargesOf(s)
	var quote *Quote
	if s.Quote != nil {
		quote = new(QuoteOf(*s.Quote))
		for _, c := range s.Quote.Charges {
			placed.Amount = placed.Amount.Add(c.Gross.Amount)
		}
	}
	return Order{
		Quote: quote, Charges: charges, Refunds: each(s.Refunds, orderRefund), Credits: orderCredits(s),
		OrderCommon: OrderCommon{
			OrderID: string(s.OrderID), Reference: s.Reference, CustomerID: string(s.CustomerID), CartID: string(s.CartID),
			Currency: string(s.Currency()), Country: s.Country,
			Status: string(s.Status), PaymentState: string(s.PaymentState()), FulfillmentState: string(s.FulfillmentState()),
			OnHold: s.OnHold, Archived: s.Archived, NeedsAttention: s.NeedsAttention(),
			Attention:   each(s.Attention(), func(reason order.Attention) string { return string(reason) }),
			PlacedTotal: MoneyOf(placed), Total: MoneyOf(s.Total), Owed: MoneyOf(s.Owed()),
			Captured: MoneyOf(s.Captured()), Refunded: MoneyOf(s.Returned()),
			ToReturn: MoneyOf(s.ToReturn()), ToCollect: MoneyOf(s.ToCollect()),
			LineCount: len(s.Lines), Units: int64(units), Revision: revision,
		},
		HoldReason: s.HoldReason, Details: detailsOf(s.Details), ConfirmBy: s.ConfirmBy, AllocationFailed: s.AllocationFailed, Remedy: string(s.Remedy),
		Lines: lines, Reservations: listed(s.Holdings, orderReservation),
		Payments: listed(s.Transactions, payment), Shipments: listed(s.Shipments, shipment),
		Orphans: each(s.Orphans, func(o order.Orphan) OrphanedPayment {
			return OrphanedPayment{TransactionID: string(o.TransactionID), Amount: MoneyOf(o.Amount)}
		}),
	}
}

// chargesOf are the charges of the quote, then those that were added later.
func chargesOf(s order.State) (charges []OrderCharge) {
	for i, c := range s.Charges {
		var shown OrderCharge
		switch {
		case c.Added != nil:
			tax := c.Added.Priced.Gross
			tax.Amount = tax.Amount.Sub(c.Added.Priced.Net.Amount)
			shown = OrderCharge{
				Kind: string(c.Added.Kind), Amount: MoneyOf(c.Added.Priced.Gross), Tax: new(MoneyOf(tax)),
				ChargeID: string(c.Added.ChargeID), CreditID: string(c.Added.CreditID),
			}
		case s.Quote != nil && i < len(s.Quote.Charges):
			as := s.Quote.Charges[i]
			shown = OrderCharge{Kind: as.Kind, Title: as.Title, Amount: MoneyOf(as.Gross)}
		default:
			continue
		}
		shown.Charge, shown.Left = c.Number, MoneyOf(unit.OfMinor(c.Account.Money(), s.Currency()))
		if !s.Accounts {
			shown.Left = shown.Amount
		}
		charges = append(charges, shown)
	}
	return charges
}

func orderLine(l order.Line) OrderLine {
	return OrderLine{
		Line: l.Number, SKU: string(l.SKU), Kind: string(l.Kind), Quantity: int64(l.Quantity),
		Price: MoneyOf(l.Price), Total: MoneyOf(l.Price.Times(l.Quantity)),
		Canceled: int64(l.Canceled), Shipped: int64(l.Shipped), Delivered: int64(l.Delivered), Open: int64(l.Open()),
		Undelivered: int64(l.Undelivered), Returning: int64(l.Returning), Returnable: int64(l.Returnable()),
	}
}

func orderReservation(h order.Holding) OrderReservation {
	return OrderReservation{
		ReservationID: string(h.ReservationID), SKU: string(h.SKU), Location: string(h.Location),
		Quantity: int64(h.Quantity), Remaining: int64(h.Remaining()),
	}
}

func payment(t order.Transaction) Payment {
	out := Payment{
		TransactionID: string(t.ID), Type: string(t.Type), State: string(t.State), Amount: MoneyOf(t.Amount),
		Parent: string(t.Parent), Provider: t.Provider, Reference: t.Reference, ReturnID: string(t.ReturnID),
		RefundID: string(t.RefundID), Purpose: string(t.Purpose),
	}
	if t.Unexplained != nil {
		out.Unexplained = new(MoneyOf(*t.Unexplained))
	}
	return out
}

func shipment(s order.Shipment) Shipment {
	return Shipment{
		ShipmentID: string(s.ID), Location: string(s.Location), Lines: listed(s.Lines, lineQuantity),
		Carrier: s.Carrier, Tracking: s.Tracking, Forced: s.Forced, Delivered: s.Delivered,
		State: string(s.Parcel()), Back: each(s.Back, backLine), BackTo: string(s.BackTo),
		Resent: each(s.Resent, lineQuantity), Credited: each(s.Credited, lineQuantity),
	}
}

func backLine(l order.BackLine) BackLine {
	return BackLine{Line: l.Line, SKU: string(l.SKU), Quantity: int64(l.Quantity), Disposition: string(l.Disposition)}
}

func lineQuantity(l order.LineQuantity) LineQuantity {
	return LineQuantity{Line: l.Line, Quantity: int64(l.Quantity)}
}

// ReceivedWebhook is the response to a message of a provider of payments.
type ReceivedWebhook struct {
	Received bool `json:"received" doc:"Always true. What the message reports is recorded."`
}
