package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/checkout"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/product"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// PricedCart is what a cart costs now.
type PricedCart struct {
	Quote pricing.Quote // zero if the cart is refused
	// Refused says why the cart has no price; nil: it has one.
	Refused *rule.Rejection
	// Reasons say what differs from what the lines of the cart show.
	Reasons    []checkout.Reason
	Considered []pricing.Considered
	Shipping   []pricing.Option
	Revision   int64 // of the cart that was priced
}

// noRules price carts of a service without Prices.
var noRules = pricing.Compile(pricing.Book{})

func (s *Service) rules() *pricing.Rules {
	if s.Prices == nil {
		return noRules
	}
	return s.Prices.Rules()
}

// PriceCart says what an open cart costs now, and which shipping methods it can have. It changes
// nothing.
func (s *Service) PriceCart(ctx context.Context, call Call, id unit.CartID) (PricedCart, error) {
	if err := s.admitCart(ctx, call, id, access.WriteCarts); err != nil {
		return PricedCart{}, err
	}
	state, revision, err := s.cartToPrice(ctx, id)
	switch {
	case err != nil:
		return PricedCart{}, err
	case state.Phase == cart.NotOpened:
		return PricedCart{}, cart.ErrNotFound
	}
	like, retired, err := s.likeCart(ctx, state, nil, state.Channel)
	if err != nil {
		return PricedCart{}, err
	}
	rules, at := s.rules(), s.now()
	priced := PricedCart{Revision: revision, Reasons: retired}
	quote, considered, err := rules.Explain(like, at)
	if err == nil {
		priced.Quote = quote
		priced.Reasons = append(priced.Reasons, reasons(rules, like, at, state, quote)...)
		priced.Shipping, err = rules.Shipping(like, at)
	}
	priced.Considered = considered
	if refused, is := errors.AsType[*rule.Rejection](err); is {
		priced.Refused, err = refused, nil
	}
	return priced, err
}

// cartToPrice is a copy of what pricing needs of a cart.
func (s *Service) cartToPrice(ctx context.Context, id unit.CartID) (state cart.State, revision int64, err error) {
	err = s.ViewCart(ctx, id, func(now cart.State, at int64) {
		state, revision = copyOf(now), at
	})
	return state, revision, err
}

// copyOf is a copy of what pricing and holds need of a cart. It shares nothing that changes.
func copyOf(state cart.State) cart.State {
	return cart.State{
		Phase: state.Phase, CartID: state.CartID, CustomerID: state.CustomerID, Currency: state.Currency, Country: state.Country, Channel: state.Channel,
		Shipping: state.Shipping, Details: state.Details, OrderID: state.OrderID,
		Coupons: slices.Clone(state.Coupons), Lines: slices.Clone(state.Lines), Refused: slices.Clone(state.Refused),
		Discounts: slices.Clone(state.Discounts), TaxStatus: state.TaxStatus,
	}
}

// likeCart is a cart as package pricing wants it, and the lines that the catalogue does not sell
// any more. Details, if they are set, are used in place of those of the cart.
func (s *Service) likeCart(ctx context.Context, state cart.State, details *contact.Details, channel string) (pricing.Cart, []checkout.Reason, error) {
	like := pricing.Cart{
		Currency: state.Currency, Channel: channel, Customer: state.CustomerID, Codes: state.Coupons, Method: state.Shipping,
		ShipTo: shipTo(cmp.Or(details, state.Details), state.Country), Lines: make([]pricing.Item, len(state.Lines)), Manual: state.Discounts,
	}
	if state.TaxStatus != nil {
		like.Status = *state.TaxStatus
	}
	if err := s.ofAccount(ctx, &like); err != nil {
		return like, nil, err
	}
	var err error
	if like.FirstOrder, err = s.firstOrder(ctx, buyer(state, details)); err != nil {
		return like, nil, err
	}
	var retired []checkout.Reason
	for i, l := range state.Lines {
		item, refusal, err := s.item(ctx, l.Number, PreviewLine{SKU: l.SKU, Quantity: l.Quantity}, state.Currency)
		if err != nil {
			return like, nil, err
		}
		switch {
		case l.Overridden: // a trusted caller may sell what the catalogue does not have
			item = pricing.Item{
				Number: l.Number, SKU: l.SKU, Quantity: l.Quantity, Override: &pricing.Override{Price: l.Price}, Catalogue: item.Catalogue,
				TaxClass: item.TaxClass, Categories: item.Categories, Weight: item.Weight, GiftCard: item.GiftCard,
			}
			if refusal != nil && !errors.Is(refusal, product.ErrNotFound) {
				retired = append(retired, gone(l))
			}
		case refusal != nil:
			retired = append(retired, gone(l))
		}
		item.Kind = l.Kind
		like.Lines[i] = item
	}
	return like, retired, nil
}

