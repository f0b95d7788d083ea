package verify

import (
	"context"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/order"
	"daybook/projections"
)

// This file books what the events of orders change in the reports about money, and compares the
// tables with it.

// The kinds of rows of report_items.
const (
	kindPlaced     = "placed"
	kindCanceled   = "canceled"
	kindReturned   = "returned"
	kindReduced    = "reduced"
	kindAdded      = "added"
	kindWrittenOff = "written_off"
	kindGain       = "kept_as_gain"
	kindBeyond     = "beyond_owed"
)

type reportParty struct{ entity, channel, country, groups, currency string }

type reportItem struct {
	day, kind, sku, charge string
	reportParty
}

func (k reportItem) String() string {
	return strings.Join([]string{k.day, k.kind, k.sku + k.charge, k.entity, k.channel, k.country, k.groups, k.currency}, "/")
}

type itemSum struct {
	units                    int64
	list, discount, net, tax decimal.Decimal
}

type reportPromotion struct {
	reportItem
	promotion, code string
}

func (k reportPromotion) String() string {
	return k.promotion + "/" + k.code + "/" + k.reportItem.String()
}

type reportTax struct{ day, kind, entity, country, component, place, rate, treatment, currency string }

func (k reportTax) String() string {
	return strings.Join([]string{k.day, k.kind, k.entity, k.country, k.component, k.place, k.rate, k.treatment, k.currency}, "/")
}

type taxSum struct{ base, tax decimal.Decimal }

type reportPayment struct{ day, entity, channel, provider, tender, kind, purpose, currency string }

func (k reportPayment) String() string {
	return strings.Join([]string{k.day, k.entity, k.channel, k.provider, k.tender, k.kind, k.purpose, k.currency}, "/")
}

type reportStored struct{ day, kind, currency string }

func (k reportStored) String() string { return strings.Join([]string{k.day, k.kind, k.currency}, "/") }

type paymentSum struct {
	transactions int64
	amount       decimal.Decimal
}

// reports are the sums of the reports about money.
type reports struct {
	items      map[reportItem]*itemSum
	promotions map[reportPromotion]*decimal.Decimal
	taxes      map[reportTax]*taxSum
	payments   map[reportPayment]*paymentSum
	stored     map[reportStored]*paymentSum // of gift cards
}

func newReports() *reports {
	return &reports{map[reportItem]*itemSum{}, map[reportPromotion]*decimal.Decimal{}, map[reportTax]*taxSum{}, map[reportPayment]*paymentSum{}, map[reportStored]*paymentSum{}}
}

// book adds the change from before to now. A sum that an event does not change gets no row.
func (r *reports) book(day, kind string, of reportParty, now, before *reports) {
	changed := newReports()
	changed.add(day, kind, of, now, 1)
	if before != nil {
		changed.add(day, kind, of, before, -1)
	}
	for k, v := range changed.items {
		if v.units != 0 || v.list.Sign() != 0 || v.discount.Sign() != 0 || v.net.Sign() != 0 || v.tax.Sign() != 0 {
			sum := at(r.items, k)
			sum.units += v.units
			sum.list, sum.discount, sum.net, sum.tax = sum.list.Add(v.list), sum.discount.Add(v.discount), sum.net.Add(v.net), sum.tax.Add(v.tax)
		}
	}
	for k, v := range changed.promotions {
		if v.Sign() != 0 {
			sum := at(r.promotions, k)
			*sum = sum.Add(*v)
		}
	}
	for k, v := range changed.taxes {
		if v.base.Sign() != 0 || v.tax.Sign() != 0 {
			sum := at(r.taxes, k)
			sum.base, sum.tax = sum.base.Add(v.base), sum.tax.Add(v.tax)
		}
	}
	for k, v := range changed.payments {
		if v.transactions != 0 || v.amount.Sign() != 0 {
			sum := at(r.payments, k)
			sum.transactions += v.transactions
			sum.amount = sum.amount.Add(v.amount)
		}
	}
}

