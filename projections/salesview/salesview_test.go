package salesview_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/query"
	"daybook/projections/salesview"
	"daybook/projections/viewtest"
)

func gbp(amount string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(amount), Currency: "GBP"}
}

func london(t *testing.T) *time.Location {
	t.Helper()
	where, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return where
}

func newBench(t *testing.T) *viewtest.Bench {
	t.Helper()
	t.Parallel()
	return viewtest.New(t, salesview.View(salesview.Options{Location: london(t), Country: "United Kingdom", Currency: "GBP"}))
}

func at(text string) eventstore.Metadata {
	when, err := time.Parse("2006-01-02 15:04 MST", text+" UTC")
	if err != nil {
		panic(err)
	}
	return eventstore.Metadata{Channel: "import", OccurredAt: when}
}

func line(number int, sku string, quantity unit.Quantity, price string) cart.Line {
	kind := unit.Stocked
	if sku == "POST" || sku == "M" {
		kind = unit.Service
	}
	return cart.Line{Number: number, SKU: unit.SKU(sku), Kind: kind, Quantity: quantity, Price: gbp(price)}
}

func place(b *viewtest.Bench, meta eventstore.Metadata, id, country string, lines ...cart.Line) {
	b.Helper()
	total := gbp("0")
	for _, l := range lines {
		total = total.Plus(l.Total())
	}
	viewtest.Fact(b, order.Stream(unit.OrderID(id)), meta, order.Encode, order.Event(order.Placed{
		OrderID: unit.OrderID(id), CustomerID: "17850", Reference: "5" + id, Currency: "GBP", Country: country, Lines: lines, Total: total, Charge: total.Charge(),
	}))
}

func orderFact(b *viewtest.Bench, meta eventstore.Metadata, id string, events ...order.Event) {
	b.Helper()
	viewtest.Fact(b, order.Stream(unit.OrderID(id)), meta, order.Encode, events...)
}

func returnFact(b *viewtest.Bench, meta eventstore.Metadata, id string, events ...returns.Event) {
	b.Helper()
	viewtest.Fact(b, returns.Stream(unit.ReturnID(id)), meta, returns.Encode, events...)
}

func request(id string, lines ...returns.Line) returns.Requested {
	return returns.Requested{ReturnID: unit.ReturnID(id), CustomerID: "17850", Reference: "C" + id, Currency: "GBP", Country: "EIRE", Lines: lines}
}

func back(number int, sku string, quantity unit.Quantity, price string) returns.Line {
	l := line(number, sku, quantity, price)
	return returns.Line{Number: number, SKU: l.SKU, Kind: l.Kind, Quantity: quantity, Price: l.Price}
}

func received(receipt int, parts ...returns.ReceivedLine) returns.Received {
	return returns.Received{Receipt: receipt, Lines: parts}
}

func part(number int, quantity unit.Quantity, what returns.Disposition) returns.ReceivedLine {
	return returns.ReceivedLine{Line: number, Quantity: quantity, Disposition: what, Location: "main"}
}

func adjust(b *viewtest.Bench, meta eventstore.Metadata, sku string, change unit.Quantity, document string) {
	b.Helper()
	viewtest.Fact(b, stock.Stream(unit.SKU(sku), "main"), meta, stock.Encode, stock.Event(stock.Adjusted{
		Key: stock.Key{SKU: unit.SKU(sku), Location: "main"}, Change: change, Reason: stock.Correction, Document: document,
	}))
}

// lines writes totals as "dimensions: documents lines units amount".
func lines(b *viewtest.Bench, f salesview.Filter, by ...salesview.Dimension) (all []string) {
	b.Helper()
	totals, err := salesview.Totals(b.Context(), b.Pool, f, by...)
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range totals {
		all = append(all, fmt.Sprintf("%s%s%s%s%s: %d %d %d %s", t.Day, t.Month, t.SKU, t.Country, t.Kind, t.Documents, t.Lines, t.Units, t.Amount))
	}
	return all
}

