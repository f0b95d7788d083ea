package pricing

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"daybook/domain/money/shares"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// pricing is one cart on its way to a quote. Amounts are minor units of the cart's currency.
type pricing struct {
	rules  *Rules
	cart   *Cart
	at     time.Time
	hour   int // of at, 0 to 23
	day    int // of at, 1 Monday to 7 Sunday
	mode   Mode
	entity *entity // nil: no tax
	place  Zone    // of the tax
	// untaxed is the treatment of a buyer who owes no tax, or "", and statusUsed says why.
	untaxed    Treatment
	statusUsed string
	lines      []priced
	charge     *priced
	method     *ShippingMethod
	// ended has the classes after an exclusive promotion; all classes are in it after one that
	// excludes everything. The value is the promotion.
	ended map[Class]string
	// afterItems and afterOrder are the sums of the goods when their class was done.
	afterItems, afterOrder *int64
	trace                  *[]Considered // nil: nobody asks
}

// priced is a line or charge on its way.
type priced struct {
	item    *Item // nil: a charge
	out     PricedLine
	list    int64
	amount  int64
	taken   []taken
	entries []TaxEntry
	tax     int64
	homeTax int64 // taken out of the price of an untaxed buyer
}

// taken is what a promotion or a person took off a line or charge.
type taken struct {
	by        source
	base, off int64 // base is what by saw
}

// eligible tells whether promotions may see the line at all.
func (p *priced) eligible() bool { return p.item == nil || !p.item.GiftCard }

// Price says what a cart costs at a time. The refusals are those of this package.
func (r *Rules) Price(cart Cart, at time.Time) (Quote, error) { return r.price(cart, at, nil) }

// Explain is Price, and it tells of each definition why it applied or why it did not, also if the
// cart is refused.
func (r *Rules) Explain(cart Cart, at time.Time) (Quote, []Considered, error) {
	considered := []Considered{}
	quote, err := r.price(cart, at, &considered)
	return quote, considered, err
}

func (r *Rules) price(cart Cart, at time.Time, trace *[]Considered) (Quote, error) {
	p, err := r.goods(&cart, at, trace)
	if err != nil {
		return Quote{}, err
	}
	if err := p.ship(); err != nil {
		return Quote{}, err
	}
	p.unusedCodes()
	if err := p.taxes(); err != nil {
		return Quote{}, err
	}
	return p.quote()
}

// goods prices the lines without shipping and taxes.
func (r *Rules) goods(cart *Cart, at time.Time, trace *[]Considered) (*pricing, error) {
	p := &pricing{rules: r, cart: cart, at: at, mode: Inclusive, entity: r.entityOf(cart.Channel), place: cart.ShipTo, trace: trace}
	p.hour, p.day = at.UTC().Hour(), (int(at.UTC().Weekday())+6)%7+1
	if p.entity != nil {
		p.mode = cmp.Or(p.entity.Mode, Inclusive)
		if p.place.Country == "" {
			p.place = p.entity.Home
		}
	}
	if err := p.size(); err != nil {
		return nil, err
	}
	if err := p.listPrices(); err != nil {
		return nil, err
	}
	p.promote(ItemClass)
	if err := p.manual(true); err != nil {
		return nil, err
	}
	items := p.sum()
	p.afterItems = &items
	p.promote(OrderClass)
	if err := p.manual(false); err != nil {
		return nil, err
	}
	order := p.sum()
	p.afterOrder = &order
	return p, nil
}

// MaxSteps bounds what a quote may cost: its lines times the price lists and promotions that may
// apply. So many steps take some tenths of a second.
const MaxSteps = 1_000_000

// size refuses a cart that would take too long. Promotions of coupons count only with their codes.
func (p *pricing) size() error {
	rules := len(p.cart.Codes)
	for i := range p.rules.lists {
		if p.rules.lists[i].Active {
			rules++
		}
	}
	for _, promotions := range p.rules.promotions {
		for _, promo := range promotions {
			if promo.Active && promo.Kind == Automatic {
				rules++
			}
		}
	}
	if steps := len(p.cart.Lines) * rules; steps > MaxSteps {
		return ErrSize.With("The cart has "+strconv.Itoa(len(p.cart.Lines))+" lines, and "+strconv.Itoa(rules)+" price lists and promotions may apply; lines times these may be "+strconv.Itoa(MaxSteps)+".",
			map[string]any{"lines": len(p.cart.Lines), "rules": rules, "limit": MaxSteps})
	}
	return nil
}

func (p *pricing) consider(what, id string, line int, applied bool, reason string) {
	if p.trace != nil {
		*p.trace = append(*p.trace, Considered{What: what, ID: id, Line: line, Applied: applied, Reason: reason})
	}
}

// sum is the amount of the goods now. Gift cards are no goods.
func (p *pricing) sum() int64 { return p.left((*priced).eligible) }

func (p *pricing) money(minor int64) unit.Money { return unit.OfMinor(minor, p.cart.Currency) }

