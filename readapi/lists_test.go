package readapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"daybook/domain/cart"
	"daybook/domain/product"
	"daybook/domain/unit"
)

// filled is a shop with five orders of three customers, and with something for every other list.
func filled(t *testing.T) *shop {
	t.Helper()
	s := open(t)
	s.sell("MUG", 100)
	s.sell("CUP", 100)
	s.buy("o-1", "ann", "MUG", 1)
	for i, customer := range []unit.CustomerID{"bob", "ann", "cid", "bob"} {
		s.buy(unit.OrderID(fmt.Sprint("o-", i+2)), customer, []unit.SKU{"CUP", "MUG"}[i%2], unit.Quantity(5-i))
	}
	_, err := s.service.Cart(t.Context(), call("ann"), "left", cart.Open{CartID: "left", CustomerID: "dan", Currency: "GBP", Country: "Korea, Republic of"})
	if err != nil {
		t.Fatal(err)
	}
	placed, err := s.service.Product(t.Context(), call("ann"), "MUG", product.SetPrice{Price: unit.Zero("EUR")})
	if err != nil {
		t.Fatal(err)
	}
	s.define()
	for _, path := range []string{"/v1/products", "/v1/orders", "/v1/carts", "/v1/stock"} {
		if got := s.at(placed.Position, path+"?limit=1"); got.status != 200 {
			t.Fatal(got.text)
		}
	}
	return s
}

// ids returns the ids of the items of a page.
func (r response) ids(name string) (all []string) {
	items, _ := r.value("items").([]any)
	for i := range items {
		all = append(all, fmt.Sprint(r.value("items", i, name)))
	}
	return all
}

func TestAFilterTakesSeveralValues(t *testing.T) {
	t.Parallel()
	s := filled(t)
	for _, c := range []struct{ path, id, want string }{
		{"/v1/orders?customer_id=ann,cid", "order_id", "[o-1 o-3 o-4]"},
		{"/v1/orders?customer_id=ann,cid,bob&sku=cup", "order_id", "[o-2 o-4]"},
		{"/v1/orders?sku=cup,MUG&status=pending,confirmed", "order_id", "[o-1 o-2 o-3 o-4 o-5]"},
		{"/v1/orders?status=canceled,expired", "order_id", "[]"},
		{"/v1/orders?cart_id=cart-of-o-1,none", "order_id", "[o-1]"},
		{"/v1/orders?currency=eur,usd", "order_id", "[]"},
		{"/v1/orders?currency=gbp,usd&customer_id=ann", "order_id", "[o-1 o-3]"},
		{"/v1/carts?customer_id=dan,none", "cart_id", "[left]"},
		{"/v1/carts?status=open,expired", "cart_id", "[left]"},
		{"/v1/products?sku=mug,cup,none", "sku", "[CUP MUG]"},
		{"/v1/products?q=mug+a", "sku", "[MUG]"},
		{"/v1/products?q=a%20cu", "sku", "[CUP]"},
		{"/v1/products?q=mug+cup", "sku", "[]"},
		{"/v1/stock?sku=mug,cup&location=main,east", "sku", "[CUP MUG]"},
		{"/v1/allocations?sku=mug&order_id=o-1,o-2,o-3", "order_id", "[o-1 o-3]"},
		{"/v1/reservations?location=main,east", "reservation_id", "[]"},
		{"/v1/reorder-alerts?location=main,east", "sku", "[]"},
		{"/v1/returns?status=requested,noted&order_id=o-1,o-2", "return_id", "[]"},
	} {
		got := s.get(c.path)
		ids := got.ids(c.id)
		slices.Sort(ids)
		if fmt.Sprint(ids) != c.want {
			t.Errorf("%s: %v, want %s; %.300s", c.path, ids, c.want, got.text)
		}
	}
	for path, name := range map[string]string{"/v1/orders?status=pending,lost": "status", "/v1/orders?customer_id=ann,,bob": "customer_id"} {
		got := s.get(path)
		if got.problem(t, 422, "request-invalid"); got.value("errors", 0, "parameter") == nil || !strings.Contains(got.text, name) {
			t.Errorf("%s: %s, want %s named", path, got.text, name)
		}
	}
}