func check(b *viewtest.Bench, what string, got []string, want ...string) {
	b.Helper()
	if !slices.Equal(got, want) {
		b.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestEveryKindOfDocumentCountsWithItsSign(t *testing.T) {
	b := newBench(t)
	day := at("2010-12-01 08:26")
	place(b, day, "1", "United Kingdom", line(1, "85123A", 6, "2.55"), line(2, "85123A", 1, "2.555"), line(3, "POST", 1, "0.001"))
	place(b, day, "2", "Netherlands", line(1, "85123A", 10, "0"))
	// Goods are counted when they are received, and the service when the return is approved.
	returnFact(b, day, "1", request("1", back(1, "85123A", 3, "2.55"), back(2, "M", 2, "10.00")), returns.Approved{})
	returnFact(b, day, "1", received(1, part(1, 1, returns.Restocked), part(1, 1, returns.Damaged)))
	returnFact(b, day, "1", received(2, part(1, 1, returns.Lost)), returns.Closed{})
	adjust(b, day, "85123A", -4, "536589")
	// One document has stock and a service.
	adjust(b, day, "22423", 5, "536600")
	returnFact(b, day, "n-1", returns.CreditNoted{
		ReturnID: "n-1", Reference: "536600", Country: "United Kingdom", Reason: "adjustment",
		Lines: []returns.CreditLine{{Number: 1, SKU: "GIFT_0001_10", Quantity: 30, Price: gbp("0")}}, Amount: gbp("0"),
	})
	returnFact(b, day, "n-2", returns.CreditNoted{
		ReturnID: "n-2", Reference: "A563186", Country: "United Kingdom", Reason: "bad_debt",
		Lines: []returns.CreditLine{{Number: 1, SKU: "B", Quantity: 1, Price: gbp("-11062.06")}}, Amount: gbp("-11062.06"),
	})
	b.CaughtUp()
	check(b, "by kind", lines(b, salesview.Filter{}, salesview.ByKind),
		"adjust_in: 1 2 35 0", "adjust_out: 1 1 -4 0", "bad_debt: 1 1 1 -11062.06", "free_order: 1 1 10 0",
		"return: 1 2 -5 -27.65", "sale: 1 3 8 17.856")
	check(b, "by country", lines(b, salesview.Filter{}, salesview.ByCountry),
		"EIRE: 1 2 -5 -27.65", "Netherlands: 1 1 10 0", "United Kingdom: 4 7 40 -11044.204")
	check(b, "by SKU", lines(b, salesview.Filter{SKUs: []string{"85123A"}}, salesview.BySKU, salesview.ByKind),
		"85123Aadjust_out: 0 1 -4 0", "85123Afree_order: 0 1 10 0", "85123Areturn: 0 1 -3 -7.65", "85123Asale: 0 2 7 17.855")
	documents, err := salesview.Documents(t.Context(), b.Pool, salesview.DocumentFilter{References: []string{"536600"}}, query.Page{})
	if err != nil || len(documents.Items) != 1 || documents.Items[0].Lines != 2 || documents.Items[0].Units != 35 {
		t.Errorf("document %+v, %v", documents.Items, err)
	}
	b.SameWhenRebuilt("sales")
}

func TestADayIsTheMerchantsByEffectiveTime(t *testing.T) {
	b := newBench(t)
	place(b, at("2011-06-30 22:59"), "1", "", line(1, "A", 1, "1"))
	place(b, at("2011-06-30 23:01"), "2", "", line(1, "A", 1, "1")) // 00:01 in London
	place(b, at("2011-12-31 23:59"), "3", "", line(1, "A", 1, "1"))
	b.CaughtUp()
	check(b, "by day", lines(b, salesview.Filter{}, salesview.ByDay),
		"2011-06-30: 1 1 1 1", "2011-07-01: 1 1 1 1", "2011-12-31: 1 1 1 1")
	check(b, "by month", lines(b, salesview.Filter{FromDay: "2011-07-01", ToDay: "2011-12-30"}, salesview.ByMonth), "2011-07: 1 1 1 1")
}

func TestWhatIsTakenOffAnOrderIsADocumentOfItsOwnDay(t *testing.T) {
	for name, apart := range map[string]bool{"in one batch": false, "each in its own": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			step := func() {
				if apart {
					b.CaughtUp()
				}
			}
			place(b, at("2011-01-04 10:00"), "1", "EIRE", line(1, "A", 10, "2.00"), line(2, "B", 5, "1.50"), line(3, "POST", 1, "3"))
			step()
			orderFact(b, at("2011-01-05 10:00"), "1", order.LinesCanceled{Lines: []order.LineQuantity{{Line: 1, Quantity: 2}}})
			step()
			orderFact(b, at("2011-01-06 10:00"), "1", order.Shipped{
				ShipmentID: "p", Location: "main",
				Lines: []order.ShippedLine{{Line: 1, SKU: "A", Quantity: 3}, {Line: 3, SKU: "POST", Quantity: 1}},
			})
			step()
			orderFact(b, at("2011-01-07 10:00"), "1", order.Canceled{})
			place(b, at("2011-01-07 10:00"), "2", "EIRE", line(1, "A", 1, "2.00"))
			step()
			orderFact(b, at("2011-01-08 10:00"), "2", order.Expired{})
			place(b, at("2011-01-08 10:00"), "3", "EIRE", line(1, "A", 1, "2.00"))
			step()
			// The order is completed with a service that never shipped. Nothing is taken off.
			orderFact(b, at("2011-01-08 10:00"), "3", order.Completed{})
			b.CaughtUp()
			check(b, "canceled", lines(b, salesview.Filter{Kinds: []string{"order_canceled"}}, salesview.ByDay, salesview.ByKind),
				"2011-01-05order_canceled: 1 1 -2 -4", "2011-01-07order_canceled: 0 1 -10 -17.5", "2011-01-08order_canceled: 1 1 -1 -2")
			c, err := salesview.CustomerTotals(t.Context(), b.Pool, []string{"17850"})
			if err != nil || len(c) != 1 || c[0].Orders != 3 || c[0].Ordered.String() != "34.5" || c[0].Amount.String() != "11" || c[0].LastOrderID != "3" {
				t.Errorf("customer %+v, %v", c, err)
			}
			var open int
			if err := b.Pool.QueryRow(t.Context(), `SELECT count(*) FROM view_sales_v6_b1._open`).Scan(&open); err != nil || open != 0 {
				t.Errorf("%d open orders are still kept, %v", open, err)
			}
			b.SameWhenRebuilt("sales")
		})
	}
}

