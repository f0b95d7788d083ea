package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"daybook/domain/money/pricing"
	"daybook/domain/money/pricingtest"
	"daybook/domain/money/shares"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/internal/pgtest"
	"daybook/internal/resource"
	"daybook/projections/moneyview"
)

// The examples of prices go through the whole program: what the shop sells and how is defined over
// HTTP, carts are priced and checked out, and each step is a request. Quotes, orders, events and
// reports are compared with the examples to the cent. In other orders of the same steps, the same
// is left.
func TestTheExamplesAreRightThroughTheWholeProgram(t *testing.T) {
	t.Parallel()
	s := &keyedShop{t: t, database: pgtest.URL(t), keys: map[string]string{}}
	s.keys["admin"] = s.makeKey("--role", "admin")
	bank := openExampleBank(t)
	s.running = serve(t, append(bank.flags(t), "--database-url", s.database)...)
	paid := maps.Clone(paidExamples)
	paid["15 disputed at its provider"] = disputedAtItsProvider(bank)
	t.Run("rows", func(t *testing.T) {
		for _, e := range pricingtest.Examples() {
			t.Run(e.Name, func(t *testing.T) {
				t.Parallel()
				row := openRow(t, s, e.Name, "row"+e.Name)
				row.define()
				for n, steps := range row.orders() {
					row.run(n, steps)
				}
				row.reports()
			})
		}
		for name, pay := range paid {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row, _, _ := strings.Cut(name, " ")
				r := openRow(t, s, row, "pay"+strings.ReplaceAll(name, " ", "-"))
				r.define()
				pay(r)
			})
		}
	})
	if code, stdout, stderr := s.console("verify"); code != exitOK {
		t.Errorf("verify: %s %s", stdout, stderr)
	}
}

// exampleRow sells the lines of one example, on a channel of its own.
type exampleRow struct {
	*keyedShop
	pricingtest.Example
	name string // of the channel and the legal entity; it begins the SKUs and the codes

	position string // of the last write
	ended    []order.State
}

// openRow is the row of an example, on a channel of this name.
func openRow(t *testing.T, s *keyedShop, example, name string) *exampleRow {
	t.Helper()
	one := *s
	one.t = t
	all := pricingtest.Examples()
	at := slices.IndexFunc(all, func(e pricingtest.Example) bool { return e.Name == example })
	return &exampleRow{keyedShop: &one, Example: all[at], name: name}
}

// exampleKeys counts the keys of all rows.
var exampleKeys atomic.Int64

// as sends a request with a body, and reads the response into out.
func (r *exampleRow) as(out any, method, path string, body any) (status int) {
	r.t.Helper()
	text := ""
	if body != nil {
		all, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(all)
	}
	headers := []string{"Daybook-Channel", r.name}
	if method == http.MethodGet {
		headers = append(headers, "Daybook-Min-Position", r.position)
	} else {
		headers = append(headers, "Idempotency-Key", fmt.Sprint("key ", exampleKeys.Add(1)))
	}
	response, got := r.send(r.keys["admin"], method, path, text, headers...)
	if method != http.MethodGet && response.StatusCode < 300 {
		r.position = cmp.Or(response.Header.Get("Daybook-Position"), r.position)
	}
	if out == nil || response.StatusCode >= 300 {
		if response.StatusCode >= 300 && out != nil {
			r.t.Fatalf("%s %s %s: %d %s", method, path, text, response.StatusCode, got)
		}
		return response.StatusCode
	}
	if err := json.Unmarshal([]byte(got), out); err != nil {
		r.t.Fatalf("%s %s: %v: %s", method, path, err, got)
	}
	return response.StatusCode
}

// do sends a request that has to succeed.
func (r *exampleRow) do(method, path string, body any) {
	r.t.Helper()
	var shown jsontext.Value
	r.as(&shown, method, path, body)
}

func amountIn(m unit.Money) object {
	return object{"amount": m.Amount.String(), "currency": string(m.Currency)}
}

// sku is the SKU of an example in this row.
func (r *exampleRow) sku(s unit.SKU) string { return strings.ToUpper(r.name) + "-" + string(s) }