// minor reads an amount of a person or a definition.
func (p *pricing) minor(m unit.Money, what string, facts map[string]any) (int64, error) {
	if m.Currency != p.cart.Currency || m.Sign() < 0 {
		return 0, ErrAmount.With(what+" is "+m.String()+"; want an amount of "+string(p.cart.Currency)+", 0 or more.", facts)
	}
	if m.TooFine() {
		return 0, ErrTooFine.With(what+" is "+m.String()+", which is finer than its currency.", nil)
	}
	minor, ok := m.Minor()
	if !ok {
		return 0, ErrAmount.With(what+" is "+m.String()+", which is too much.", facts)
	}
	return minor, nil
}

// left is what is left of some lines.
func (p *pricing) left(on func(*priced) bool) int64 {
	var sum int64
	for i := range p.lines {
		if on(&p.lines[i]) {
			sum += p.lines[i].amount
		}
	}
	return sum
}

// spread takes an amount off some lines, in proportion to what is left of each. It takes at most
// what is there, and returns what it took.
func (p *pricing) spread(on func(*priced) bool, off int64, by source) int64 {
	sum := p.left(on)
	off = min(off, sum)
	if off == 0 {
		return 0
	}
	weights := make([]int64, len(p.lines))
	for i := range p.lines {
		if l := &p.lines[i]; on(l) {
			weights[i] = l.amount
		}
	}
	for i, share := range shares.Allocate(off, weights) {
		p.takeOff(&p.lines[i], share, sum, by)
	}
	return off
}

// takeOff takes an amount off one line or charge. base is what the source saw.
func (p *pricing) takeOff(l *priced, off, base int64, by source) {
	if off <= 0 {
		return
	}
	l.amount -= off
	l.taken = append(l.taken, taken{by, base, off})
}

func lineFacts(l *Item) map[string]any { return map[string]any{"line": l.Number, "sku": l.SKU} }

func (p *pricing) refuse(no *rule.Rejection, l *Item, why string) error {
	return no.With("Line "+strconv.Itoa(l.Number)+", "+string(l.SKU)+": "+why, lineFacts(l))
}

// quote writes down the result.
func (p *pricing) quote() (Quote, error) {
	q := Quote{
		PricedAt: p.at.UTC(), Currency: p.cart.Currency, Mode: p.mode, Channel: p.cart.Channel,
		// The postcode stays with the address of the order, because it may tell who the buyer is.
		ShipTo: Zone{Country: p.cart.ShipTo.Country, Region: p.cart.ShipTo.Region},
		Groups: slices.Sorted(slices.Values(p.cart.Groups)),
		Lines:  make([]PricedLine, len(p.lines)),
	}
	if e := p.entity; e != nil {
		q.Entity, q.EntityVersion = e.ID, e.Version
		q.Rounding, q.Untaxed = cmp.Or(e.Rounding, RoundByOrder), cmp.Or(e.Untaxed, PaysNet)
	}
	if status := p.cart.Status; status.Given() && status.Kind != Consumer {
		q.Status, q.StatusUsed = &status, p.statusUsed
	}
	q.Legal = legalWords(p.untaxed)
	var net, total int64
	for i := range p.lines {
		l := &p.lines[i]
		l.out.Priced = p.write(l)
		q.Lines[i] = l.out
		net, total = net+p.netOf(l), total+p.grossOf(l)
	}
	if c := p.charge; c != nil {
		q.Charges = []Charge{{
			Number: 1, Kind: "shipping", Method: p.method.ID, MethodVersion: p.method.Version, Title: p.method.Title,
			TaxClass: p.method.TaxClass, Priced: p.write(c),
		}}
		net, total = net+p.netOf(c), total+p.grossOf(c)
	}
	if total > unit.MaxMinor {
		return Quote{}, ErrAmount.With("The cart costs "+p.money(total).String()+", which is too much.", nil)
	}
	q.Taxes = totals(q)
	q.Net, q.Total = p.money(net), p.money(total)
	q.Coupons = couponsOf(q)
	q.Hash = q.hash()
	return q, nil
}

func (p *pricing) netOf(l *priced) int64 {
	if p.mode == Inclusive {
		return l.amount - l.tax - l.homeTax
	}
	return l.amount
}

func (p *pricing) grossOf(l *priced) int64 { return p.netOf(l) + l.tax }

func (p *pricing) write(l *priced) Priced {
	var adjustments []Adjustment
	if len(l.taken) > 0 {
		adjustments = make([]Adjustment, len(l.taken))
	}
	for i, t := range l.taken {
		adjustments[i] = t.by.adjustment()
		adjustments[i].Base, adjustments[i].Amount = p.money(t.base), p.money(t.off)
	}
	return Priced{
		List: p.money(l.list), Adjustments: adjustments, Amount: p.money(l.amount), Tax: l.entries,
		Net: p.money(p.netOf(l)), Gross: p.money(p.grossOf(l)),
	}
}

// couponsOf are the codes that took something off, in their order.
func couponsOf(q Quote) []string {
	var codes []string
	note := func(p Priced) {
		for _, a := range p.Adjustments {
			if a.Code != "" && !slices.Contains(codes, a.Code) {
				codes = append(codes, a.Code)
			}
		}
	}
	for _, l := range q.Lines {
		note(l.Priced)
	}
	for _, c := range q.Charges {
		note(c.Priced)
	}
	slices.Sort(codes)
	return codes
}
