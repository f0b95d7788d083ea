package orderview_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/viewtest"
)

var day = time.Date(2011, 4, 18, 9, 0, 0, 0, time.UTC)

func gbp(amount string) unit.Money {
	return unit.Money{Amount: decimal.RequireFromString(amount), Currency: "GBP"}
}

func by(actor string, at time.Time) eventstore.Metadata {
	return eventstore.Metadata{Actor: actor, Channel: "web", OccurredAt: at}
}

func placed(id, reference, customer string) order.Placed {
	return order.Placed{
		OrderID: unit.OrderID(id), CartID: "c-1", CustomerID: unit.CustomerID(customer), Reference: reference, Currency: "GBP", Country: "EIRE",
		Lines: []cart.Line{
			{Number: 1, SKU: "85123A", SKUText: "85123a", Title: "HEART", Kind: unit.Stocked, Quantity: 6, Price: gbp("2.55")},
			{Number: 2, SKU: "POST", Title: "POSTAGE", Kind: unit.Service, Quantity: 1, Price: gbp("4.001")},
		},
		Reservations: []cart.Reservation{{ReservationID: "r-1", SKU: "85123A", Location: "main", Quantity: 6}},
		Total:        gbp("19.301"), Charge: gbp("19.30"), ConfirmBy: day.Add(time.Hour),
	}
}

func ship(id string, quantity unit.Quantity) order.Shipped {
	return order.Shipped{
		ShipmentID: unit.ShipmentID(id), Location: "main", Carrier: "RM", Tracking: "T1",
		Lines: []order.ShippedLine{{Line: 1, SKU: "85123A", Kind: unit.Stocked, Quantity: quantity}},
	}
}

func orderFact(b *viewtest.Bench, id string, meta eventstore.Metadata, events ...order.Event) {
	b.Helper()
	viewtest.Fact(b, order.Stream(unit.OrderID(id)), meta, order.Encode, events...)
}

func TestAnOrderShowsItsAxesItsPartsAndWhoDidWhat(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("customer:7", day), placed("o-1", "536365", "7"))
	b.CaughtUp() // each event is in a batch of its own, so that rows are read again and changed
	orderFact(b, "o-1", by("psp", day.Add(time.Minute)), order.TransactionRecorded{
		TransactionID: "t-1", Type: order.Capture, State: order.Pending, Amount: gbp("19.30"), Provider: "card",
	})
	b.CaughtUp()
	orderFact(b, "o-1", by("psp", day.Add(2*time.Minute)), order.TransactionSettled{TransactionID: "t-1", State: order.Succeeded}, order.Confirmed{})
	orderFact(b, "o-1", by("operator:ann", day.Add(3*time.Minute)), order.LinesCanceled{Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}, Reason: "asked"})
	b.CaughtUp()
	orderFact(b, "o-1", by("operator:ann", day.Add(4*time.Minute)), ship("p-1", 2))
	b.CaughtUp()
	orderFact(b, "o-1", by("carrier", day.Add(5*time.Minute)), order.Delivered{ShipmentID: "p-1"})
	b.CaughtUp()

	o, err := orderview.Get(t.Context(), b.Pool, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	if o.Status != "confirmed" || o.PaymentState != "overpaid" || o.FulfillmentState != "partially_delivered" {
		t.Errorf("states %s, %s, %s", o.Status, o.PaymentState, o.FulfillmentState)
	}
	if o.Total.String() != "16.751" || o.PlacedTotal.String() != "19.301" || o.Owed.String() != "16.75" || o.Captured.String() != "19.3" {
		t.Errorf("amounts %+v", o.Summary)
	}
	if l := o.Fold.Lines[0]; o.Lines[0].SKUText != "85123a" || o.Lines[0].Total().Amount.String() != "15.3" || l.Canceled != 1 || l.Shipped != 2 || l.Delivered != 2 || l.Open() != 3 {
		t.Errorf("line %+v", l)
	}
	if p := o.Fold.Transactions[0]; p.State != "succeeded" || !o.Times.Recorded(string(p.ID)).Equal(day.Add(time.Minute)) || !o.Times.Settled(string(p.ID)).Equal(day.Add(2*time.Minute)) {
		t.Errorf("payment %+v", p)
	}
	if s := o.Fold.Shipments[0]; s.Tracking != "T1" || !o.Times.Shipped(string(s.ID)).Equal(day.Add(4*time.Minute)) || !o.Times.Delivered(string(s.ID)).Equal(day.Add(5*time.Minute)) {
		t.Errorf("shipment %+v", s)
	}
	if !o.PlacedAt.Equal(day) || !o.Times.Confirmed().Equal(day.Add(2*time.Minute)) || o.Revision != 6 || o.Channel != "web" {
		t.Errorf("header %+v", o)
	}
	var words []string
	timeline := orderTimeline(b, o)
	for _, e := range timeline {
		words = append(words, e.Actor+" "+e.Entry)
	}
	want := []string{
		"customer:7 placed: 2 lines for 19.301 GBP", "psp capture of 19.30 GBP pending", "psp transaction t-1 succeeded", "psp confirmed",
		"operator:ann 1 unit of 1 line canceled: asked", "operator:ann parcel p-1 shipped from main", "carrier parcel p-1 delivered",
	}
	if !slices.Equal(words, want) {
		t.Errorf("timeline %q\nwant     %q", words, want)
	}
	if e := timeline[1]; !e.EffectiveAt.Equal(day.Add(time.Minute)) || e.Position != "2" || e.RecordedAt.IsZero() {
		t.Errorf("entry %+v", e)
	}
	b.SameWhenRebuilt("orders")
}