// define defines everything that the example needs.
func (r *exampleRow) define() {
	for _, e := range r.Book.Entities {
		r.do(http.MethodPut, "/v1/legal-entities/"+r.name, r.entity(e))
	}
	for _, l := range r.Cart.Lines {
		product := object{"title": string(l.SKU), "prices": []object{amountIn(*l.Catalogue)}}
		if l.TaxClass != "" {
			product["tax_class"] = l.TaxClass
		}
		r.do(http.MethodPut, "/v1/products/"+r.sku(l.SKU), product)
		r.do(http.MethodPost, "/v1/stock/"+r.sku(l.SKU)+"/main/receipts", object{"quantity": 1000})
	}
	for _, l := range r.Book.Lists {
		path := "/v1/price-lists/" + r.name + "-" + l.ID
		r.do(http.MethodPut, path, object{"currency": l.Currency, "price_mode": l.Mode, "active": true, "channels": []string{r.name}, "customer_groups": l.Groups})
		for sku, tiers := range l.Prices {
			var steps []object
			for _, tier := range tiers {
				steps = append(steps, object{"from_quantity": tier.From, "price": tier.Price.Amount.String()})
			}
			r.do(http.MethodPost, path+"/prices", object{"prices": []object{{"sku": r.sku(sku), "tiers": steps}}})
		}
	}
	for _, m := range r.Book.Methods {
		rate := object{"currency": m.Rates[0].Currency, "basis": m.Rates[0].Basis, "steps": []object{{"price": m.Rates[0].Steps[0].Price.Amount.String()}}}
		if free := m.Rates[0].FreeAbove; free != nil {
			rate["free_above"] = free.Amount.String()
		}
		method := object{"title": m.ID, "price_mode": m.Mode, "active": true, "channels": []string{r.name}, "rates": []object{rate}}
		if m.TaxClass != "" {
			method["tax_class"] = m.TaxClass
		}
		r.do(http.MethodPut, "/v1/shipping-methods/"+r.method(m.ID), method)
	}
	for i, p := range r.Book.Promotions {
		r.promote(fmt.Sprint(r.name, "-", i), p)
	}
}

func (r *exampleRow) method(id string) string { return r.name + "-" + id }

// entity is the body that defines the seller.
func (r *exampleRow) entity(e pricing.LegalEntity) object {
	var taxes []object
	for _, row := range e.Rows {
		taxes = append(taxes, object{"tax_class": row.Class, "component": row.Component, "rate": row.Rate.String(), "treatment": cmp.Or(row.Treatment, pricing.StandardRate)})
	}
	return object{
		"title": r.name, "home": object{"country": e.Home.Country}, "price_mode": e.Mode, "channels": []string{r.name},
		"default_class": e.DefaultClass, "taxes": taxes,
	}
}

func (r *exampleRow) promote(id string, p pricing.Promotion) {
	var amounts []object
	for _, m := range p.Action.Amounts {
		amounts = append(amounts, amountIn(m))
	}
	var skus []string
	for _, sku := range p.Action.Target.SKUs {
		skus = append(skus, r.sku(sku))
	}
	action := object{"type": p.Action.Type, "amounts": amounts, "buy": p.Action.Buy, "get": p.Action.Get, "target": object{"skus": skus}}
	if !p.Action.Percent.IsZero() {
		action["percent"] = p.Action.Percent.String()
	}
	r.do(http.MethodPut, "/v1/promotions/"+id, object{
		"title": p.ID, "kind": p.Kind, "class": p.Class, "active": true, "action": action, "conditions": object{"channels": []string{r.name}},
	})
	if len(p.Codes) > 0 {
		r.do(http.MethodPost, "/v1/promotions/"+id+"/codes", object{"codes": r.codes(p.Codes)})
	}
}

// codes are codes that no other row has.
func (r *exampleRow) codes(given []string) (codes []string) {
	for _, code := range given {
		codes = append(codes, strings.ToUpper(r.name)+code)
	}
	return codes
}

// exampleOrder is the order of an example.
type exampleOrder struct {
	*exampleRow
	id    string
	names []string // of the lines, then of the charges
	shown resource.Order
	state order.State // folded from the events
	// early are charges that went with the last line that was canceled before the first parcel. The
	// examples take them off in a step of their own.
	early shares.Part
}

