package verify_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/order"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/stock"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/verify"
	"daybook/projections/salesview"
	"daybook/projections/views"
	"daybook/projections/viewtest"
)

// shop is a node without HTTP: the command side on a log, and the views in a database that only
// the test uses.
type shop struct {
	*viewtest.Bench
	*commands.Service
	where *time.Location
}

// newShop returns a shop whose log is in memory.
func newShop(t *testing.T) *shop {
	t.Helper()
	t.Parallel()
	return newShopOver(t, memory.New())
}

func newShopOver(t *testing.T, log eventstore.Store) *shop {
	t.Helper()
	where, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	b := viewtest.Over(t, log, views.All(salesview.Options{Location: where, Country: "United Kingdom", Currency: "GBP"})...)
	return &shop{Bench: b, Service: commands.NewService(b.Log, commands.DefaultPolicy(), time.Now, aggregate.Options{}), where: where}
}

// waitForViews waits until the views have read the whole log.
func (s *shop) waitForViews() {
	s.Helper()
	head, err := s.Log.Head(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	if err := s.Runner.WaitFor(ctx, head); err != nil {
		s.Fatal(err)
	}
}

func (s *shop) config() verify.Config {
	return verify.Config{
		Store: s.Log, Now: time.Now(), Pool: s.Pool,
		Views: views.All(salesview.Options{Location: s.where, Country: "United Kingdom", Currency: "GBP"}),
		Shop:  verify.Shop{Location: s.where, Country: "United Kingdom", Currency: "GBP"},
	}
}

func (s *shop) verify() *verify.Report {
	s.Helper()
	report, err := verify.Run(s.Context(), s.config())
	if err != nil {
		s.Fatal(err)
	}
	return report
}

// differences returns the differences of each check that has any.
func differences(report *verify.Report) map[string][]string {
	found := map[string][]string{}
	for _, check := range report.Checks {
		if check.Differences > 0 {
			found[check.Name] = check.First
		}
	}
	return found
}

func (s *shop) wantClean(report *verify.Report) {
	s.Helper()
	for name, first := range differences(report) {
		for _, words := range first {
			s.Errorf("%s: %s", name, words)
		}
	}
	if report.Differences != 0 {
		s.Errorf("%d differences, want none", report.Differences)
	}
}

func (s *shop) must(_ any, err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// callAt is a call with an effective time, such as spring, summer or autumn.
func callAt(at string) commands.Call {
	when, err := time.Parse(time.DateTime, at)
	if err != nil {
		panic(err)
	}
	return commands.Call{Who: access.Everyone, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: "operator:ann", Channel: "web", OccurredAt: when}}
}

const (
	spring = "2011-03-01 10:00:00"
	summer = "2011-06-30 23:30:00" // in London it is July already
	autumn = "2011-09-15 12:00:00.123456789"
)

func gbp(amount string) unit.Money {
	money, err := unit.ParseMoney(amount, "GBP")
	if err != nil {
		panic(err)
	}
	return money
}

func key(sku unit.SKU) stock.Key { return stock.Key{SKU: sku, Location: unit.DefaultLocation} }

func (s *shop) list(sku unit.SKU, kind unit.Kind, price string, units unit.Quantity) {
	s.Helper()
	s.must(s.Product(s.Context(), callAt(spring), sku, product.List{SKU: sku, Title: "A " + string(sku), Kind: kind}, product.SetPrice{Price: gbp(price)}))
	if units > 0 {
		s.must(s.MoveStock(s.Context(), callAt(spring), key(sku), stock.Receive{At: s.At(key(sku)), Quantity: units, Document: "opening"}))
	}
}

func (s *shop) fillCart(id unit.CartID, customer unit.CustomerID, lines ...commands.WantedLine) {
	s.Helper()
	open := &cart.Open{CartID: id, CustomerID: customer, Currency: "GBP", Country: "EIRE"}
	s.must(s.AddLines(s.Context(), callAt(spring), id, open, lines))
}

// buy checks a cart out and confirms the order.
func (s *shop) buy(id string, at string, lines ...commands.WantedLine) {
	s.Helper()
	s.checkout(id, at, lines...)
	s.must(s.Order(s.Context(), callAt(at), unit.OrderID(id), order.Confirm{Now: s.Now()}))
}

func (s *shop) checkout(id string, at string, lines ...commands.WantedLine) {
	s.Helper()
	s.fillCart(unit.CartID("c"+id), "17850", lines...)
	result, err := s.Checkout(s.Context(), callAt(at), commands.CheckoutRequest{CartID: unit.CartID("c" + id), OrderID: unit.OrderID(id), Reference: "5" + id})
	if err != nil || !result.Placed {
		s.Fatalf("checkout of %s: %+v, %v", id, result, err)
	}
}

func wantedLine(sku unit.SKU, quantity unit.Quantity) commands.WantedLine {
	return commands.WantedLine{SKU: sku, Quantity: quantity}
}

// trade records a history that fills every table and has most types of events.
func (s *shop) trade() {
	s.Helper()
	ctx := s.Context()
	s.list("MUG", unit.Stocked, "2.55", 40)
	s.list("TRAY", unit.Stocked, "3.333", 20)
	s.list("POST", unit.Service, "18.00", 0)
	s.list("GONE", unit.Stocked, "1.00", 0)
	s.must(s.Product(ctx, callAt(summer), "GONE", product.Retire{}))
	s.must(s.Product(ctx, callAt(spring), "TRAY", product.Describe{TaxClass: new("standard"), Categories: &[]string{"kitchen"}, Grams: new(int64(300)), GiftCard: new(false)}))
	s.must(s.MoveStock(ctx, callAt(spring), key("MUG"),
		stock.SetPolicy{At: s.At(key("MUG")), Policy: stock.Policy{SafetyStock: 2, BackorderLimit: 1, ReorderPoint: 30}},
		stock.Adjust{At: s.At(key("MUG")), Change: -2, Reason: stock.DamagedGoods, Document: "536800", Note: "broken"},
		stock.Adjust{At: s.At(key("MUG")), Change: 1, Reason: stock.Correction},
		stock.Move{At: s.At(key("MUG")), From: stock.Available, To: stock.QualityControl, Quantity: 1}))
	s.orders()
	s.returns()
	s.unfinished()
	viewtest.Fact(s.Bench, order.Stream("quoted"), eventstore.Metadata{Channel: "web", OccurredAt: noon}, order.Encode, order.Event(placedWithQuote(s.TB, "quoted")))
	_, _, issued, err := s.IssueGiftCard(ctx, callAt(summer), commands.NewGiftCard{Amount: gbp("5.00"), CustomerID: "c-ann", ExpiresAt: noon.AddDate(100, 0, 0)})
	s.must(issued, err)
	s.customers()
}

func (s *shop) customers() {
	s.Helper()
	ctx := s.Context()
	for i, id := range []unit.CustomerID{"c-ann", "c-bob"} {
		s.must(s.Customer(ctx, callAt(spring), id, customer.Register{CustomerID: id, Profile: customer.Profile{Name: "Ann", Email: "ann@home.example"}},
			customer.AddAddress{AddressID: "a1", Address: contact.Address{Lines: []string{"1 High Street"}, City: "Leeds", Country: "GB"}},
			customer.Consent{Purpose: customer.Terms, Version: "7", Given: true, At: s.Now()},
			customer.AddNote{NoteID: "n1", Text: "calls often", At: s.Now()}))
		if i == 1 {
			s.must(s.Customer(ctx, callAt(summer), id, customer.Block{Reason: "chargebacks"}))
		}
	}
}

func (s *shop) orders() {
	s.Helper()
	ctx := s.Context()
	s.buy("36365", spring, wantedLine("MUG", 6), wantedLine("TRAY", 2), wantedLine("MUG", 1), wantedLine("POST", 1))
	s.must(s.Order(ctx, callAt(spring), "36365",
		order.RecordTransaction{TransactionID: "t1", Type: order.Capture, State: order.Pending, Amount: gbp("42.52")},
		order.SettleTransaction{TransactionID: "t1", State: order.Succeeded},
		order.RecordTransaction{TransactionID: "t2", Type: order.Refund, State: order.Succeeded, Amount: gbp("0.50"), Parent: "t1"},
		order.CancelLines{Lines: []order.LineQuantity{{Line: 2, Quantity: 1}}, Reason: "too many"}))
	s.must(s.Order(ctx, callAt(summer), "36365", order.CancelLines{Lines: []order.LineQuantity{{Line: 2, Quantity: 1}, {Line: 1, Quantity: 1}}, Reason: "more"}))
	s.must(s.Order(ctx, callAt(summer), "36365",
		order.Ship{ShipmentID: "p1", Location: unit.DefaultLocation, Lines: []order.LineQuantity{{Line: 1, Quantity: 3}}}, order.Deliver{ShipmentID: "p1"}))

	s.buy("36366", autumn, wantedLine("MUG", 2))
	s.must(s.Order(ctx, callAt(autumn), "36366", order.Cancel{Reason: "changed mind"}, order.Archive{}))
	s.buy("36367", spring, wantedLine("TRAY", 3)) // its effective time is before that of 36366, but it comes later in the log
	s.must(s.Order(ctx, callAt(summer), "36367", order.Hold{Reason: "address"}))
	s.checkout("36368", autumn, wantedLine("TRAY", 4), wantedLine("MUG", 1)) // stays pending
	s.buy("36369", autumn, commands.WantedLine{SKU: "TRAY", Quantity: 1, Override: &cart.Offer{Title: "gift", Kind: unit.Stocked, Price: gbp("0"), Overridden: true}})
	s.must(s.Order(ctx, callAt(autumn), "36369", order.Ship{ShipmentID: "p2", Location: unit.DefaultLocation}))
}

func (s *shop) returns() {
	s.Helper()
	ctx := s.Context()
	line := func(sku unit.SKU, kind unit.Kind, quantity unit.Quantity, links ...returns.Link) returns.Line {
		return returns.Line{SKU: sku, Kind: kind, Quantity: quantity, Price: gbp("2.55"), Links: links}
	}
	request := func(id string, lines ...returns.Line) returns.Request {
		return returns.Request{ReturnID: unit.ReturnID(id), CustomerID: "17850", Reference: "C" + id, Currency: "GBP", Country: "EIRE", Reason: "broken", Lines: lines}
	}
	part := func(number int, quantity unit.Quantity, what returns.Disposition) returns.ReceivedLine {
		return returns.ReceivedLine{Line: number, Quantity: quantity, Disposition: what, Location: unit.DefaultLocation}
	}
	s.must(s.Return(ctx, callAt(spring), "r1", request("r1",
		line("MUG", unit.Stocked, 3, returns.Link{OrderID: "36365", Line: 1, Quantity: 2}, returns.Link{OrderID: "36369", Line: 1, Quantity: 1}),
		line("POST", unit.Service, 1))))
	s.must(s.Return(ctx, callAt(spring), "r1", returns.Approve{},
		returns.Receive{Receipt: 1, Lines: []returns.ReceivedLine{part(1, 1, returns.Restocked), part(1, 1, returns.Damaged)}}))
	s.must(s.Return(ctx, callAt(summer), "r1",
		returns.Receive{Receipt: 2, Lines: []returns.ReceivedLine{part(1, 1, returns.Lost)}},
		returns.RecordRefund{TransactionID: "rt1", Amount: gbp("5.10")}, returns.Close{}))
	// The gift was not paid, so nothing of it is given back. The postage belongs to no order.
	s.must(s.Return(ctx, callAt(summer), "r2", request("r2", line("POST", unit.Service, 2)), returns.Approve{}))
	s.must(s.Return(ctx, callAt(autumn), "r2", returns.Cancel{Reason: "kept"}))
	s.must(s.Return(ctx, callAt(autumn), "r3", request("r3", line("MUG", unit.Stocked, 1, returns.Link{OrderID: "36365", Line: 1, Quantity: 1}))))
	s.must(s.Return(ctx, callAt(autumn), "r3", returns.Decline{Reason: "too late"}))
	note := func(id, reason string, quantity unit.Quantity, price string) {
		s.must(s.Return(ctx, callAt(summer), unit.ReturnID(id), returns.NoteCredit{
			ReturnID: unit.ReturnID(id), CustomerID: "17850", Reference: id, Currency: "GBP", Country: "EIRE", Reason: reason,
			Lines: []returns.CreditLine{{SKU: "B", Quantity: quantity, Price: gbp(price)}},
		}))
	}
	note("A563187", "bad_debt", 1, "-11062.06")
	note("536800", "adjustment", -3, "0")
	note("n3", "goodwill", -1, "7.25")
}

func (s *shop) unfinished() {
	s.Helper()
	ctx := s.Context()
	north := stock.Key{SKU: "TRAY", Location: "north"}
	s.must(s.MoveStock(ctx, callAt(autumn), key("TRAY"), stock.TransferOut{At: s.At(key("TRAY")), TransferID: "x1", To: "north", Quantity: 2},
		stock.Count{At: s.At(key("TRAY")), Expected: 17, Counted: 16},
		stock.Adjust{At: s.At(key("TRAY")), Change: 2, Reason: stock.OtherReason, Condition: stock.OtherCondition, Note: "on loan"}))
	s.must(s.MoveStock(ctx, callAt(autumn), north, stock.TransferIn{At: s.At(north), TransferID: "x1", From: "main", Quantity: 2}))

	s.fillCart("left", "12345", wantedLine("MUG", 2), wantedLine("TRAY", 1))
	s.must(s.Cart(ctx, callAt(summer), "left", cart.ChangeQuantity{Line: 2, Quantity: 3}, cart.RemoveLine{Line: 1}, cart.Abandon{Reason: "bored"}))
	s.fillCart("guest", "", wantedLine("MUG", 2), wantedLine("TRAY", 1))
	s.fillCart("theirs", "12345", wantedLine("MUG", 1))
	s.must(s.MergeCart(ctx, callAt(summer), "theirs", "guest"))
	s.fillCart("greedy", "12346", wantedLine("MUG", 1000), wantedLine("TRAY", 1))
	result, err := s.Checkout(ctx, callAt(autumn), commands.CheckoutRequest{CartID: "greedy", OrderID: "36370"})
	if err != nil || result.Placed {
		s.Fatalf("a checkout of more units than can be sold: %+v, %v", result, err)
	}
	s.fillCart("modest", "12346", wantedLine("MUG", 1000), wantedLine("TRAY", 1))
	result, err = s.Checkout(ctx, callAt(autumn), commands.CheckoutRequest{CartID: "modest", OrderID: "36371", Shortage: cart.LineByLine})
	if err != nil || !result.Placed {
		s.Fatalf("a checkout of the units that can be sold: %+v, %v", result, err)
	}
}
