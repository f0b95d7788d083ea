package shoppers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"daybook/internal/pause"
)

// Abroad is what a shop on a channel of its own has sold: in two currencies, to three countries
// with their taxes, with shipping by weight, a coupon that runs out, and a gift card.
type Abroad struct {
	Orders      int64          // placed
	CouponLimit int64          // how often the coupon can be used
	CouponUses  int64          // orders that got its discount
	Exhausted   int64          // checkouts that were refused because the coupon had run out
	CardIssued  Money          // what the gift card had
	CardPaid    Money          // what orders have paid with it
	CardLeft    Money          // what it has left
	Taxes       map[string]int // how many orders had each component of tax
	Currencies  map[string]int // how many orders were in each currency
}

const (
	abroadBuyers = 16 // at once
	couponUses   = 10
	cardAmount   = "50.00"
)

// abroad is the shop of one demo.
type abroad struct {
	*Client
	bank   *Client // the provider of payments
	name   string  // of the channel; it begins all ids
	mu     sync.Mutex
	result Abroad
}

// SellAbroad opens the shop, sells, and returns what was sold. name makes its ids differ from those
// of other demos. bank is the provider of payments that the shop has. It returns an error if an
// answer should not have been.
func SellAbroad(ctx context.Context, c, bank *Client, name string) (Abroad, error) {
	other := *c
	other.channel = "abroad-" + strings.ToLower(name)
	s := &abroad{Client: &other, bank: bank, name: other.channel, result: Abroad{CouponLimit: couponUses, Taxes: map[string]int{}, Currencies: map[string]int{}}}
	if err := s.open(ctx); err != nil {
		return Abroad{}, fmt.Errorf("open the shop abroad: %w", err)
	}
	for _, sell := range []func(context.Context) error{s.everywhere, s.coupon, s.giftCard, s.dispute} {
		if err := sell(ctx); err != nil {
			return Abroad{}, fmt.Errorf("sell abroad: %w", err)
		}
	}
	return s.result, nil
}

type object = map[string]any

