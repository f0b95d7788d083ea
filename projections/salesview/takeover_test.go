package salesview_test

import (
	"fmt"
	"testing"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/projections/query"
	"daybook/projections/salesview"
	"daybook/projections/viewtest"
)

// What a customer takes over counts as theirs, whatever was counted before and comes after, and
// however the events are divided into batches. It counts once.
func TestWhatACustomerTakesOverIsTheirs(t *testing.T) {
	noon := at("2011-03-01 12:00")
	early := at("2011-02-01 12:00")
	type step func(b *viewtest.Bench)
	steps := []step{
		func(b *viewtest.Bench) {
			guests := order.Placed{OrderID: "1", Currency: "GBP", Total: gbp("12"), Charge: gbp("12")}
			guests.Lines = append(guests.Lines, line(1, "MUG", 4, "2.50"), line(2, "POST", 1, "2"))
			orderFact(b, early, "1", guests, order.LinesCanceled{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}})
		},
		func(b *viewtest.Bench) { place(b, noon, "2", "EIRE", line(1, "MUG", 1, "2.50")) },
		func(b *viewtest.Bench) {
			asked := request("r", returns.Line{Number: 1, SKU: "MUG", Kind: unit.Stocked, Quantity: 2, Price: gbp("2.50")})
			asked.CustomerID = ""
			returnFact(b, noon, "r", asked, returns.Approved{}, receive(1))
		},
		func(b *viewtest.Bench) { orderFact(b, noon, "1", order.TakenOver{CustomerID: "17850"}) },
		func(b *viewtest.Bench) {
			orderFact(b, noon, "1", order.LinesCanceled{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}}, order.TakenOver{CustomerID: "17851"})
		},
		func(b *viewtest.Bench) { returnFact(b, noon, "r", returns.TakenOver{CustomerID: "17850"}, receive(2)) },
	}
	for cut := range len(steps) + 1 { // one batch ends here, and another one begins
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			b := newBench(t)
			for i, step := range steps {
				if i == cut {
					b.CaughtUp()
				}
				step(b)
			}
			b.CaughtUp()
			totals, err := salesview.CustomerTotals(t.Context(), b.Pool, []string{"17850"})
			if err != nil || len(totals) != 1 {
				t.Fatalf("%+v, %v", totals, err)
			}
			c := totals[0]
			if got, want := fmt.Sprint(c.Orders, c.Returns, c.Units, c.Ordered, c.Amount), "2 1 2 14.5 4.5"; got != want {
				t.Errorf("orders, returns, units, ordered and amount are %s, want %s", got, want)
			}
			if c.LastOrderID != "2" || c.FirstOrderAt.Format("01-02") != "02-01" {
				t.Errorf("the orders are from %s to %s", c.FirstOrderAt, c.LastOrderID)
			}
			list, err := salesview.Documents(t.Context(), b.Pool, salesview.DocumentFilter{CustomerIDs: []string{"17850"}}, query.Page{Limit: 9})
			if err != nil || len(list.Items) != 4 {
				t.Errorf("documents %+v, %v", list.Items, err)
			}
			if _, err := salesview.CustomerTotals(t.Context(), b.Pool, []string{"17851"}); err == nil {
				t.Error("who came second has something")
			}
		})
	}
}

func receive(number int) returns.Received {
	return returns.Received{Receipt: number, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 1, Disposition: returns.Restocked, Location: "main"}}}
}