// ofAccount completes a cart from the account of its customer: the groups, and the tax status if
// the cart says none.
func (s *Service) ofAccount(ctx context.Context, like *pricing.Cart) error {
	if like.Customer == "" {
		return nil
	}
	return s.customers.ViewAged(ctx, customer.Stream(like.Customer), blockAge, func(account customer.State, _ int64) {
		for _, group := range account.Groups {
			if !slices.Contains(like.Groups, string(group)) {
				like.Groups = append(like.Groups, string(group))
			}
		}
		if account.TaxStatus != nil && !like.Status.Given() {
			like.Status = *account.TaxStatus
		}
	})
}

// PastOrders tells who has ordered before.
type PastOrders interface {
	// Any tells whether a customer, or a guest with an e-mail address, has an order that was
	// neither canceled nor expired. It may lack orders of the last moments.
	Any(ctx context.Context, customer unit.CustomerID, email string) (bool, error)
}

// buyer is who buys a cart. Details, if they are set, are used in place of those of the cart.
func buyer(state cart.State, details *contact.Details) buyerOf {
	of := buyerOf{customer: state.CustomerID}
	if details := cmp.Or(details, state.Details); details != nil {
		of.email = details.Email
	}
	return of
}

// firstOrder tells whether a buyer is known and has no order yet. If no promotion asks for that, it
// is false, and nothing is looked up. The hold of such a promotion decides in the end: two first
// orders at once cannot both have one.
func (s *Service) firstOrder(ctx context.Context, of buyerOf) (bool, error) {
	keys := s.keys(of)
	if len(keys) == 0 || !s.rules().AsksFirstOrder() {
		return false, nil
	}
	for _, key := range keys {
		used := false
		err := s.customerUses.View(ctx, promotion.CustomerStream(promotion.FirstOrder(key)), func(state promotion.State, _ int64) { used = state.Uses() > 0 })
		if err != nil || used {
			return false, err
		}
	}
	if s.PastOrders == nil {
		return true, nil
	}
	ordered, err := s.PastOrders.Any(ctx, of.customer, of.email)
	return !ordered, err
}

func gone(l cart.Line) checkout.Reason {
	return checkout.Reason{Code: checkout.ProductRetired, Line: l.Number, SKU: l.SKU, Was: new(l.Total().Charge())}
}

// shipTo is the place that decides about taxes and shipping: the address for parcels, else that for
// bills, else the country of the cart, if it is the code of one.
func shipTo(details *contact.Details, country string) pricing.Zone {
	if details != nil {
		if a := cmp.Or(details.Shipping, details.Billing); a != nil {
			return pricing.Zone{Country: string(a.Country), Region: a.Region, Postcode: a.Postcode}
		}
	}
	if code, err := unit.ParseCountry(country); err == nil {
		return pricing.Zone{Country: string(code)}
	}
	return pricing.Zone{}
}

// Expectation is what the caller of a checkout believes that the cart costs. If it is empty, the
// caller believes what the lines of the cart show.
type Expectation struct {
	// Quote is the hash of the quote that the caller has seen.
	Quote string
	Total *unit.Money
	// AcceptLower takes a quote that is lower than expected.
	AcceptLower bool
	// Unpriced takes the lines as they are: their prices come from the source, and only their sum
	// is rounded. Imports do so, and carts with lines below zero, which have no quote.
	Unpriced bool
}

