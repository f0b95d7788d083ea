package commandapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// create is a request that makes something under an id that the caller chooses.
type create struct {
	path   string
	body   string
	others []string // bodies with the same id and other content
	code   string   // the code of the refusal of these bodies; empty for a PUT, which replaces
	first  func(s *shop)
}

// creates has all such requests, by operation. The shop has 50 MUG and order o-1 of 3 MUG, which is
// confirmed and paid. Parcel p-1 with 2 of them has shipped, and return r-1 of 1 is approved.
var creates = map[string]create{
	"open-cart": {
		path: "/v1/carts", body: `{"cart_id":"c-9","currency":"GBP","lines":[{"sku":"MUG","quantity":2}]}`, code: "cart-exists",
		others: []string{
			`{"cart_id":"c-9","currency":"GBP","lines":[{"sku":"MUG","quantity":3}]}`, `{"cart_id":"c-9","currency":"GBP"}`,
			`{"cart_id":"c-9","currency":"GBP","customer_id":"u","lines":[{"sku":"MUG","quantity":2}]}`,
		},
	},
	"checkout-cart": {
		path: "/v1/carts/c-2/checkout", body: `{"order_id":"o-9","reference":"a","policy":"all-or-nothing","payment":{"transaction_id":"t"}}`, code: "checkout-differs",
		others: []string{
			`{"order_id":"o-9","reference":"b","policy":"all-or-nothing"}`, `{"order_id":"o-9","reference":"a","policy":"line-by-line"}`,
			`{"order_id":"o-9","reference":"a","sourcing":{"locations":["north"]}}`,
		},
	},
	"request-return": {
		path: "/v1/returns", body: `{"return_id":"r-9","currency":"GBP","lines":[{"sku":"MUG","quantity":2,"price":"1"}]}`, code: "return-exists",
		others: []string{`{"return_id":"r-9","currency":"GBP","lines":[{"sku":"MUG","quantity":1,"price":"1"}]}`, `{"return_id":"r-9","currency":"GBP","reason":"x","lines":[{"sku":"MUG","quantity":2,"price":"1"}]}`},
	},
	"note-credit": {
		path: "/v1/credit-notes", body: `{"return_id":"n-9","currency":"GBP","reason":"x","lines":[{"sku":"MUG","quantity":-2,"price":"1"}]}`, code: "return-exists",
		others: []string{`{"return_id":"n-9","currency":"GBP","reason":"y","lines":[{"sku":"MUG","quantity":-2,"price":"1"}]}`},
	},
	"reserve-stock": {
		path: "/v1/stock/MUG/main/reservations", body: `{"reservation_id":"h-9","order_id":"x","quantity":2,"expires_at":"SOON"}`, code: "reservation-differs",
		others: []string{
			`{"reservation_id":"h-9","order_id":"x","quantity":3,"expires_at":"SOON"}`, `{"reservation_id":"h-9","order_id":"y","quantity":2,"expires_at":"SOON"}`,
			`{"reservation_id":"h-9","order_id":"x","quantity":2,"expires_at":"LATER"}`, `{"reservation_id":"h-9","order_id":"x","quantity":2,"hold_seconds":60}`,
		},
	},
	"transfer-stock-out": {
		path: "/v1/stock/MUG/main/transfers-out", body: `{"transfer_id":"t-9","to":"north","quantity":2}`, code: "stock-movement-differs",
		others: []string{`{"transfer_id":"t-9","to":"north","quantity":1}`, `{"transfer_id":"t-9","to":"south","quantity":2}`},
	},
	"transfer-stock-in": {
		path: "/v1/stock/MUG/north/transfers-in", body: `{"transfer_id":"t-8","from":"main","quantity":2}`, code: "stock-movement-differs",
		others: []string{`{"transfer_id":"t-8","from":"main","quantity":1}`, `{"transfer_id":"t-8","from":"south","quantity":2}`},
	},
	"ship-stock": {
		path: "/v1/stock/MUG/main/shipments", body: `{"order_id":"x-1","shipment_id":"p-9","quantity":1}`, code: "stock-movement-differs",
		others: []string{`{"order_id":"x-1","shipment_id":"p-9","quantity":2}`},
	},
	"return-stock": {
		path: "/v1/stock/MUG/main/returns", body: `{"return_id":"r-8","order_id":"x-1","quantity":2,"condition":"damaged"}`, code: "stock-movement-differs",
		others: []string{`{"return_id":"r-8","order_id":"x-1","quantity":1,"condition":"damaged"}`, `{"return_id":"r-8","order_id":"x-2","quantity":2,"condition":"damaged"}`},
	},
	"record-transaction": {
		path: "/v1/orders/o-1/transactions", body: `{"transaction_id":"t-9","type":"capture","amount":{"amount":"1","currency":"GBP"}}`, code: "transaction-differs",
		others: []string{`{"transaction_id":"t-9","type":"capture","amount":{"amount":"2","currency":"GBP"}}`, `{"transaction_id":"t-9","type":"authorize","amount":{"amount":"1","currency":"GBP"}}`},
	},
	"request-refund": {
		path: "/v1/orders/o-1/refunds", body: `{"refund_id":"f-9","purpose":"settlement","amount":{"amount":"1","currency":"GBP"},"reason":"a"}`, code: "order-refund-differs",
		others: []string{
			`{"refund_id":"f-9","purpose":"settlement","amount":{"amount":"2","currency":"GBP"},"reason":"a"}`,
			`{"refund_id":"f-9","purpose":"compensation","amount":{"amount":"1","currency":"GBP"},"reason":"a"}`,
		},
	},
	"reduce-price": {
		path: "/v1/orders/o-1/reductions", body: `{"credit_id":"k-9","amount":{"amount":"1","currency":"GBP"},"reason":"a"}`, code: "credit-differs",
		others: []string{`{"credit_id":"k-9","amount":{"amount":"2","currency":"GBP"},"reason":"a"}`},
	},
	"credit-charge": {
		path: "/v1/orders/o-1/charges/1/credits", body: `{"credit_id":"k-8","amount":{"amount":"1","currency":"GBP"},"reason":"a"}`, code: "credit-differs",
		others: []string{`{"credit_id":"k-8","amount":{"amount":"2","currency":"GBP"},"reason":"a"}`},
		first:  func(s *shop) { s.post("/v1/orders/o-1/surcharges", charge("3")) },
	},
	"add-surcharge": {
		path: "/v1/orders/o-1/surcharges", body: charge("1"), code: "charge-differs", others: []string{charge("2")},
	},
	"claw-back": {
		path: "/v1/orders/o/clawbacks", body: clawback("0.10"), code: "charge-differs", others: []string{clawback("0.20")},
		first: func(s *shop) { s.returned(true) },
	},
	"ship-order": {
		path: "/v1/orders/o-1/shipments", body: `{"shipment_id":"p-2","lines":[{"line":1,"quantity":1}],"carrier":"a"}`, code: "shipment-differs",
		others: []string{`{"shipment_id":"p-2","lines":[{"line":1,"quantity":2}],"carrier":"a"}`, `{"shipment_id":"p-2","lines":[{"line":1,"quantity":1}],"carrier":"b"}`},
	},
	"receive-return": {
		path: "/v1/returns/r-1/receipts", body: `{"receipt":1,"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`, code: "receipt-differs",
		others: []string{`{"receipt":1,"lines":[{"line":1,"quantity":1,"disposition":"damaged"}]}`},
	},
	"refund-return": {
		path: "/v1/returns/r-2/refunds", body: `{"transaction_id":"t-8","amount":{"amount":"1","currency":"GBP"}}`, code: "refund-differs",
		others: []string{`{"transaction_id":"t-8","amount":{"amount":"2","currency":"GBP"}}`, `{"transaction_id":"t-8","amount":{"amount":"1","currency":"GBP"},"provider":"x"}`},
	},
	"list-product":           {path: "/v1/products/NEW", body: `{"title":"New"}`, others: []string{`{"title":"Newer"}`}},
	"set-price":              {path: "/v1/products/MUG/prices/GBP", body: `{"amount":"3"}`, others: []string{`{"amount":"4"}`}},
	"define-price-list":      {path: "/v1/price-lists/new", body: `{"currency":"GBP","price_mode":"incl"}`, others: []string{`{"currency":"GBP","price_mode":"incl","title":"a"}`}},
	"define-shipping-method": {path: "/v1/shipping-methods/new", body: `{"title":"A","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`, others: []string{`{"title":"B","price_mode":"incl","rates":[{"currency":"GBP","basis":"flat","steps":[{"price":"1"}]}]}`}},
	"define-legal-entity":    {path: "/v1/legal-entities/new", body: `{"title":"A","home":{"country":"GB"},"price_mode":"incl"}`, others: []string{`{"title":"B","home":{"country":"GB"},"price_mode":"incl"}`}},
	"define-promotion":       {path: "/v1/promotions/new", body: aPromotion("Spring"), others: []string{aPromotion("Summer")}},
	"set-stock-policy":       {path: "/v1/stock/MUG/main/policy", body: `{"safety_stock":1,"backorder_limit":1,"reorder_point":1}`, others: []string{`{"safety_stock":2,"backorder_limit":1,"reorder_point":1}`}},
}