func TestAReturnThatIsCanceledOrDeclinedCountsNothing(t *testing.T) {
	b := newBench(t)
	day := at("2011-01-04 10:00")
	returnFact(b, day, "1", request("1", back(1, "A", 3, "2.55")))
	returnFact(b, day, "2", request("2", back(1, "A", 3, "2.55"), back(2, "M", 1, "9")), returns.Approved{})
	b.CaughtUp()
	check(b, "approved", lines(b, salesview.Filter{}, salesview.ByKind), "return: 1 1 -1 -9")
	returnFact(b, day, "1", returns.Declined{Reason: "too late"})
	returnFact(b, day, "2", returns.Canceled{})
	b.CaughtUp()
	check(b, "canceled", lines(b, salesview.Filter{}, salesview.ByKind), "return: 1 0 0 0")
	b.SameWhenRebuilt("sales")
}

func TestCustomersAreRankedByWhatTheyKept(t *testing.T) {
	b := newBench(t)
	for i, customer := range []string{"1", "2", "3"} {
		amount := []string{"10.5", "30", "20"}[i]
		viewtest.Fact(b, order.Stream(unit.OrderID(customer)), at("2011-01-04 10:00"), order.Encode, order.Event(order.Placed{
			OrderID: unit.OrderID(customer), CustomerID: unit.CustomerID(customer), Currency: "GBP",
			Lines: []cart.Line{line(1, "A", 1, amount)}, Total: gbp(amount), Charge: gbp(amount),
		}))
	}
	b.CaughtUp()
	var got []string
	for p := (query.Page{Limit: 1}); ; {
		list, err := salesview.Customers(t.Context(), b.Pool, salesview.CustomerFilter{Currency: "GBP"}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			got = append(got, c.CustomerID+" "+c.Amount.String())
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	check(b, "ranking", got, "2 30", "3 20", "1 10.5")
}

// What leaves an order whose lines are rounded is worth its share of the line. So the sales of the
// order are always what is left of its lines.
func TestSalesAreWhatIsLeftOfAnOrdersLines(t *testing.T) {
	for name, apart := range map[string]bool{"in one batch": false, "each in its own": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var state order.State
			do := func(when string, cmd order.Command) {
				t.Helper()
				events, err := order.Decide(cmd, state.Clone())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range events {
					state = order.Evolve(state, e)
				}
				orderFact(b, at(when), "1", events...)
				if apart {
					b.CaughtUp()
				}
			}
			is := func(what string, want ...string) {
				t.Helper()
				b.CaughtUp()
				check(b, what, lines(b, salesview.Filter{}, salesview.ByKind), want...)
				sold := decimal.Zero
				totals, err := salesview.Totals(t.Context(), b.Pool, salesview.Filter{})
				for _, total := range totals {
					sold = sold.Add(total.Amount)
				}
				if err != nil || !sold.Equal(state.Left().Amount) {
					t.Errorf("%s: sales of %s, but %s is left of the order, %v", what, sold, state.Left(), err)
				}
			}
			do("2011-01-04 10:00", order.Place{
				OrderID: "1", CustomerID: "17850", Currency: "GBP", ConfirmBy: at("2011-01-05 10:00").OccurredAt, RoundedLines: true,
				Lines: []cart.Line{line(1, "M", 3, "0.335"), line(2, "POST", 2, "5.00")},
			})
			is("placed", "sale: 1 2 5 11.01")
			do("2011-01-04 11:00", order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}})
			is("one canceled", "order_canceled: 1 1 -1 -0.34", "sale: 1 2 5 11.01")
			do("2011-01-04 11:00", order.Credit{CreditID: "c", Cause: order.CreditForReduction, Currency: "GBP", Worth: gbp("1")})
			is("reduced", "credit: 1 2 0 -1", "order_canceled: 1 1 -1 -0.34", "sale: 1 2 5 11.01")
			do("2011-01-04 12:00", order.Confirm{Now: at("2011-01-04 12:00").OccurredAt})
			do("2011-01-04 12:00", order.Ship{ShipmentID: "p", Location: "main", Lines: []order.LineQuantity{{Line: 2, Quantity: 2}}})
			returnFact(b, at("2011-01-05 10:00"), "r", request("r", back(1, "POST", 2, "5.00")), returns.Approved{})
			do("2011-01-05 10:00", order.AdmitReturn{ReturnID: "r", Currency: "GBP", Lines: []order.LineQuantity{{Line: 2, Quantity: 2}}})
			do("2011-01-05 10:00", order.Credit{
				CreditID: "r", Cause: order.CreditForReturn, ReturnID: "r", Currency: "GBP",
				Lines: []order.CreditedLine{{Line: 2, Quantity: 2, Worth: gbp("10")}},
			})
			is("returned", "credit: 1 2 0 -1", "order_canceled: 1 1 -1 -0.34", "return: 1 1 -2 -9.06", "sale: 1 2 5 11.01")
			returnFact(b, at("2011-01-05 11:00"), "r", returns.Canceled{})
			do("2011-01-05 11:00", order.ReleaseReturn{ReturnID: "r"})
			is("taken back", "credit: 1 2 0 -1", "order_canceled: 1 1 -1 -0.34", "return: 1 0 0 0", "sale: 1 2 5 11.01")
			do("2011-01-06 10:00", order.CancelLines{Lines: []order.LineQuantity{{Line: 1, Quantity: 2}}})
			is("the rest canceled", "credit: 1 2 0 -1", "order_canceled: 1 1 -3 -0.95", "return: 1 0 0 0", "sale: 1 2 5 11.01")
			c, err := salesview.CustomerTotals(t.Context(), b.Pool, []string{"17850"})
			if err != nil || len(c) != 1 || !c[0].Amount.Equal(state.Left().Amount) {
				t.Errorf("customer %+v, %v; want %s", c, err, state.Left())
			}
			b.SameWhenRebuilt("sales")
		})
	}
}