func TestAnOrderIDThatIsOnlyClaimedHasNoRow(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("customer:7", day), order.Claimed{CartID: "c-1"})
	b.CaughtUp()
	if o, err := orderview.Get(t.Context(), b.Pool, "o-1"); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("found %+v, %v", o, err)
	}
	orderFact(b, "o-2", by("customer:7", day), order.Claimed{CartID: "c-1"}, placed("o-2", "536365", "7"))
	b.CaughtUp()
	o, err := orderview.Get(t.Context(), b.Pool, "o-2")
	if err != nil || o.Status != "pending" || o.Revision != 1 {
		t.Errorf("order %+v, %v", o, err)
	}
	wantWords(t, orderTimeline(b, o), "placed: 2 lines for 19.301 GBP")
	b.SameWhenRebuilt("orders")
}

func TestAReturnIsFoundByTheOrdersItsLinesWereSoldOn(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("a", day), placed("o-1", "1", "7"))
	viewtest.Fact(b, returns.Stream("r-1"), by("customer:7", day.Add(time.Hour)), returns.Encode, returns.Event(returns.Requested{
		ReturnID: "r-1", CustomerID: "7", Reference: "C1", Currency: "GBP", Country: "EIRE", Reason: "too many",
		Lines: []returns.Line{{
			Number: 1, SKU: "85123A", Kind: unit.Stocked, Quantity: 3, Price: gbp("2.55"),
			Links: []returns.Link{{OrderID: "o-1", Line: 1, Quantity: 2}},
		}},
	}))
	b.CaughtUp()
	viewtest.Fact(b, returns.Stream("r-1"), by("operator:ann", day.Add(2*time.Hour)), returns.Encode, []returns.Event{
		returns.Approved{},
		returns.Received{Receipt: 1, Lines: []returns.ReceivedLine{{Line: 1, Quantity: 2, Disposition: returns.Restocked, Location: "main"}}},
		returns.Refunded{TransactionID: "t-2", Amount: gbp("5.10")},
	}...)
	viewtest.Fact(b, returns.Stream("n-1"), by("operator:ann", day), returns.Encode, returns.Event(returns.CreditNoted{
		ReturnID: "n-1", Reference: "A563186", Reason: "bad_debt", Amount: gbp("-11062.06"),
		Lines: []returns.CreditLine{{Number: 1, SKU: "B", Quantity: 1, Price: gbp("-11062.06")}},
	}))
	b.CaughtUp()

	o, err := orderview.Get(t.Context(), b.Pool, "o-1")
	if err != nil || len(o.Returns) != 1 || o.Returns[0].ReturnID != "r-1" {
		t.Fatalf("returns %+v, %v", o.Returns, err)
	}
	r, err := orderview.GetReturn(t.Context(), b.Pool, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "received" || r.Value.String() != "7.65" || r.Refunded.String() != "5.1" || r.Fold.Lines[0].Awaited() != 1 || len(returnTimeline(b, r)) != 4 {
		t.Errorf("return %+v", r)
	}
	n, err := orderview.GetReturn(t.Context(), b.Pool, "n-1")
	if err != nil || n.Status != "noted" || n.Value.String() != "11062.06" || len(n.Fold.Noted.Lines) != 1 {
		t.Errorf("credit note %+v, %v", n, err)
	}
	list, err := orderview.ListReturns(t.Context(), b.Pool, orderview.ReturnFilter{OrderIDs: []string{"o-1"}}, query.Page{})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("list %+v, %v", list, err)
	}
	b.SameWhenRebuilt("orders")
}