// add adds what an order's money amounts to, or takes it off with sign -1.
func (r *reports) add(day, kind string, of reportParty, now *reports, sign int64) {
	factor := decimal.NewFromInt(sign)
	for k, v := range now.items {
		k.day, k.reportParty = day, of
		if k.kind == "" {
			k.kind = kind
		}
		sum := at(r.items, k)
		sum.units += sign * v.units
		sum.list, sum.discount = sum.list.Add(v.list.Mul(factor)), sum.discount.Add(v.discount.Mul(factor))
		sum.net, sum.tax = sum.net.Add(v.net.Mul(factor)), sum.tax.Add(v.tax.Mul(factor))
	}
	for k, v := range now.promotions {
		k.day, k.kind, k.reportParty = day, kind, of
		sum := at(r.promotions, k)
		*sum = sum.Add(v.Mul(factor))
	}
	for k, v := range now.taxes {
		k.day, k.kind, k.entity, k.country, k.currency = day, kind, of.entity, of.country, of.currency
		sum := at(r.taxes, k)
		sum.base, sum.tax = sum.base.Add(v.base.Mul(factor)), sum.tax.Add(v.tax.Mul(factor))
	}
	for k, v := range now.payments {
		k.day, k.entity, k.channel, k.currency = day, of.entity, of.channel, of.currency
		sum := at(r.payments, k)
		sum.transactions += sign * v.transactions
		sum.amount = sum.amount.Add(v.amount.Mul(factor))
	}
}

// moneyKind is the kind under which an event changes the items of an order; empty if it changes no
// money.
func moneyKind(value order.Event) string {
	switch value := value.(type) { //nolint:gochecksumtype // only these change the money
	case order.Placed:
		return kindPlaced
	case order.LinesCanceled, order.Canceled, order.Expired:
		return kindCanceled
	case order.Credited:
		switch value.Cause {
		case order.CreditForReduction, order.CreditForCharge:
			return kindReduced
		case order.CreditForParcel:
			return kindCanceled
		case order.CreditForReturn:
		}
		return kindReturned
	case order.ChargeAdded:
		return kindAdded
	case order.ReturnReleased, order.TransactionRecorded, order.TransactionSettled, order.RefundClaimed, order.RefundSettled,
		order.RefundExplained, order.DifferenceWrittenOff:
		return kindReturned
	}
	return ""
}

// foldMoney folds the money of an order by an event, and books what changes. before is what
// moneyBefore returned before the order was folded.
func (b *Book) foldMoney(e *event, o *Order, value order.Event, before *reports) {
	fault := o.pot.book(value)
	if placed, is := value.(order.Placed); is {
		b.money.Examined++
		fault = o.pot.goods.checkPlaced(placed)
	}
	kind := moneyKind(value)
	if kind != "" {
		fault = firstOf(fault, o.pot.goods.compare(o.State))
	}
	if fault != "" && !o.moneyDiffers {
		o.moneyDiffers = true // the terms that follow from it are not reported
		b.money.differ("order %s, %s at revision %d: %s", o.OrderID, lastWord(e.Type), e.Revision, fault)
	}
	if kind == "" {
		return
	}
	of, day := o.reportParty(), e.at.In(b.Sales.shop.Location).Format(time.DateOnly)
	b.reports.book(day, kind, of, o.pot.goods.position(o.State), before)
}

// moneyBefore is what an order's money amounts to before an event; nil: nothing, or the event
// changes no money.
func (o *Order) moneyBefore(value order.Event) *reports {
	if _, placed := value.(order.Placed); placed || moneyKind(value) == "" {
		return nil
	}
	return o.pot.goods.position(o.State)
}

func (o *Order) reportParty() reportParty {
	p := reportParty{channel: projections.Key(o.channel), country: projections.Key(o.Country), currency: string(o.Currency())}
	if q := o.pot.goods.quote; q != nil {
		p.entity, p.groups = projections.Key(q.entity), projections.Key(q.groups)
		if q.country != "" {
			p.country = projections.Key(q.country)
		}
	}
	return p
}