// price gives the command that begins a checkout the quote of the cart. It refuses the checkout if
// the cart does not cost what the caller believes (checkout.ErrPriceChanged). A cart that is not
// open has been priced before.
func (s *Service) price(ctx context.Context, call Call, ask CheckoutRequest, start *cart.StartCheckout, state cart.State) error {
	start.Quote, start.RoundedLines = nil, false
	if state.Phase != cart.PhaseOpen || len(state.Lines) == 0 {
		return nil
	}
	if (ask.Expect.Unpriced || belowZero(state)) && len(state.Discounts) == 0 {
		return nil
	}
	details := ask.Details
	if details == nil && start.Defaults != nil {
		all := *start.Defaults
		if state.Details != nil {
			all = state.Details.Or(all)
		}
		details = &all
	}
	like, changed, err := s.likeCart(ctx, state, details, cmp.Or(state.Channel, call.Meta.Channel))
	if err != nil {
		return err
	}
	rules, at := s.rules(), s.now()
	quote, err := rules.Price(like, at)
	switch {
	case errors.Is(err, pricing.ErrPriceMissing):
		for _, l := range state.Lines {
			if !l.Overridden && !slices.ContainsFunc(changed, func(r checkout.Reason) bool { return r.Line == l.Number }) {
				one := like
				one.Lines, one.Method = slices.DeleteFunc(slices.Clone(like.Lines), func(i pricing.Item) bool { return i.Number != l.Number }), ""
				if _, missing := rules.Price(one, at); errors.Is(missing, pricing.ErrPriceMissing) {
					changed = append(changed, checkout.Reason{Code: checkout.PriceMissing, Line: l.Number, SKU: l.SKU, Was: new(l.Total().Charge())})
				}
			}
		}
		return checkout.PriceChanged(nil, changed)
	case errors.Is(err, pricing.ErrAmount) && len(changed) == 0 && rules.Plain() && len(state.Discounts) == 0:
		return nil // beyond what can be priced: as before there were quotes, the sum is rounded
	case err != nil && len(changed) == 0:
		return err
	case len(changed) > 0:
		return checkout.PriceChanged(nil, changed)
	}
	unseen := ask.Expect.Quote == "" && ask.Expect.Total == nil && len(quote.Coupons) < len(state.Coupons)
	if unseen || !ask.Expect.meets(state, quote) {
		return checkout.PriceChanged(&quote, reasons(rules, like, at, state, quote))
	}
	start.Quote = &quote
	return nil
}

func belowZero(state cart.State) bool {
	return slices.ContainsFunc(state.Lines, func(l cart.Line) bool { return l.Price.Sign() < 0 })
}

// meets tells whether a quote is what the caller expects.
func (e Expectation) meets(state cart.State, quote pricing.Quote) bool {
	if e.Quote != "" && e.Quote == quote.Hash {
		return true
	}
	expected := shown(state)
	switch {
	case e.Total != nil:
		expected = *e.Total
	case e.Quote != "":
		return false
	}
	if expected.Currency != quote.Currency {
		return false
	}
	order := quote.Total.Compare(expected)
	return order == 0 || order < 0 && e.AcceptLower
}

// shown is what the lines of a cart show: their prices times their units, each rounded.
func shown(state cart.State) unit.Money {
	total := unit.Zero(state.Currency)
	for _, l := range state.Lines {
		total = total.Plus(l.Total().Charge())
	}
	return total
}

// reasons say in what a quote differs from the lines of the cart: lines that cost something else,
// codes that take nothing off, shipping, and tax that is added.
func reasons(rules *pricing.Rules, like pricing.Cart, at time.Time, state cart.State, quote pricing.Quote) []checkout.Reason {
	var found []checkout.Reason
	for i, l := range state.Lines {
		if i >= len(quote.Lines) {
			break
		}
		if was, is := l.Total().Charge(), quote.Lines[i].Gross; !was.Equal(is) {
			code := checkout.LinePriceChanged
			if was.Equal(quote.Lines[i].Amount) {
				code = checkout.TaxChanged
			}
			found = append(found, checkout.Reason{Code: code, Line: l.Number, SKU: l.SKU, Was: &was, Is: &is})
		}
	}
	for _, c := range quote.Charges {
		if c.Gross.Sign() > 0 {
			found = append(found, checkout.Reason{Code: checkout.ShippingChanged, Method: c.Method, Is: new(c.Gross)})
		}
	}
	for _, code := range like.Codes {
		if slices.Contains(quote.Coupons, code) {
			continue
		}
		reason := checkout.Reason{Code: checkout.CouponInvalid, Coupon: code, Why: rules.CodeFault(like, at, code)}
		if reason.Why == "not-now" || reason.Why == "inactive" {
			reason.Code = checkout.PromotionEnded
		}
		found = append(found, reason)
	}
	return found
}