func TestARefundTakenBackDoesNotCount(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	share := []returns.Share{{OrderID: "o-1", Amount: gbp("2")}}
	viewtest.Fact(b, returns.Stream("r-1"), by("operator:ann", day), returns.Encode, []returns.Event{
		returns.Requested{ReturnID: "r-1", OrderID: "o-1", Currency: "GBP"},
		returns.Refunded{TransactionID: "t-1", Amount: gbp("5"), Shares: share},
	}...)
	b.CaughtUp()
	viewtest.Fact(b, returns.Stream("r-1"), by("operator:ann", day), returns.Encode, returns.Event(returns.RefundWithdrawn{
		TransactionID: "t-1", Amount: gbp("2"), Shares: share, OrderID: "o-1", Code: "transaction-differs", Reason: "Another one.",
	}))
	b.CaughtUp()
	r, err := orderview.GetReturn(t.Context(), b.Pool, "r-1")
	if err != nil || r.Refunded.String() != "3" || len(r.Fold.Refunds) != 1 || len(r.Fold.Refunds[0].Shares) != 0 {
		t.Errorf("return %+v, %v", r, err)
	}
	wantWords(t, returnTimeline(b, r)[2:], "2.00 GBP of refund t-1 taken back, refused by order o-1: Another one.")
	b.SameWhenRebuilt("orders")
}