// run places an order and takes steps. What each step takes off is compared in the first run only,
// because it depends on the order of the steps.
func (r *exampleRow) run(n int, steps []string) {
	r.t.Helper()
	o := &exampleOrder{exampleRow: r, id: fmt.Sprint(r.name, "-order-", n)}
	o.checkOut()
	for _, step := range steps {
		command, _, _ := strings.Cut(step, ":")
		before := o.state.Clone()
		o.step(command)
		if n > 0 {
			continue
		}
		o.read()
		if got := command + o.tookOff(command, before); got != step {
			r.t.Errorf("step\n got %s\nwant %s", got, step)
		}
		o.settle()
	}
	o.read()
	o.settle()
	o.read()
	if o.shown.ToReturn.Amount != o.zero() || o.shown.ToCollect.Amount != o.zero() || o.state.Balance().Sign() != 0 {
		r.t.Errorf("%s: %s to return, %s to collect", o.id, o.shown.ToReturn.Amount, o.shown.ToCollect.Amount)
	}
	if len(r.ended) > 0 {
		if got, want := leftOf(o.state), leftOf(r.ended[0]); got != want {
			r.t.Errorf("left %s, want %s, after %q", got, want, steps)
		}
	}
	r.ended = append(r.ended, o.state)
}

func (o *exampleOrder) text(amount decimal.Decimal) string { return o.state.Currency().Text(amount) }

func (o *exampleOrder) zero() string { return o.text(decimal.Zero) }

// checkOut fills a cart, compares its quote with the example, and checks it out with the quote's
// hash.
func (o *exampleOrder) checkOut() {
	o.t.Helper()
	o.checkOutWith(object{"confirm": true, "payment": object{"provider": "card", "reference": "ch-" + o.id}})
	if total := o.state.Owed().Amount; !o.state.Kept().Amount.Equal(total) || o.shown.PaymentState != "paid" {
		o.t.Errorf("owed %s, captured %s, %s", o.shown.Owed.Amount, o.shown.Captured.Amount, o.shown.PaymentState)
	}
}

// checkOutWith does the same as checkOut, and says in body how the order is paid.
func (o *exampleOrder) checkOutWith(body object) {
	o.t.Helper()
	var lines []object
	for _, l := range o.Cart.Lines {
		lines = append(lines, object{"sku": o.sku(l.SKU), "quantity": l.Quantity})
	}
	cart := "/v1/carts/cart-" + o.id
	o.do(http.MethodPost, "/v1/carts", object{"cart_id": "cart-" + o.id, "currency": o.Cart.Currency, "country": cmp.Or(o.Cart.ShipTo.Country, "DE"), "lines": lines})
	if o.Cart.Status.Given() {
		o.sayTaxStatus(cart)
	}
	for _, code := range o.codes(o.Cart.Codes) {
		o.do(http.MethodPut, cart+"/coupons/"+code, nil)
	}
	if o.Cart.Method != "" {
		o.do(http.MethodPut, cart+"/shipping", object{"method_id": o.method(o.Cart.Method)})
	}
	var priced resource.CartQuote
	o.as(&priced, http.MethodPost, cart+"/quote", nil)
	if priced.Quote == nil {
		o.t.Fatalf("no quote: %+v", priced.Refused)
	}
	o.compare("the quote of the cart", *priced.Quote)
	var placed struct {
		Order resource.Order `json:"order"`
	}
	body["order_id"], body["quote_hash"] = o.id, priced.Quote.Hash
	o.as(&placed, http.MethodPost, cart+"/checkout", body)
	o.read()
	if plain := len(o.Book.Entities)+len(o.Book.Methods)+len(o.Book.Promotions) == 0; plain {
		// Each line costs its price times its units, so the order has no quote.
		if line := o.shown.Lines[0]; o.names[0]+" "+line.Amount.Amount != o.Lines[0] || o.shown.Quote != nil {
			o.t.Errorf("line %+v, want %s", line, o.Lines[0])
		}
	} else {
		o.compare("the response to the checkout", *placed.Order.Quote)
		o.compare("the order", *o.shown.Quote)
		o.compare("the event", resource.QuoteOf(*o.state.Quote))
	}
	if want := o.Cart.Status; want.Given() {
		if q := o.shown.Quote; q.StatusUsed != "reverse-charge" || q.Legal == "" || q.TaxStatus == nil || q.TaxStatus.TaxID != want.TaxID || q.TaxStatus.Proof != want.Proof {
			o.t.Errorf("the order has the tax status %+v, %q, %q", q.TaxStatus, q.StatusUsed, q.Legal)
		}
	}
	if total := priced.Quote.Total.Amount; o.shown.Owed.Amount != total {
		o.t.Errorf("owed %s, want %s", o.shown.Owed.Amount, total)
	}
}