// position is what the money of an order amounts to, in the form of the reports.
func (m *orderAmounts) position(s order.State) *reports {
	r := newReports()
	sum := decimal.Zero
	for _, e := range m.earnings {
		item := at(r.items, reportItem{sku: e.sku, charge: projections.Key(e.charge)})
		if !m.pots {
			item.units += e.units - e.canceled - e.credited
			item.list, item.net = item.list.Add(e.exact), item.net.Add(e.exact)
			sum = sum.Add(e.exact)
			continue
		}
		left := e.left()
		item.units += left.units
		item.list = item.list.Add(m.still(e.list, left.units, e.units))
		item.net = item.net.Add(m.amount(left.money - left.taxSum()))
		item.tax = item.tax.Add(m.amount(left.taxSum()))
		sum = sum.Add(m.amount(left.money))
		if e.quoted == nil {
			continue
		}
		for _, a := range e.quoted.adjustments {
			off := m.still(a.amount, left.units, e.units)
			item.discount = item.discount.Add(off)
			of := at(r.promotions, reportPromotion{reportItem{sku: e.sku, charge: projections.Key(e.charge)}, projections.Key(a.promotion), projections.Key(a.code)})
			*of = of.Add(off)
		}
		bases := m.bases(left.money-left.taxSum(), e.quoted.taxes)
		for i, t := range e.quoted.taxes {
			of := at(r.taxes, reportTax{component: projections.Key(t.component), place: projections.Key(t.place), rate: t.rate, treatment: t.treatment})
			of.base, of.tax = of.base.Add(bases[t.class]), of.tax.Add(m.amount(left.taxAt(i)))
		}
	}
	if !m.pots { // the sum of the lines is rounded, and they may not be
		if rest := m.round(m.total).Sub(m.credited).Sub(sum); !rest.IsZero() {
			at(r.items, reportItem{charge: "unassigned"}).net = rest
			sum = sum.Add(rest)
		}
	}
	for kind, amount := range map[string]decimal.Decimal{
		kindWrittenOff: m.writtenOff.Neg(), kindGain: m.gain, kindBeyond: m.owed().Sub(sum).Add(m.writtenOff).Sub(m.gain),
	} {
		at(r.items, reportItem{kind: kind, charge: "difference"}).net = amount
	}
	for _, t := range moving(s) {
		k := reportPayment{provider: projections.Key(t.Provider), tender: string(t.Tender), kind: string(t.Type)}
		if t.Type == order.Refund {
			k.purpose = "settlement"
			if t.Purpose == order.Compensation {
				k.purpose = "compensation"
			}
		}
		of := at(r.payments, k)
		of.transactions++
		of.amount = of.amount.Add(t.Amount.Amount)
	}
	if m.given.Sign() != 0 {
		*at(r.payments, reportPayment{kind: "lost"}) = paymentSum{1, m.given}
	}
	return r
}

// still is the part of an amount that belongs to the units that are left.
func (m *orderAmounts) still(amount decimal.Decimal, left, of int64) decimal.Decimal {
	if left == of || of <= 0 || amount.Sign() < 0 || amount.Shift(m.currency.Digits()).Abs().GreaterThan(largest) {
		return amount
	}
	return amount.Sub(m.amount(portion(m.minor(amount), of-left, of)))
}

// bases splits what is left of a net amount over the tax classes of a line or charge, by what was
// taxed when the order was placed.
func (m *orderAmounts) bases(net int64, taxes []taxEntry) map[string]decimal.Decimal {
	var pots []*pool
	var classes []string
	var all int64
	seen := map[string]bool{}
	for _, t := range taxes {
		if !seen[t.class] {
			seen[t.class] = true
			classes, pots = append(classes, t.class), append(pots, &pool{left: share{money: m.minor(t.base)}})
			all += m.minor(t.base)
		}
	}
	bases := map[string]decimal.Decimal{}
	if len(classes) == 1 || len(classes) > 0 && (net < 0 || all == 0) {
		bases[classes[0]] = m.amount(net)
		return bases
	}
	for i, part := range split(net, pots, all) {
		bases[classes[i]] = m.amount(part)
	}
	return bases
}