func stocked(t *testing.T) *shop {
	s := open(t)
	s.sell("MUG", 50)
	do := func(path, body string) {
		name, value := key()
		s.must("POST", path, body, name, value)
	}
	s.order("o-1", 3, true)
	do("/v1/orders/o-1/shipments", `{"shipment_id":"p-1","lines":[{"line":1,"quantity":2}]}`)
	for _, id := range []string{"r-1", "r-2"} {
		s.must("POST", "/v1/returns", `{"return_id":"`+id+`","order_id":"o-1","lines":[{"order_line":1,"quantity":1}]}`)
		s.must("POST", "/v1/returns/"+id+"/approve", "")
	}
	do("/v1/returns/r-2/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`)
	s.must("POST", "/v1/carts", `{"cart_id":"c-2","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`)
	do("/v1/stock/MUG/main/allocations", `{"order_id":"x-1","quantity":3}`)
	return s
}

// A request that names the id of the new thing can be repeated, without a key or under another key.
// With the same content it records nothing and has the same answer. With other content it is
// refused with 409 and records nothing.
func TestACreateThatNamesItsIDIsRepeatable(t *testing.T) {
	t.Parallel()
	for operation, c := range creates {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			s := stocked(t)
			if c.first != nil {
				c.first(s)
			}
			now := s.service.Now().UTC().Truncate(time.Second)
			times := strings.NewReplacer("SOON", now.Add(time.Hour).Format(time.RFC3339), "LATER", now.Add(2*time.Hour).Format(time.RFC3339))
			method := "POST"
			if c.code == "" {
				method = "PUT"
			}
			head := func() string {
				position, err := s.store.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return position.String()
			}
			before := head()
			name, value := key()
			first := s.must(method, c.path, times.Replace(c.body), name, value)
			after := head()
			if after == before {
				t.Fatalf("the first request recorded nothing: %s", first.text)
			}
			name, value = key()
			again := s.must(method, c.path, times.Replace(c.body), name, value)
			if again.text != first.text || head() != after {
				t.Errorf("again %s, log at %s; first %s, log at %s", again.text, head(), first.text, after)
			}
			for _, other := range c.others {
				name, value = key()
				got := s.ask(method, c.path, times.Replace(other), name, value)
				if c.code == "" {
					if got.status != 200 || head() == after {
						t.Errorf("%s answers %d %s, want it to replace", other, got.status, got.text)
					}
					continue
				}
				got.problem(t, 409, c.code)
				if head() != after {
					t.Errorf("%s recorded something", other)
				}
			}
		})
	}
}