// sayTaxStatus says of the buyer of a cart what the law says of them: of the cart itself, and in
// every second order of the account of its customer.
func (o *exampleOrder) sayTaxStatus(cart string) {
	o.t.Helper()
	s := o.Cart.Status
	body := object{"kind": s.Kind, "country": s.Country, "tax_id": s.TaxID, "checked_by": s.CheckedBy, "checked_at": s.CheckedAt, "proof": s.Proof}
	if len(o.ended)%2 == 0 {
		o.do(http.MethodPut, cart+"/tax-status", body)
		return
	}
	buyer := "buyer-" + o.id
	o.do(http.MethodPost, "/v1/customers", object{"customer_id": buyer})
	o.do(http.MethodPut, "/v1/customers/"+buyer+"/tax-status", body)
	o.do(http.MethodPatch, cart, object{"customer_id": buyer})
}

// compare compares a quote with the example.
func (o *exampleOrder) compare(what string, q resource.Quote) {
	o.t.Helper()
	count := map[string]int{}
	for _, l := range q.Lines {
		count[l.SKU]++
	}
	o.names = nil
	var got []string
	for _, l := range q.Lines {
		name := strings.TrimPrefix(l.SKU, o.sku(""))
		if count[l.SKU] > 1 {
			name += strconv.Itoa(l.Line)
		}
		o.names = append(o.names, name)
		got = append(got, name+" "+partText(q, l.QuotePart))
	}
	for _, c := range q.Charges {
		o.names = append(o.names, c.Title)
		got = append(got, c.Title+" "+partText(q, c.QuotePart))
	}
	if !slices.Equal(got, o.Lines) {
		o.t.Errorf("%s\n got %q\nwant %q", what, got, o.Lines)
	}
	if got := "net " + q.Net.Amount + taxesText(q.Taxes) + ", total " + q.Total.Amount; got != o.Totals {
		o.t.Errorf("%s\n got %s\nwant %s", what, got, o.Totals)
	}
}

func partText(q resource.Quote, p resource.QuotePart) string {
	text := p.List.Amount
	for _, a := range p.Adjustments {
		text += " - " + a.Amount.Amount + " " + a.Title
	}
	if len(p.Adjustments) > 0 {
		text += " = " + p.Amount.Amount
	}
	if q.PriceMode == string(pricing.Inclusive) && p.Gross.Amount != p.Amount.Amount {
		text += ", net " + p.Net.Amount
	}
	return text + taxesText(p.Tax)
}

func taxesText(taxes []resource.TaxAmount) string {
	var all []string
	for _, t := range taxes {
		all = append(all, t.Amount.Amount+" "+t.Component)
	}
	if len(all) == 0 {
		return ""
	}
	return ", tax " + strings.Join(all, " + ")
}

// read reads the events of the order, and the order, and compares the two. Other parts of the
// program may go on with the order, so it reads again until both are of the same revision.
func (o *exampleOrder) read() {
	o.t.Helper()
	for {
		revision := o.fold(o.shown.OrderID == "")
		if o.as(&o.shown, http.MethodGet, "/v1/orders/"+o.id, nil); o.shown.Revision == revision {
			break
		}
	}
	folded := resource.OrderOf(o.state, o.shown.Revision)
	for what, pair := range map[string][2]any{
		"owed": {o.shown.Owed, folded.Owed}, "lines": {lefts(o.shown), lefts(folded)}, "captured": {o.shown.Captured, folded.Captured},
		"refunded": {o.shown.Refunded, folded.Refunded}, "to return": {o.shown.ToReturn, folded.ToReturn}, "state": {o.shown.PaymentState, folded.PaymentState},
	} {
		if fmt.Sprint(pair[0]) != fmt.Sprint(pair[1]) {
			o.t.Errorf("%s: %s is %v in the read model and %v in the events", o.id, what, pair[0], pair[1])
		}
	}
}

