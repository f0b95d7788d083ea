package readapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/commands"
	"daybook/domain/cart"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/viewtest"
)

// taxed are the rules of a shop with two taxes, shipping and a coupon.
func taxed(t *testing.T, currency unit.Currency) *pricing.Rules {
	t.Helper()
	percent := func(text string) unit.Percent {
		p, err := unit.ParsePercent(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return pricing.Compile(pricing.Book{
		Entities: []pricing.LegalEntity{{
			ID: "seller", Version: 1, Home: pricing.Zone{Country: "NL"}, Mode: pricing.Inclusive, DefaultClass: "standard",
			Rows: []pricing.TaxRow{{Class: "standard", Component: "VAT21", Rate: percent("21")}, {Class: "food", Component: "VAT9", Rate: percent("9")}},
		}},
		Methods: []pricing.ShippingMethod{{
			ID: "parcel", Version: 1, Mode: pricing.Inclusive, Active: true,
			Rates: []pricing.RateTable{{Currency: currency, Basis: pricing.Flat, Steps: []pricing.Step{{Price: unit.OfMinor(495, currency)}}}},
		}},
		Promotions: []pricing.Promotion{{
			ID: "spring", Version: 1, Kind: pricing.Coupon, Active: true, Class: pricing.OrderClass, Codes: []string{"SPRING"},
			Action: pricing.Action{Type: pricing.PercentOff, Percent: percent("11.5")},
		}},
	})
}

// tradesAtRandom places an order and does some things with it, on several days.
func (s *shop) tradesAtRandom(t *testing.T, random *rand.Rand, id unit.OrderID) order.State {
	t.Helper()
	currency := []unit.Currency{"EUR", "JPY"}[random.IntN(2)]
	at := time.Date(2026, 5, 1+random.IntN(40), 12, 0, 0, 0, time.UTC)
	channel := []string{"web", "till"}[random.IntN(2)]
	var state order.State
	do := func(cmd order.Command) {
		events, err := order.Decide(cmd, state.Clone())
		if err != nil || len(events) == 0 {
			return // refused, or already so: nothing has happened
		}
		for _, e := range events {
			state = order.Evolve(state, e)
		}
		viewtest.Fact(s.Bench, order.Stream(id), eventstore.Metadata{Channel: channel, OccurredAt: at}, order.Encode, events...)
		at = at.Add(time.Duration(random.IntN(50)) * time.Hour)
	}
	price := unit.OfMinor(100+random.Int64N(4000), currency)
	place := order.Place{OrderID: id, Currency: currency, Country: "NL", ConfirmBy: at.Add(time.Hour)}
	priced := pricing.Cart{Currency: currency, Channel: channel, Method: "parcel", Codes: []string{"SPRING"}}
	for n, class := range []string{"standard", "food"} {
		line := cart.Line{Number: n + 1, SKU: unit.SKU(strings.ToUpper(class)), Kind: unit.Service, Quantity: 1 + unit.Quantity(random.IntN(4)), Price: price}
		place.Lines = append(place.Lines, line)
		priced.Lines = append(priced.Lines, pricing.Item{Number: n + 1, SKU: line.SKU, Kind: unit.Service, Quantity: line.Quantity, Catalogue: &price, TaxClass: class})
	}
	quote, err := taxed(t, currency).Price(priced, at)
	if err != nil {
		t.Fatal(err)
	}
	place.Quote = &quote
	do(place)
	do(order.Confirm{Now: at.Add(-100 * time.Hour)})
	record := func(of order.TransactionType, parent string, amount unit.Money) {
		name := fmt.Sprint(of, "-", len(state.Transactions))
		do(order.RecordTransaction{
			TransactionID: unit.TransactionID(name), Type: of, State: order.Succeeded, Amount: amount, Parent: unit.TransactionID(parent),
			Provider: "bank", Reference: name, ByProvider: true,
		})
	}
	if random.IntN(4) > 0 {
		record(order.Capture, "", state.Owed())
	}
	one := []order.LineQuantity{{Line: 1, Quantity: 1}}
	for range random.IntN(5) {
		switch random.IntN(7) {
		case 0:
			do(order.CancelLines{Lines: one, Reason: "no"})
		case 1:
			do(order.Credit{CreditID: unit.CreditID(fmt.Sprint("c", len(state.Credits))), Cause: order.CreditForReduction, Currency: currency, Worth: unit.OfMinor(100, currency)})
		case 2:
			record(order.Refund, "capture-0", unit.OfMinor(1+random.Int64N(300), currency))
		case 3:
			record(order.Chargeback, "capture-0", unit.OfMinor(200, currency))
		case 4:
			do(order.WriteOff{Reason: "small"})
		case 5:
			do(order.RequestRefund{RefundID: unit.RefundID(fmt.Sprint("r", len(state.Refunds))), Purpose: order.Compensation, Amount: unit.OfMinor(50, currency)})
			if len(state.Refunds) > 0 {
				refund := state.Refunds[len(state.Refunds)-1]
				do(order.SettleRefund{RefundID: refund.ID, PartID: refund.Parts[0].ID, State: order.RefundSucceeded})
			}
		case 6:
			do(order.Cancel{Reason: "all"})
		}
	}
	return state
}

// The reports over HTTP are what the orders amount to, whatever has happened to them, and however
// the reports are divided. Currencies are never added.
func TestTheReportsAreWhatTheOrdersAmountTo(t *testing.T) {
	t.Parallel()
	s := open(t)
	random := rand.New(rand.NewPCG(5, 5))
	want := map[string]map[string]decimal.Decimal{}
	add := func(currency unit.Currency, term string, amount unit.Money) {
		if want[string(currency)] == nil {
			want[string(currency)] = map[string]decimal.Decimal{}
		}
		want[string(currency)][term] = want[string(currency)][term].Add(amount.Amount)
	}
	for n := range 120 {
		state := s.tradesAtRandom(t, random, unit.OrderID(fmt.Sprint("o-", n)))
		add(state.Currency(), "charged", state.Quote.Total)
		add(state.Currency(), "owed", state.Owed())
		add(state.Currency(), "captured", state.Captured())
		add(state.Currency(), "kept", state.Kept())
		add(state.Currency(), "compensated", state.Compensated())
		add(state.Currency(), "balance", state.Balance())
		add(state.Currency(), "to_return", state.ToReturn())
		add(state.Currency(), "to_collect", state.ToCollect())
	}
	s.CaughtUp()
	for currency, terms := range want {
		of := "?currency=" + currency
		for name, by := range map[string]string{"whole": "", "by month and channel": "&by=month,channel", "by day": "&by=day,entity"} {
			for _, term := range []string{"charged", "owed", "captured", "kept", "compensated", "balance"} {
				if got := s.sumOf("/v1/reports/bridge"+of+by, term, currency); !got.Equal(terms[term]) {
					t.Errorf("bridge %s: %s in %s is %s, and %s of the orders", name, term, currency, got, terms[term])
				}
			}
		}
		for path, sum := range map[string]decimal.Decimal{
			"/v1/reports/orders-taken" + of + " gross":                                       terms["owed"],
			"/v1/reports/orders-taken" + of + "&by=day,sku,charge,country&kind=placed gross": terms["charged"],
			"/v1/reports/money" + of + "&by=day,provider&type=capture amount":                terms["captured"],
			"/v1/reports/money" + of + "&type=refund&by=purpose amount":                      terms["captured"].Sub(terms["kept"]).Sub(s.sumOf("/v1/reports/money"+of+"&type=chargeback", "amount", currency)),
			"/v1/reports/open-items" + of + "&by=age,channel,status to_return":               terms["to_return"],
			"/v1/reports/open-items" + of + " to_collect":                                    terms["to_collect"],
			"/v1/reports/taxes" + of + "&by=rate,country tax":                                s.sumOf("/v1/reports/orders-taken"+of, "tax", currency),
			"/v1/reports/taxes" + of + "&kind=placed base":                                   s.sumOf("/v1/reports/orders-taken"+of+"&kind=placed", "net", currency),
			"/v1/reports/discounts" + of + "&by=code,sku discount":                           s.sumOf("/v1/reports/orders-taken"+of, "discount", currency),
		} {
			target, member, _ := strings.Cut(path, " ")
			if got := s.sumOf(target, member, currency); !got.Equal(sum) || sum.IsZero() {
				t.Errorf("%s: %s is %s, want %s", target, member, got, sum)
			}
		}
	}
	days := s.sumOf("/v1/reports/orders-taken?currency=EUR&to=2026-05-20", "gross", "EUR").Add(s.sumOf("/v1/reports/orders-taken?currency=EUR&from=2026-05-21", "gross", "EUR"))
	if !days.Equal(want["EUR"]["owed"]) {
		t.Errorf("two periods together are %s, want %s", days, want["EUR"]["owed"])
	}
	rows, _ := s.get("/v1/reports/bridge").value("items").([]any)
	if len(rows) != len(want) {
		t.Errorf("%d rows for %d currencies", len(rows), len(want))
	}
}

// sumOf adds up a member of all rows of a report. All are of one currency.
func (s *shop) sumOf(target, member, currency string) (sum decimal.Decimal) {
	s.Helper()
	got := s.get(target)
	items, _ := got.value("items").([]any)
	if got.status != http.StatusOK || len(items) == 0 {
		s.Errorf("%s: %d %.300s", target, got.status, got.text)
	}
	for i := range items {
		if got.value("items", i, "currency") != currency || got.value("items", i, member, "currency") != currency {
			s.Errorf("%s: row %d is %v, want it in %s", target, i, items[i], currency)
		}
		text, _ := got.value("items", i, member, "amount").(string)
		amount, err := decimal.NewFromString(text)
		if err != nil {
			s.Errorf("%s: row %d: %s: %v", target, i, member, err)
		}
		sum = sum.Add(amount)
	}
	return sum
}

// The open items say what the shop owes to those who have gift cards.
func TestTheBalancesOfGiftCardsAreOpenItems(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.service.Secrets = commands.NewSecrets([]byte("32 bytes that nobody else knows."))
	gbp := func(text string) unit.Money {
		return unit.Money{Amount: decimal.RequireFromString(text), Currency: "GBP"}
	}
	s.sell("MUG", 10)
	card, _, _, err := s.service.IssueGiftCard(t.Context(), call("ann"), commands.NewGiftCard{Amount: gbp("20")})
	if err != nil {
		t.Fatal(err)
	}
	gone, _, _, err := s.service.IssueGiftCard(t.Context(), call("ann"), commands.NewGiftCard{Amount: gbp("3")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.service.DisableGiftCard(t.Context(), call("ann"), gone, "lost"); err != nil {
		t.Fatal(err)
	}
	lines := []commands.WantedLine{{SKU: "MUG", Quantity: 3}}
	if _, err := s.service.AddLines(t.Context(), call("ann"), "c", &cart.Open{CartID: "c", Currency: "GBP", Country: "France"}, lines); err != nil {
		t.Fatal(err)
	}
	bought, err := s.service.Checkout(t.Context(), call("ann"), commands.CheckoutRequest{CartID: "c", OrderID: "o", GiftCards: []giftcard.ID{card}})
	if err != nil || bought.Refusal() != nil {
		t.Fatal(err, bought.Refusal())
	}
	done, err := s.service.Order(t.Context(), call("ann"), "o", order.Confirm{Now: s.service.Now()})
	if err != nil {
		t.Fatal(err)
	}
	got := s.at(done.Position, "/v1/reports/open-items")
	for member, want := range map[string]string{"issued": "23.00", "redeemed": "7.50", "credited_back": "0.00", "ended": "3.00", "balance": "12.50"} {
		if amount := got.value("stored_value", 0, member, "amount"); amount != want {
			t.Errorf("%s is %v, want %s: %.600s", member, amount, want, got.text)
		}
	}
	if items, _ := got.value("items").([]any); slices.ContainsFunc(items, func(any) bool { return true }) {
		t.Errorf("open items %v, want none: the card has paid", items)
	}
}