// The table has every route whose body or path names an id that the caller may choose.
func TestEveryCreateIsInTheTable(t *testing.T) {
	t.Parallel()
	document := open(t).must("GET", "/openapi.json", "")
	// A customer_id is not the id of a new thing. The ids of the routes in naming are those of
	// things that exist already.
	refers := []string{"customer_id"}
	// A role has no stream of its own.
	naming := []string{"allocate-stock", "deallocate-stock", "define-role", "set-cart-details", "claim-cart", "set-groups", "change-address", "erase-subject", "set-wish", "add-wishes", "merge-customer", "preview-price", "add-cart-coupon", "choose-cart-shipping", "give-cart-discount", "set-cart-tax-status", "set-tax-status"}
	paths := commandsOf(document)
	for path, methods := range paths {
		for method, value := range methods.(map[string]any) {
			operation := response{body: value.(map[string]any)}
			id, _ := operation.at("operationId").(string)
			names := method == "put"
			reference, _ := operation.at("requestBody", "content", "application/json", "schema", "$ref").(string)
			schema, _ := document.at("components", "schemas", strings.TrimPrefix(reference, "#/components/schemas/"), "properties").(map[string]any)
			for property := range schema {
				own := strings.HasSuffix(property, "_id") && !slices.Contains(refers, property) || property == "receipt"
				names = names || method == "post" && own
			}
			_, tested := creates[id]
			if want := tested || slices.Contains(naming, id); names != want {
				t.Errorf("%s %s (%s): names an id of the caller's %t, is in the table %t", method, path, id, names, want)
			}
		}
	}
}