// Every list, in each of its orders, has every row once, with pages of any size. In the opposite
// order it has the rows the other way round.
func TestListsAreSortedByMoreThanTime(t *testing.T) {
	t.Parallel()
	s := filled(t)
	lists := map[string]string{"/v1/orders": "order_id", "/v1/carts": "cart_id", "/v1/returns": "return_id", "/v1/products": "sku", "/v1/stock": "sku"}
	paths, _ := s.get("/openapi.json").value("paths").(map[string]any)
	walked := 0
	for path, id := range lists {
		operation := response{body: paths[path].(map[string]any)}
		parameters, _ := operation.value("get", "parameters").([]any)
		var sorts []string
		for i := range parameters {
			if operation.value("get", "parameters", i, "name") == "sort" {
				values, _ := operation.value("get", "parameters", i, "schema", "enum").([]any)
				for _, value := range values {
					sorts = append(sorts, value.(string))
				}
			}
		}
		if len(sorts) < 4 {
			t.Errorf("%s: sorted by %v, want more than time", path, sorts)
		}
		for _, sort := range sorts {
			walked++
			whole := s.get(path + "?count=true&sort=" + sort)
			want := whole.ids(id)
			if got := whole.value("count", "value"); got != float64(len(want)) || whole.value("count", "exact") != true {
				t.Errorf("%s by %s: count %v of %d", path, sort, whole.value("count"), len(want))
			}
			backwards := s.get(path + "?sort=" + strings.TrimPrefix("-"+sort, "--")).ids(id)
			if slices.Reverse(backwards); !slices.Equal(backwards, want) {
				t.Errorf("%s by %s: %v, and the other way %v", path, sort, want, backwards)
			}
			var got []string
			for next := ""; ; {
				page := s.get(strings.TrimSuffix(path+"?limit=2&sort="+sort+"&cursor="+next, "&cursor="))
				got = append(got, page.ids(id)...)
				if next, _ = page.value("next").(string); next == "" {
					break
				}
				for _, other := range sorts {
					if other != sort {
						s.get(path+"?limit=2&sort="+other+"&cursor="+next).problem(t, 422, "request-invalid")
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %s: pages %v, in one %v", path, sort, got, want)
			}
		}
	}
	if walked < 12 {
		t.Errorf("%d orders were walked", walked)
	}
	if got := fmt.Sprint(s.get("/v1/orders?sort=total").ids("order_id")); got != "[o-1 o-5 o-4 o-3 o-2]" {
		t.Errorf("orders by total: %s", got)
	}
}

// One request for a page of products has all that a shop needs to sell them.
func TestProductsComeWithTheirStock(t *testing.T) {
	t.Parallel()
	s := filled(t)
	done, err := s.service.Product(t.Context(), call("ann"), "POST", product.List{SKU: "POST", Title: "Postage", Kind: unit.Service})
	if err != nil {
		t.Fatal(err)
	}
	got := s.at(done.Position, "/v1/products?include=stock&sku=mug,cup,post")
	if got.value("items", 1, "stock", 0, "location") != "main" || got.value("items", 1, "stock", 0, "allocated") != 7.0 || got.value("items", 1, "stock", 0, "available") != 93.0 {
		t.Errorf("products %s, want MUG with 7 promised of 100", got.text)
	}
	if none, there := got.value("items", 2, "stock").([]any); !there || len(none) != 0 {
		t.Errorf("products %s, want POST with an empty list of stock", got.text)
	}
	if one := s.get("/v1/products/mug?include=stock"); one.value("stock", 0, "available") != 93.0 {
		t.Errorf("product %s, want its stock", one.text)
	}
	if plain := s.get("/v1/products?sku=mug"); plain.value("items", 0, "stock") != nil {
		t.Errorf("products %s, want no stock that was not asked for", plain.text)
	}
	s.get("/v1/products?include=prices").problem(t, 422, "request-invalid")
	if counted := s.get("/v1/products?count=true&limit=1&q=post"); counted.value("count", "value") != 1.0 {
		t.Errorf("products %s, want one counted", counted.text)
	}
}

func TestATimelineHasMembersBesideItsSentence(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	got := s.at(s.buy("o-1", "ann", "MUG", 3), "/v1/orders/o-1")
	if got.value("timeline", 0, "amount", "amount") != "7.50" || got.value("timeline", 0, "quantity") != 3.0 || got.value("timeline", 0, "cart_id") != "cart-of-o-1" ||
		got.value("timeline", 0, "actor") != "customer:ann" || got.value("timeline", 1, "type") != "order.confirmed.v1" || got.value("timeline", 1, "amount") != nil {
		t.Errorf("order %s, want what was placed in members", got.text)
	}
}

func TestATimelineIsWhatTheStreamHas(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.sell("MUG", 9)
	got := s.at(s.buy("o-1", "ann", "MUG", 3), "/v1/orders/o-1")
	stream := s.get("/v1/streams/order-o-1", "Accept", "application/json")
	events, _ := stream.value("events").([]any)
	timeline, _ := got.value("timeline").([]any)
	if len(timeline) != len(events) || len(timeline) < 2 {
		t.Fatalf("timeline %v of the stream %s", timeline, stream.text)
	}
	for i := range timeline {
		entry, event := timeline[i].(map[string]any), events[i].(map[string]any)
		for member, of := range map[string]string{
			"revision": "revision", "type": "type", "position": "position", "recorded_at": "recordedtime", "effective_at": "time", "actor": "actor", "channel": "channel",
		} {
			if entry[member] != event[of] {
				t.Errorf("entry %d: %s is %v, the event has %v", i, member, entry[member], event[of])
			}
		}
	}
}