// open defines taxes of three countries, shipping by weight, a coupon, and a product with prices in
// two currencies.
func (s *abroad) open(ctx context.Context) error {
	tax := func(country, rate string) object {
		return object{"place": object{"country": country}, "tax_class": "standard", "component": country + " VAT", "rate": rate}
	}
	rate := func(currency, light, heavy string) object {
		return object{"currency": currency, "basis": "by_weight", "steps": []object{{"price": light}, {"from_value": "2000", "price": heavy}}}
	}
	for _, define := range []struct {
		method, path, key string
		body              object
	}{
		{"PUT", path("legal-entities", s.name), "", object{
			"title": "Abroad B.V.", "home": object{"country": "NL"}, "price_mode": "incl", "channels": []string{s.name}, "default_class": "standard",
			"taxes": []object{tax("NL", "21"), tax("DE", "19"), tax("FR", "20")},
		}},
		{"PUT", path("shipping-methods", s.name), "", object{
			"title": "Parcel", "price_mode": "incl", "active": true, "channels": []string{s.name}, "rates": []object{rate("EUR", "4.95", "7.95"), rate("USD", "6.50", "9.50")},
		}},
		{"PUT", path("promotions", s.name), "", object{
			"title": "The first ten", "kind": "coupon", "class": "order", "active": true, "conditions": object{"channels": []string{s.name}},
			"action": object{"type": "percent_off", "percent": "20"}, "limits": object{"uses": couponUses},
		}},
		{"POST", path("promotions", s.name, "codes"), newKey(), object{"codes": []string{s.name}}},
		{"PUT", path("products", s.sku()), "", object{
			"title": "Lamp", "weight_grams": 1200, "prices": []Money{{"19.99", "EUR"}, {"21.50", "USD"}},
		}},
		{"POST", path("stock", s.sku(), location, "receipts"), newKey(), object{"quantity": 1000}},
	} {
		if _, err := s.ask(ctx, define.method, define.path, define.key, define.body, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *abroad) sku() string { return strings.ToUpper(s.name) }

// abroadOrder is what this shop looks at in an order.
type abroadOrder struct {
	OrderID      string `json:"order_id"`
	PaymentState string `json:"payment_state"`
	Owed         Money  `json:"owed"`
	Captured     Money  `json:"captured"`
	Quote        struct {
		Coupons []string `json:"coupons"`
		Taxes   []struct {
			Component string `json:"component"`
		} `json:"taxes"`
	} `json:"quote"`
}

// cart opens a cart of one or two lamps that are sent, and returns its id.
func (s *abroad) cart(ctx context.Context, currency, country string, units int64, coupon bool) (string, error) {
	cart, err := s.OpenCart(ctx, "", currency, country, []Line{{SKU: s.sku(), Quantity: units}})
	if err != nil {
		return "", err
	}
	if _, err := s.ask(ctx, "PUT", path("carts", cart, "shipping"), "", object{"method_id": s.name}, nil); err != nil || !coupon {
		return cart, err
	}
	_, err = s.ask(ctx, "PUT", path("carts", cart, "coupons", s.name), "", nil, nil)
	return cart, err
}

// buy prices a cart and checks it out at the price that it has seen. body says how it is paid. The
// order is confirmed unless body says otherwise.
func (s *abroad) buy(ctx context.Context, cart string, body object) (abroadOrder, error) {
	var priced struct {
		Quote struct {
			Hash string `json:"hash"`
		} `json:"quote"`
	}
	if _, err := s.ask(ctx, "POST", path("carts", cart, "quote"), "", nil, &priced); err != nil {
		return abroadOrder{}, err
	}
	body["quote_hash"] = priced.Quote.Hash
	if _, said := body["confirm"]; !said {
		body["confirm"] = true
	}
	var placed struct {
		Order abroadOrder `json:"order"`
	}
	if _, err := s.ask(ctx, "POST", path("carts", cart, "checkout"), newKey(), body, &placed); err != nil {
		return abroadOrder{}, err
	}
	order := placed.Order
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.Orders++
	s.result.Currencies[order.Owed.Currency]++
	for _, tax := range order.Quote.Taxes {
		s.result.Taxes[tax.Component]++
	}
	s.result.CouponUses += int64(len(order.Quote.Coupons))
	return order, nil
}

func cash() object { return object{"payment": object{"provider": "demo"}} }

// everywhere sells in both currencies to all three countries.
func (s *abroad) everywhere(ctx context.Context) error {
	for _, currency := range []string{"EUR", "USD"} {
		for units, country := range []string{"NL", "DE", "FR"} {
			cart, err := s.cart(ctx, currency, country, int64(units)+1, false)
			if err != nil {
				return err
			}
			order, err := s.buy(ctx, cart, cash())
			if err != nil {
				return err
			}
			if order.PaymentState != "paid" {
				return fmt.Errorf("order %s is %s, not paid", order.OrderID, order.PaymentState)
			}
		}
	}
	return nil
}

// atOnce lets many buyers do the same at the same time, and returns the first error.
func atOnce(buy func(n int) error) error {
	errs := make([]error, abroadBuyers)
	var buyers sync.WaitGroup
	for n := range abroadBuyers {
		buyers.Go(func() { errs[n] = buy(n) })
	}
	buyers.Wait()
	return errors.Join(errs...)
}

// coupon lets more buyers use the coupon at once than it has uses.
func (s *abroad) coupon(ctx context.Context) error {
	var exhausted atomic.Int64
	err := atOnce(func(int) error {
		cart, err := s.cart(ctx, "EUR", "NL", 1, true)
		if err != nil {
			return err
		}
		_, err = s.buy(ctx, cart, cash())
		if _, gone := refused(err, "promotion-exhausted"); gone {
			exhausted.Add(1)
			return nil
		}
		return err
	})
	s.result.Exhausted = exhausted.Load()
	return err
}

// giftCard lets many buyers pay with one gift card at once. Who comes too late pays cash.
func (s *abroad) giftCard(ctx context.Context) error {
	s.result.CardIssued = Money{cardAmount, "EUR"}
	var card struct {
		Code     string `json:"code"`
		Balance  Money  `json:"balance"`
		Redeemed Money  `json:"redeemed"`
	}
	if _, err := s.ask(ctx, "POST", path("gift-cards"), newKey(), object{"amount": s.result.CardIssued, "reason": "demo"}, &card); err != nil {
		return err
	}
	err := atOnce(func(int) error {
		cart, err := s.cart(ctx, "EUR", "DE", 1, false)
		if err != nil {
			return err
		}
		order, err := s.buy(ctx, cart, object{"gift_cards": []string{card.Code}})
		if _, late := refused(err, "gift-card-insufficient"); late {
			_, err = s.buy(ctx, cart, cash())
			return err
		}
		if err != nil {
			return err
		}
		return s.payRest(ctx, order)
	})
	if err != nil {
		return err
	}
	_, err = s.ask(ctx, "POST", path("gift-cards", "find"), "", object{"code": card.Code}, &card)
	s.result.CardPaid, s.result.CardLeft = card.Redeemed, card.Balance
	return err
}

// payRest pays in cash what the gift card has not paid.
func (s *abroad) payRest(ctx context.Context, order abroadOrder) error {
	owed, err1 := decimal.NewFromString(order.Owed.Amount)
	paid, err2 := decimal.NewFromString(order.Captured.Amount)
	if err := errors.Join(err1, err2); err != nil || !owed.GreaterThan(paid) {
		return err
	}
	rest := Money{owed.Sub(paid).StringFixed(2), order.Owed.Currency}
	_, err := s.ask(ctx, "POST", path("orders", order.OrderID, "transactions"), newKey(), object{"type": "capture", "amount": rest, "provider": "demo"}, nil)
	return err
}

// disputeMax is how long the demo waits for a message of the provider. Messages come late.
const disputeMax = 30 * time.Second

// dispute lets a customer pay at the provider, and a bank ask about the payment, take it, and give
// it back. The shop hears of all that only from the provider, whose messages come late, twice and
// in any order.
func (s *abroad) dispute(ctx context.Context) error {
	cart, err := s.cart(ctx, "USD", "FR", 1, false)
	if err != nil {
		return err
	}
	order, err := s.buy(ctx, cart, object{"confirm": false})
	if err != nil {
		return err
	}
	owed, err := decimal.NewFromString(order.Owed.Amount)
	if err != nil {
		return err
	}
	cents := owed.Shift(2).IntPart()
	paid, err := s.atBank(ctx, "/v1/payment_intents", object{"amount": cents, "currency": "usd", "confirm": true, "metadata": object{"order_id": order.OrderID}})
	if err != nil {
		return err
	}
	if err := s.becomes(ctx, order.OrderID, "paid", ""); err != nil {
		return err
	}
	asked, err := s.atBank(ctx, "/v1/disputes", object{"payment_intent": paid, "amount": cents, "reason": "fraudulent"})
	if err != nil {
		return err
	}
	if err := s.becomes(ctx, order.OrderID, "paid", "dispute_open"); err != nil {
		return err
	}
	for _, end := range []struct{ outcome, state, attention string }{{"lost", "due", "due"}, {"won", "paid", ""}} {
		if _, err := s.atBank(ctx, "/v1/disputes/"+asked+"/close", object{"payment_intent": paid, "outcome": end.outcome}); err != nil {
			return err
		}
		if err := s.becomes(ctx, order.OrderID, end.state, end.attention); err != nil {
			return err
		}
	}
	return nil
}

// atBank sends a request to the provider, and returns the name of what it has made. An answer can
// be lost on the way, so the request is sent again under its key.
func (s *abroad) atBank(ctx context.Context, path string, body object) (id string, err error) {
	key := newKey()
	for range 10 {
		var made struct {
			ID string `json:"id"`
		}
		if _, err = s.bank.ask(ctx, "POST", path, key, body, &made); err == nil {
			return made.ID, nil
		}
		if no, answered := errors.AsType[*Refusal](err); answered && no.Status < 500 || ctx.Err() != nil {
			break
		}
	}
	return "", fmt.Errorf("the provider of payments: %w", err)
}

// becomes waits until an order has a payment state, and this reason alone why a person has to look
// at it; empty: none.
func (s *abroad) becomes(ctx context.Context, id, state, attention string) error {
	ctx, cancel := context.WithTimeout(ctx, disputeMax)
	defer cancel()
	for {
		var now struct {
			PaymentState string   `json:"payment_state"`
			Attention    []string `json:"attention"`
		}
		if _, err := s.ask(ctx, "GET", path("orders", id), "", nil, &now); err != nil {
			return err
		}
		if now.PaymentState == state && strings.Join(now.Attention, " ") == attention {
			return nil
		}
		if pause.For(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("order %s is %s %q, not %s %q: %w", id, now.PaymentState, now.Attention, state, attention, ctx.Err())
		}
	}
}

// Sound tells whether the coupon was used exactly as often as it can be, the gift card has paid
// what it had, and every tax and currency was there.
func (a Abroad) Sound() bool {
	sum := func(m Money) decimal.Decimal {
		d, err := decimal.NewFromString(m.Amount)
		if err != nil {
			return decimal.NewFromInt(-1)
		}
		return d
	}
	return a.CouponUses == a.CouponLimit && a.Exhausted == abroadBuyers-a.CouponLimit &&
		sum(a.CardIssued).Equal(sum(a.CardPaid).Add(sum(a.CardLeft))) && sum(a.CardPaid).IsPositive() && len(a.Taxes) == 3 && len(a.Currencies) == 2
}