// The units that an order has admitted for a return do not make a repetition of the request
// fail.
func TestARepeatedReturnOfAnOrderIsTheSame(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	const body = `{"return_id":"r-1","order_id":"o-1","lines":[{"order_line":1,"quantity":1}]}`
	again := s.must("POST", "/v1/returns", body)
	if again.at("status") != "open" || again.at("revision") != 2.0 {
		t.Errorf("answer %s, want the return as it stands", again.text)
	}
	s.ask("POST", "/v1/returns", strings.Replace(body, `"quantity":1`, `"quantity":2`, 1)).problem(t, 409, "return-exists")
}

// A receipt for which a stock has no room is refused before anything is recorded.
func TestAReceiptIntoAFullStockIsRefused(t *testing.T) {
	t.Parallel()
	s := stocked(t)
	name, value := key()
	s.must("POST", "/v1/stock/MUG/main/counts", fmt.Sprintf(`{"expected":%d,"counted":1000000000000}`, s.stock("MUG").Goods), name, value)
	name, value = key()
	const body = `{"lines":[{"line":1,"quantity":1,"disposition":"restocked"}]}`
	got := s.ask("POST", "/v1/returns/r-1/receipts", body, name, value)
	got.problem(t, 409, "stock-limit")
	if got.at("limit") != 1e12 || got.at("on_hand") != 1e12 || got.at("quantity") != 1.0 {
		t.Errorf("refusal %s, want the limit and the sum", got.text)
	}
	s.verify("after the refusal")
	adjust, fresh := key()
	s.must("POST", "/v1/stock/MUG/main/adjustments", `{"change":-1,"reason":"shrinkage"}`, adjust, fresh)
	s.must("POST", "/v1/returns/r-1/receipts", body, name, value)
	s.verify("after the receipt")
}

// The catalogue may have changed between the request and its repetition.
func TestARepeatedCartIsTheSameThoughTheCatalogueChanged(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 1)
	const body = `{"cart_id":"c-1","currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`
	first := s.must("POST", "/v1/carts", body)
	s.must("PUT", "/v1/products/MUG", `{"title":"Mug","prices":[{"amount":"9","currency":"GBP"}]}`)
	if again := s.must("POST", "/v1/carts", body); again.text != first.text {
		t.Errorf("with another price: %s, first %s", again.text, first.text)
	}
	s.must("DELETE", "/v1/products/MUG", "")
	if again := s.must("POST", "/v1/carts", body); again.text != first.text {
		t.Errorf("without the product: %s, first %s", again.text, first.text)
	}
	s.ask("POST", "/v1/carts", strings.Replace(body, "2}", "3}", 1)).problem(t, 409, "cart-exists")
	s.ask("POST", "/v1/carts", strings.Replace(body, "c-1", "c-2", 1)).problem(t, 409, "product-retired")
}