// compareReports compares the tables of the reports.
func compareReports(ctx context.Context, b *Book, from build) ([]*Check, error) {
	items, err := compareTable(ctx, from, "report_items", b.reports.items, &reportItemRow{})
	if err != nil {
		return nil, err
	}
	promotions, err := compareTable(ctx, from, "report_promotions", b.reports.promotions, &reportPromotionRow{})
	if err != nil {
		return nil, err
	}
	taxes, err := compareTable(ctx, from, "report_taxes", b.reports.taxes, &reportTaxRow{})
	if err != nil {
		return nil, err
	}
	payments, err := compareTable(ctx, from, "report_payments", b.reports.payments, &reportPaymentRow{})
	if err != nil {
		return nil, err
	}
	stored, err := compareTable(ctx, from, "report_stored_value", b.reports.stored, &reportStoredRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{items, promotions, taxes, payments, stored}, nil
}

type reportItemRow struct {
	item reportItem
	itemSum
}

func (r *reportItemRow) columns() []column[*itemSum] {
	return append(itemColumns[*itemSum](&r.item),
		equals("units", &r.units, func(s *itemSum) int64 { return s.units }),
		equals("list", &r.list, func(s *itemSum) decimal.Decimal { return s.list }),
		equals("discount", &r.discount, func(s *itemSum) decimal.Decimal { return s.discount }),
		equals("net", &r.net, func(s *itemSum) decimal.Decimal { return s.net }),
		equals("tax", &r.tax, func(s *itemSum) decimal.Decimal { return s.tax }),
	)
}

func (r *reportItemRow) key() reportItem { return r.item }

// itemColumns are the columns of the key of an item.
func itemColumns[V any](k *reportItem) []column[V] {
	return []column[V]{
		keyColumn[V]("day", &k.day).asText(), keyColumn[V]("kind", &k.kind), keyColumn[V]("sku", &k.sku), keyColumn[V]("charge", &k.charge),
		keyColumn[V]("entity", &k.entity), keyColumn[V]("channel", &k.channel), keyColumn[V]("country", &k.country),
		keyColumn[V]("customer_groups", &k.groups), keyColumn[V]("currency", &k.currency),
	}
}

type reportPromotionRow struct {
	promotion reportPromotion
	discount  decimal.Decimal
}

func (r *reportPromotionRow) columns() []column[*decimal.Decimal] {
	return append(itemColumns[*decimal.Decimal](&r.promotion.reportItem),
		keyColumn[*decimal.Decimal]("promotion", &r.promotion.promotion), keyColumn[*decimal.Decimal]("code", &r.promotion.code),
		equals("discount", &r.discount, func(d *decimal.Decimal) decimal.Decimal { return *d }),
	)
}

func (r *reportPromotionRow) key() reportPromotion { return r.promotion }

type reportTaxRow struct {
	tax reportTax
	sum taxSum
}

func (r *reportTaxRow) columns() []column[*taxSum] {
	k := &r.tax
	return []column[*taxSum]{
		keyColumn[*taxSum]("day", &k.day).asText(), keyColumn[*taxSum]("kind", &k.kind), keyColumn[*taxSum]("entity", &k.entity),
		keyColumn[*taxSum]("country", &k.country), keyColumn[*taxSum]("component", &k.component), keyColumn[*taxSum]("place", &k.place),
		keyColumn[*taxSum]("rate", &k.rate), keyColumn[*taxSum]("treatment", &k.treatment), keyColumn[*taxSum]("currency", &k.currency),
		equals("base", &r.sum.base, func(s *taxSum) decimal.Decimal { return s.base }),
		equals("tax", &r.sum.tax, func(s *taxSum) decimal.Decimal { return s.tax }),
	}
}

func (r *reportTaxRow) key() reportTax { return r.tax }

type reportPaymentRow struct {
	payment reportPayment
	sum     paymentSum
}

func (r *reportPaymentRow) columns() []column[*paymentSum] {
	k := &r.payment
	return []column[*paymentSum]{
		keyColumn[*paymentSum]("day", &k.day).asText(), keyColumn[*paymentSum]("entity", &k.entity), keyColumn[*paymentSum]("channel", &k.channel),
		keyColumn[*paymentSum]("provider", &k.provider), keyColumn[*paymentSum]("tender", &k.tender), keyColumn[*paymentSum]("type", &k.kind),
		keyColumn[*paymentSum]("purpose", &k.purpose), keyColumn[*paymentSum]("currency", &k.currency),
		equals("transactions", &r.sum.transactions, func(s *paymentSum) int64 { return s.transactions }),
		equals("amount", &r.sum.amount, func(s *paymentSum) decimal.Decimal { return s.amount }),
	}
}

func (r *reportPaymentRow) key() reportPayment { return r.payment }

type reportStoredRow struct {
	stored reportStored
	sum    paymentSum
}

func (r *reportStoredRow) columns() []column[*paymentSum] {
	return []column[*paymentSum]{
		keyColumn[*paymentSum]("day", &r.stored.day).asText(), keyColumn[*paymentSum]("kind", &r.stored.kind), keyColumn[*paymentSum]("currency", &r.stored.currency),
		equals("events", &r.sum.transactions, func(s *paymentSum) int64 { return s.transactions }),
		equals("amount", &r.sum.amount, func(s *paymentSum) decimal.Decimal { return s.amount }),
	}
}

func (r *reportStoredRow) key() reportStored { return r.stored }