func TestAnOrderShowsWhatComesBackAndIsPaidBack(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	orderFact(b, "o-1", by("a", day), placed("o-1", "1", "7"),
		order.TransactionRecorded{TransactionID: "t-1", Type: order.Capture, State: order.Succeeded, Amount: gbp("19.30")}, order.Confirmed{}, ship("p-1", 5))
	viewtest.Fact(b, returns.Stream("r-1"), by("customer:7", day), returns.Encode, []returns.Event{
		returns.Requested{
			ReturnID: "r-1", OrderID: "o-1", Currency: "GBP",
			Lines: []returns.Line{{Number: 1, SKU: "85123A", Kind: unit.Stocked, Quantity: 2, Price: gbp("2.55"), Links: []returns.Link{{OrderID: "o-1", Line: 1, Quantity: 2}}}},
			Admit: []returns.OrderUnits{{OrderID: "o-1", Lines: []returns.LineUnits{{Line: 1, Quantity: 2}}}},
		},
		returns.Admitted{},
		returns.OrdersSettled{Step: returns.StepRefund, Ref: "t-2"},
		returns.OrdersSettled{Step: returns.StepRelease},
	}...)
	viewtest.Fact(b, returns.Stream("r-2"), by("customer:7", day), returns.Encode, []returns.Event{
		returns.Requested{ReturnID: "r-2", OrderID: "o-1", Currency: "GBP"},
		returns.AdmissionRefused{OrderID: "o-1", Code: "return-exceeds-shipped", Reason: "Fewer have shipped."},
	}...)
	b.CaughtUp()
	orderFact(b, "o-1", by("operator:ann", day),
		order.ReturnAdmitted{ReturnID: "r-1", Lines: []order.LineQuantity{{Line: 1, Quantity: 2}}},
		order.ReturnAdmitted{ReturnID: "r-3", Lines: []order.LineQuantity{{Line: 1, Quantity: 1}}}, order.ReturnReleased{ReturnID: "r-3"},
		order.TransactionRecorded{TransactionID: "t-2", Type: order.Refund, State: order.Succeeded, Amount: gbp("5.10")},
		order.RefundClaimed{TransactionID: "t-2", ReturnID: "r-1"})
	b.CaughtUp()

	o, err := orderview.Get(t.Context(), b.Pool, "o-1")
	if err != nil {
		t.Fatal(err)
	}
	if l := o.Fold.Lines[0]; l.Returning != 2 || l.Returnable() != 3 {
		t.Errorf("line %+v, want 2 of 5 to come back", l)
	}
	if o.PaymentState != "partially_refunded" || o.Refunded.String() != "5.1" || o.Fold.Transactions[1].ReturnID != "r-1" {
		t.Errorf("the order is %s, payments %+v", o.PaymentState, o.Fold.Transactions)
	}
	wantWords(t, orderTimeline(b, o)[4:], "return r-1 admitted: 2 units", "return r-3 admitted: 1 unit", "units of return r-3 released", "refund of 5.10 GBP succeeded", "refund t-2 belongs to return r-1")
	r, err := orderview.GetReturn(t.Context(), b.Pool, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, returnTimeline(b, r)[1:], "admitted by its orders", "refund t-2 recorded at its orders", "units released at its orders")
	refused, err := orderview.GetReturn(t.Context(), b.Pool, "r-2")
	if err != nil || refused.Status != "declined" {
		t.Fatalf("return %+v, %v", refused, err)
	}
	wantWords(t, returnTimeline(b, refused)[1:], "refused by order o-1: Fewer have shipped.")
	b.SameWhenRebuilt("orders")
}

func orderTimeline(b *viewtest.Bench, o orderview.Order) []orderview.Entry {
	b.Helper()
	entries, err := orderview.History{Log: b.Log}.Order(b.Context(), o.OrderID, o.Revision)
	if err != nil {
		b.Fatal(err)
	}
	return entries
}

func returnTimeline(b *viewtest.Bench, r orderview.Return) []orderview.Entry {
	b.Helper()
	entries, err := orderview.History{Log: b.Log}.Return(b.Context(), r.ReturnID, r.Revision)
	if err != nil {
		b.Fatal(err)
	}
	return entries
}

func wantWords(t *testing.T, timeline []orderview.Entry, want ...string) {
	t.Helper()
	var words []string
	for _, e := range timeline {
		words = append(words, e.Entry)
	}
	if !slices.Equal(words, want) {
		t.Errorf("timeline %q\nwant     %q", words, want)
	}
}