// fold folds the events of the order, and returns the revision of the last one. From now on, reads
// reflect it.
func (o *exampleOrder) fold(first bool) (revision int64) {
	o.t.Helper()
	o.state = order.State{}
	for line := range strings.Lines(o.stream(first)) {
		var e struct {
			Type     string         `json:"type"`
			Data     jsontext.Value `json:"data"`
			Revision int64          `json:"revision"`
			Position string         `json:"position"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			o.t.Fatalf("%v: %s", err, line)
		}
		event, err := order.Decode(e.Type, e.Data)
		if err != nil {
			o.t.Fatal(err)
		}
		o.state, o.position, revision = order.Evolve(o.state, event), e.Position, e.Revision
	}
	return revision
}

// stream has the events of the order. Only the first time they are compared with the document,
// because this takes long: an event may be one of two hundred kinds.
func (o *exampleOrder) stream(compare bool) string {
	o.t.Helper()
	path := "/v1/streams/order-" + o.id + "?limit=1000"
	if compare {
		return o.must(o.keys["admin"], http.MethodGet, path, "")
	}
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.url+path, http.NoBody)
	if err != nil {
		o.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+o.keys["admin"])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		o.t.Fatalf("%d %v", response.StatusCode, err)
	}
	return string(text)
}

func lefts(shown resource.Order) (all []string) {
	for _, l := range shown.Lines {
		all = append(all, l.Amount.Amount, l.Left.Amount)
	}
	for _, c := range shown.Charges {
		all = append(all, c.Amount.Amount, c.Left.Amount)
	}
	return all
}

// step carries a step out.
func (o *exampleOrder) step(command string) {
	o.t.Helper()
	path, f := "/v1/orders/"+o.id, strings.Fields(command)
	switch f[0] + strconv.Itoa(len(f)) {
	case "ship1":
		o.do(http.MethodPost, path+"/shipments", object{})
		return
	case "reduce2":
		o.reduce(f[1])
		return
	}
	at := slices.Index(o.names, f[1])
	units, err := strconv.Atoi(f[2])
	if at < 0 || err != nil {
		o.t.Fatalf("step %q", command)
	}
	lines := []object{{"line": at + 1, "quantity": units}}
	switch f[0] {
	case "ship":
		o.do(http.MethodPost, path+"/shipments", object{"lines": lines})
	case "cancel":
		o.do(http.MethodPost, path+"/cancel", object{"reason": "not needed", "lines": lines})
	case "return":
		o.takeBack(at+1, int64(units))
	case "credit":
		o.creditCharge(at)
	default:
		o.t.Fatalf("step %q", command)
	}
}

// takeBack takes units of a line back.
func (o *exampleOrder) takeBack(line int, units int64) {
	o.t.Helper()
	var back resource.Return
	o.as(&back, http.MethodPost, "/v1/returns", object{"order_id": o.id, "lines": []object{{"order_line": line, "quantity": units}}})
	o.do(http.MethodPost, "/v1/returns/"+back.ReturnID+"/approve", nil)
	o.do(http.MethodPost, "/v1/returns/"+back.ReturnID+"/receipts", object{"lines": []object{{"line": 1, "quantity": units, "disposition": "restocked"}}})
}

// reduce lowers the price of the order.
func (o *exampleOrder) reduce(amount string) {
	o.t.Helper()
	o.do(http.MethodPost, "/v1/orders/"+o.id+"/reductions", object{"amount": object{"amount": amount, "currency": string(o.Cart.Currency)}, "reason": "example"})
}

// creditCharge credits a charge, unless it went with the last line.
func (o *exampleOrder) creditCharge(at int) {
	o.t.Helper()
	o.read()
	charge := o.state.Charges[at-len(o.state.Lines)]
	if charge.Account.Money() > 0 {
		o.do(http.MethodPost, "/v1/orders/"+o.id+"/charges/"+strconv.Itoa(charge.Number)+"/credits", object{"reason": "example"})
	}
}

// tookOff says what a step took off, or sent, and what is owed after it.
func (o *exampleOrder) tookOff(command string, before order.State) string {
	f := strings.Fields(command)
	switch f[0] + strconv.Itoa(len(f)) {
	case "ship1":
		return ""
	case "reduce2":
		return ": " + f[1] + o.reduced(before) + " -> " + o.text(o.state.Owed().Amount)
	}
	at := slices.Index(o.names, f[1])
	was, is := accountsOf(before), accountsOf(o.state)
	part := without(was[at].Left(), is[at].Left())
	if f[0] == "ship" {
		return ": " + o.part(without(is[at].Delivered.Left, was[at].Delivered.Left), at)
	}
	if f[0] == "credit" && part.Money == 0 {
		part, o.early = o.early, shares.Part{}
	}
	if f[0] == "cancel" {
		for i := len(o.state.Lines); i < len(is); i++ {
			o.early = o.early.Plus(without(was[i].Left(), is[i].Left()))
		}
	}
	owed := o.state.Owed().Plus(unit.OfMinor(o.early.Money, o.state.Currency()))
	return ": " + o.part(part, at) + " -> " + o.text(owed.Amount)
}

// reduced says what a price reduction took off the tax, and off each line and charge.
func (o *exampleOrder) reduced(before order.State) string {
	var names, each, sums []string
	taxes := map[string]int64{}
	was, is := accountsOf(before), accountsOf(o.state)
	minor := func(amount int64) string { return o.text(unit.OfMinor(amount, o.state.Currency()).Amount) }
	for i := range is {
		part := without(was[i].Left(), is[i].Left())
		each = append(each, o.names[i]+" "+minor(part.Money))
		for j, component := range componentsOf(o.state, i) {
			if !slices.Contains(names, component) {
				names = append(names, component)
			}
			taxes[component] += taxAt(part, j)
		}
	}
	for _, name := range names {
		sums = append(sums, minor(taxes[name])+" "+name)
	}
	return " (" + strings.Join(sums, " + ") + ") [" + strings.Join(each, ", ") + "]"
}

func (o *exampleOrder) part(p shares.Part, at int) string {
	currency := o.state.Currency()
	text := o.text(unit.OfMinor(p.Money, currency).Amount)
	if p.TaxSum() == 0 {
		return text
	}
	var taxes []string
	for i, component := range componentsOf(o.state, at) {
		taxes = append(taxes, o.text(unit.OfMinor(taxAt(p, i), currency).Amount)+" "+component)
	}
	return text + " (" + strings.Join(taxes, " + ") + ")"
}

// accountsOf are the accounts of the lines, then those of the charges.
func accountsOf(s order.State) (all []shares.Account) {
	for _, l := range s.Lines {
		all = append(all, l.Account)
	}
	for _, c := range s.Charges {
		all = append(all, c.Account)
	}
	return all
}

// componentsOf are the components of the tax of a line or charge.
func componentsOf(s order.State, at int) (names []string) {
	var taxes []pricing.TaxEntry
	switch {
	case s.Quote == nil:
	case at < len(s.Lines):
		taxes = s.Quote.Lines[at].Tax
	default:
		taxes = s.Quote.Charges[at-len(s.Lines)].Tax
	}
	for _, t := range taxes {
		names = append(names, t.Component)
	}
	return names
}

// taxAt is the tax of one component.
func taxAt(p shares.Part, component int) int64 {
	if component < len(p.Tax) {
		return p.Tax[component]
	}
	return 0
}

func without(a, b shares.Part) shares.Part {
	part := shares.Part{Units: a.Units - b.Units, Money: a.Money - b.Money}
	for i := range max(len(a.Tax), len(b.Tax)) {
		part.Tax = append(part.Tax, taxAt(a, i)-taxAt(b, i))
	}
	return part
}

// leftOf is what is left of each line and charge.
func leftOf(s order.State) string {
	var all []string
	for _, account := range accountsOf(s) {
		left := account.Left()
		all = append(all, fmt.Sprintf("%d for %d with tax %d", left.Units, left.Money, left.Tax))
	}
	return strings.Join(all, "; ")
}

// settle gives back what was paid more than is owed, as a card's provider would report it.
func (o *exampleOrder) settle() {
	o.t.Helper()
	if due := o.state.Balance(); due.Sign() > 0 {
		o.do(http.MethodPost, "/v1/orders/"+o.id+"/transactions", object{"type": "refund", "amount": amountIn(due), "provider": "card", "reference": fmt.Sprint("re-", o.id, "-", o.position)})
	}
}

// maxExampleOrders is in how many orders the steps of an example are taken.
const maxExampleOrders = 3

// orders are the steps in the order of the example, and in some of all other orders in which they
// are possible.
func (r *exampleRow) orders() [][]string {
	open, sent := map[string]int64{}, map[string]int64{}
	count := map[unit.SKU]int{}
	for _, l := range r.Cart.Lines {
		count[l.SKU]++
	}
	for _, l := range r.Cart.Lines {
		name := string(l.SKU)
		if count[l.SKU] > 1 {
			name += strconv.Itoa(l.Number)
		}
		open[name] = int64(l.Quantity)
	}
	var all [][]string
	var walk func(done, rest []string, open, sent map[string]int64)
	walk = func(done, rest []string, open, sent map[string]int64) {
		if len(rest) == 0 {
			all = append(all, done)
			return
		}
		tried := map[string]bool{}
		for i, step := range rest {
			command, _, _ := strings.Cut(step, ":")
			nowOpen, nowSent, possible := after(command, open, sent)
			if strings.HasPrefix(command, "credit") {
				possible = len(rest) == 1
			}
			if possible && !tried[command] {
				tried[command] = true
				walk(append(slices.Clone(done), step), slices.Concat(rest[:i], rest[i+1:]), nowOpen, nowSent)
			}
		}
	}
	walk(nil, r.Then, open, sent)
	chosen := [][]string{r.Then}
	for i := 1; i < maxExampleOrders && i < len(all); i++ {
		chosen = append(chosen, all[i*(len(all)-1)/min(maxExampleOrders-1, len(all)-1)])
	}
	return chosen
}

// after says how many units are open and sent after a step, and whether the step is possible.
func after(command string, open, sent map[string]int64) (nowOpen, nowSent map[string]int64, possible bool) {
	nowOpen, nowSent = maps.Clone(open), maps.Clone(sent)
	f := strings.Fields(command)
	if len(f) == 1 {
		for name, units := range open {
			possible = possible || units > 0
			nowOpen[name], nowSent[name] = 0, sent[name]+units
		}
		return nowOpen, nowSent, possible
	}
	units, name := int64(0), f[1]
	if len(f) > 2 {
		units, _ = strconv.ParseInt(f[2], 10, 64)
	}
	switch f[0] {
	case "ship":
		nowOpen[name], nowSent[name] = open[name]-units, sent[name]+units
	case "cancel":
		nowOpen[name] = open[name] - units
	case "return":
		nowSent[name] = sent[name] - units
	case "credit", "reduce":
		return nowOpen, nowSent, true
	}
	return nowOpen, nowSent, nowOpen[name] >= 0 && nowSent[name] >= 0
}

// reports compares the reports about the channel with what the orders add up to.
func (r *exampleRow) reports() {
	r.t.Helper()
	owed, kept, taxes := decimal.Zero, decimal.Zero, map[string]decimal.Decimal{}
	for _, s := range r.ended {
		owed, kept = owed.Add(s.Owed().Amount), kept.Add(s.Kept().Amount)
		for at, account := range accountsOf(s) {
			for i, component := range componentsOf(s, at) {
				taxes[component] = taxes[component].Add(unit.OfMinor(taxAt(account.Left(), i), s.Currency()).Amount)
			}
		}
	}
	pool := poolOf(r.t, r.database)
	only := moneyview.Filter{Only: map[moneyview.Dimension][]string{"channel": {r.name}}}
	bridges, err := moneyview.Bridges(r.t.Context(), pool, only)
	if err != nil || len(bridges) != 1 {
		r.t.Fatalf("%d bridges: %v", len(bridges), err)
	}
	if b := bridges[0]; !b.Owed.Equal(owed) || !b.Kept.Equal(kept) || !b.Balance.IsZero() {
		r.t.Errorf("the reports say owed %s, kept %s, balance %s; want %s, %s and 0", b.Owed, b.Kept, b.Balance, owed, kept)
	}
	rows, err := moneyview.Taxes.Totals(r.t.Context(), pool, moneyview.Filter{Only: map[moneyview.Dimension][]string{"entity": {r.name}}}, "component")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, row := range rows {
		if !row.Tax.Equal(taxes[row.Component]) {
			r.t.Errorf("the report says tax %s %s, want %s", row.Tax, row.Component, taxes[row.Component])
		}
		delete(taxes, row.Component)
	}
	for component, tax := range taxes {
		if !tax.IsZero() {
			r.t.Errorf("the report does not have tax %s %s", tax, component)
		}
	}
}