func TestOrdersAreListedByFilterAndPage(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	for i, id := range []string{"o-1", "o-2", "o-3", "o-4", "o-5"} {
		orderFact(b, id, by("a", day.Add(time.Duration(i/2)*time.Hour)), placed(id, "ref-"+id, []string{"7", "8"}[i%2]))
	}
	orderFact(b, "o-2", by("a", day), order.Canceled{Reason: "changed my mind"})
	orderFact(b, "o-3", by("a", day), order.PutOnHold{Reason: "fraud?"})
	b.CaughtUp()
	yes := true
	ids := func(f orderview.Filter, limit int) (all []string) {
		t.Helper()
		for p := (query.Page{Limit: limit}); ; {
			list, err := orderview.List(t.Context(), b.Pool, f, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list.Items {
				all = append(all, s.OrderID)
			}
			if p.After = list.Next; p.After == "" {
				return all
			}
		}
	}
	for name, row := range map[string]struct {
		filter orderview.Filter
		want   []string
	}{
		"newest first":      {orderview.Filter{}, []string{"o-5", "o-4", "o-3", "o-2", "o-1"}},
		"by two references": {orderview.Filter{References: []string{"ref-o-3", "ref-o-5", "none"}}, []string{"o-5", "o-3"}},
		"by customer":       {orderview.Filter{CustomerIDs: []string{"8"}}, []string{"o-4", "o-2"}},
		"by status":         {orderview.Filter{Statuses: []string{"canceled"}}, []string{"o-2"}},
		"by reference":      {orderview.Filter{References: []string{"ref-o-3"}}, []string{"o-3"}},
		"by time":           {orderview.Filter{From: day.Add(time.Hour), To: day.Add(2 * time.Hour)}, []string{"o-4", "o-3"}},
		"by SKU":            {orderview.Filter{SKUs: []string{"POST"}, CustomerIDs: []string{"7"}}, []string{"o-5", "o-3", "o-1"}},
		"on hold":           {orderview.Filter{OnHold: &yes}, []string{"o-3"}},
		"an unknown SKU":    {orderview.Filter{SKUs: []string{"X"}}, nil},
		"by payment":        {orderview.Filter{PaymentStates: []string{"paid"}}, nil},
		"by country":        {orderview.Filter{Countries: []string{"EIRE"}, Statuses: []string{"canceled"}}, []string{"o-2"}},
		"wants attention":   {orderview.Filter{NeedsAttention: &yes}, nil},
	} {
		for _, limit := range []int{0, 1, 2} {
			if got := ids(row.filter, limit); !slices.Equal(got, row.want) {
				t.Errorf("%s, pages of %d: %q, want %q", name, limit, got, row.want)
			}
		}
	}
	if _, err := orderview.Get(t.Context(), b.Pool, "o-9"); !errors.Is(err, query.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	_, err := orderview.List(t.Context(), b.Pool, orderview.Filter{}, query.Page{After: "x!"})
	if _, ok := errors.AsType[*query.CursorError](err); !ok {
		t.Errorf("got %v, want a CursorError", err)
	}
}

// A live batch is written by INSERT. A rebuild has so many orders that they are written by COPY.
func TestOrdersAreTheSameByInsertAndByCopy(t *testing.T) {
	t.Parallel()
	b := viewtest.New(t, orderview.View())
	totals := []string{"0", "100", "1200.00", "0.50", "0.000000000000000001", "123456789012345678901234567890.120", "-7.5"}
	skus := []unit.SKU{`A"B`, `C\D`, "E,F", "{G}", "NULL", "É"}
	for i := range 300 {
		p := placed(fmt.Sprint("o-", i), "1", "7")
		p.Lines[0].SKU, p.Lines[1].SKU = skus[i%len(skus)], skus[(i+1)%len(skus)]
		p.Total = gbp(totals[i%len(totals)])
		orderFact(b, string(p.OrderID), by("a", day), p)
		if i%100 == 0 {
			b.CaughtUp()
		}
	}
	b.CaughtUp()
	for _, sku := range skus {
		list, err := orderview.List(t.Context(), b.Pool, orderview.Filter{SKUs: []string{string(sku)}}, query.Page{Limit: 500})
		if err != nil || len(list.Items) != 100 {
			t.Errorf("%d orders of %s, %v; want 100", len(list.Items), sku, err)
		}
	}
	b.SameWhenRebuilt("orders")
}
