package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/commands/commandapi"
	"daybook/eventstore"
	"daybook/internal/personal"
)

// The tests of this file are attacks of somebody who has the key of an analyst, and wants to find
// out what is withheld.

// leakyShop has several customers whose carts and orders a storefront has made.
type leakyShop struct {
	*keyedGateway
	storefront, analyst, auditor string // keys
	customers                    []string
	position                     string // of the last write
}

// openLeaky fills a shop. Each customer has bought the same, so that all amounts are equal. The
// lengths of their ids differ.
func openLeaky(t *testing.T) *leakyShop {
	t.Helper()
	g := openPeopled(t, "--guests")
	s := &leakyShop{keyedGateway: g, storefront: g.keys["storefront"], analyst: g.keys["analyst"], auditor: g.keys["auditor"]}
	g.must(g.admin, http.MethodPut, "/v1/products/MUG", `{"title":"Mug","kind":"stocked","prices":[{"amount":"7.50","currency":"GBP"}]}`)
	g.must(g.admin, http.MethodPost, "/v1/stock/MUG/main/receipts", `{"quantity":99}`, "Idempotency-Key", "r")
	for i := range 12 {
		customer := fmt.Sprintf("%c-%s", 'a'+i, strings.Repeat("x", 5*i+1))
		s.customers = append(s.customers, customer)
		id, forCustomer := fmt.Sprint("o", i), []string{"Daybook-Act-For", customer}
		s.write("/v1/carts", `{"cart_id":"`+id+`","currency":"GBP","lines":[{"sku":"MUG","quantity":1}]}`, append(forCustomer, "Idempotency-Key", "cart")...)
		s.write("/v1/carts/"+id+"/checkout", `{"order_id":"`+id+`","payment":{"provider":"Bank of Ann"},"confirm":true}`, append(forCustomer, "Idempotency-Key", "checkout")...)
	}
	return s
}

// write sends a write of the storefront.
func (s *leakyShop) write(path, body string, headers ...string) {
	s.t.Helper()
	response, text := s.send(s.storefront, http.MethodPost, path, body, headers...)
	if response.StatusCode/100 != 2 {
		s.t.Fatalf("%s: %d %s", path, response.StatusCode, text)
	}
	s.position = response.Header.Get("Daybook-Position")
}

// events are all events as the holder of a key gets them by HTTP.
func (s *leakyShop) events(key string) (all []map[string]any, text string) {
	s.t.Helper()
	text = s.must(key, http.MethodGet, "/v1/events?limit=1000", "")
	for line := range strings.Lines(text) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, event)
	}
	return all, text
}

// everything is the text of all events, by all ways of reading them.
func (s *leakyShop) everything(key string) string {
	s.t.Helper()
	_, text := s.events(key)
	text += s.must(key, http.MethodGet, "/v1/streams/cart-o3", "")
	read := (&withheldShop{keyedGateway: s.keyedGateway}).readAll(key)
	for _, event := range read {
		text += fmt.Sprintf("%s %s %s\n", event.EventID, event.Data, event.UserMetadata)
	}
	subscription, err := s.with(key).SubscribeToAll(s.t.Context(), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer subscription.Close()
	for seen := 0; seen < len(read); {
		got := subscription.Recv()
		if got.SubscriptionDropped != nil {
			s.t.Fatal(got.SubscriptionDropped.Error)
		}
		if got.EventAppeared != nil {
			seen++
			event := got.EventAppeared.OriginalEvent()
			text += fmt.Sprintf("%s %s\n", event.EventID, event.UserMetadata)
		}
	}
	return text
}

// The id of a command derives from the idempotency key and from the customer for whom a storefront
// acts. The id of an event derives from that of its command. An analyst who guesses all of them
// finds none of these ids.
func TestAnAnalystCannotTestAGuessByAnID(t *testing.T) {
	t.Parallel()
	s := openLeaky(t)
	auditor, analyst := s.everything(s.auditor), s.everything(s.analyst)
	storefront := "key:" + strings.Split(s.storefront, "_")[1]
	for _, customer := range s.customers {
		for _, key := range []string{"cart", "checkout"} {
			command := commandapi.CommandOf(storefront+" for "+customer, key)
			for what, id := range map[string]uuid.UUID{"command": command, "event": eventstore.EventID(command, 0)} {
				if !strings.Contains(auditor, id.String()) && (what == "command" || key == "cart") {
					t.Errorf("an auditor does not find the %s of %s", what, key)
				}
				if strings.Contains(analyst, id.String()) {
					t.Errorf("an analyst finds the %s of the request %s for %s", what, key, customer)
				}
			}
		}
	}
	// Nor any other id of a command or an event.
	clear, _ := s.events(s.auditor)
	shown, _ := s.events(s.analyst)
	as := map[string]string{} // what an analyst sees in place of an id
	for i, event := range clear {
		if shown[i]["position"] != event["position"] || shown[i]["foreign"] != event["foreign"] {
			t.Fatalf("an auditor reads %v, and an analyst %v", event, shown[i])
		}
		for _, name := range []string{"id", "commandid", "causationid"} {
			id, _ := event[name].(string)
			seen, _ := shown[i][name].(string)
			if (id == "") != (seen == "") || id != "" && strings.Contains(analyst, id) {
				t.Errorf("%s: an auditor sees %q, and an analyst %q", name, id, seen)
			}
			// The command of one event may be the cause of another.
			if before, known := as[id]; known && before != seen {
				t.Errorf("%s is shown as %s and as %s", id, before, seen)
			}
			as[id] = seen
		}
	}
	if len(as) < 50 {
		t.Errorf("%d ids", len(as))
	}
	if len(slices.Compact(slices.Sorted(maps.Values(as)))) != len(as) {
		t.Error("two ids are shown as one")
	}
}

// A guest sends a guess as the correlation id, with the key of an analyst at hand. Its pseudonym is
// not that of the same correlation id of an operator. Among the operator's own requests, equal
// correlation ids stay equal.
func TestAnAnalystCannotTestAGuessAsAGuest(t *testing.T) {
	t.Parallel()
	s := openLeaky(t)
	const guess, trace = "ann smith", "00-ann-smith-01"
	var pseudonyms [3]map[string]any
	for i, sender := range []string{s.keys["operator"], s.keys["operator"], ""} {
		response, text := s.send(sender, http.MethodPost, "/v1/carts", `{"currency":"GBP"}`, "X-Correlation-ID", guess, "Traceparent", trace)
		if response.StatusCode != http.StatusCreated {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
		line := s.must(s.analyst, http.MethodGet, "/v1/streams/cart-"+member(t, text, "cart_id"), "")
		if err := json.Unmarshal([]byte(line), &pseudonyms[i]); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "smith") {
			t.Errorf("an analyst reads %s", line)
		}
	}
	for _, name := range []string{"correlationid", "traceparent"} {
		first, again, guest := pseudonyms[0][name], pseudonyms[1][name], pseudonyms[2][name]
		if first == nil || first != again || guest == nil || guest == first {
			t.Errorf("%s: an operator's is %v, again %v, and a guest's %v", name, first, again, guest)
		}
	}
}

// customerPages reads the list of customers, page by page.
func (s *leakyShop) customerPages(key, sort string, limit int) (customers, cursors []string) {
	s.t.Helper()
	path := fmt.Sprintf("/v1/customers?currency=GBP&sort=%s&limit=%d", sort, limit)
	for at := path; at != ""; {
		var page struct {
			Items []struct {
				CustomerID  string `json:"customer_id"`
				LastOrderID string `json:"last_order_id"`
			} `json:"items"`
			Next string `json:"next"`
		}
		if err := json.Unmarshal([]byte(s.must(key, http.MethodGet, at, "", "Daybook-Min-Position", s.position)), &page); err != nil {
			s.t.Fatal(err)
		}
		for _, item := range page.Items {
			var number int
			if _, err := fmt.Sscanf(item.LastOrderID, "o%d", &number); err != nil {
				s.t.Fatal(err)
			}
			customers = append(customers, s.customers[number])
		}
		at = ""
		if page.Next != "" {
			cursors = append(cursors, page.Next)
			at = path + "&cursor=" + url.QueryEscape(page.Next)
		}
	}
	return customers, cursors
}

// All customers have bought for the same amount. An auditor sees them in the order of their ids,
// and an analyst in another order. The lengths of the cursors do not tell those of the ids.
func TestListsDoNotTellTheOrderOfHiddenIDs(t *testing.T) {
	t.Parallel()
	s := openLeaky(t)
	for _, sort := range []string{"amount", "-amount"} {
		inOrder := slices.Clone(s.customers)
		if sort == "-amount" {
			slices.Reverse(inOrder)
		}
		whole, _ := s.customerPages(s.analyst, sort, 100)
		for _, limit := range []int{1, 5, 100} {
			clear, _ := s.customerPages(s.auditor, sort, limit)
			if !slices.Equal(clear, inOrder) {
				t.Errorf("%s: an auditor sees %q", sort, clear)
			}
			seen, cursors := s.customerPages(s.analyst, sort, limit)
			if !slices.Equal(slices.Sorted(slices.Values(seen)), s.customers) || !slices.Equal(seen, whole) {
				t.Errorf("%s, %d on a page: an analyst sees %q, and on one page %q", sort, limit, seen, whole)
			}
			reversed := slices.Clone(seen)
			slices.Reverse(reversed)
			if slices.IsSorted(seen) || slices.IsSorted(reversed) {
				t.Errorf("%s: an analyst sees the customers in the order of their ids: %q", sort, seen)
			}
			for _, cursor := range cursors {
				if len(cursor) != len(cursors[0]) {
					t.Errorf("%s: cursors have the lengths %d and %d", sort, len(cursors[0]), len(cursor))
				}
			}
		}
	}
	lengths := map[int]bool{}
	_, cursors := s.customerPages(s.auditor, "amount", 1)
	for _, cursor := range cursors {
		lengths[len(cursor)] = true
	}
	if len(lengths) < 5 {
		t.Errorf("the cursors of an auditor have %d lengths, so the test finds nothing", len(lengths))
	}
}

// The names of payment providers have one pseudonym everywhere, so that payments can be counted by
// provider.
func TestAnalystsCountByProvider(t *testing.T) {
	t.Parallel()
	s := openLeaky(t)
	_, events := s.events(s.analyst)
	_, clear := s.events(s.auditor)
	const name = `"provider":"`
	if !strings.Contains(clear, name+"Bank of Ann") || strings.Contains(events, "Bank") {
		t.Error("an auditor must see the provider, and an analyst must not")
	}
	_, pseudonym, _ := strings.Cut(events, name)
	pseudonym, _, _ = strings.Cut(pseudonym, `"`)
	if !strings.HasPrefix(pseudonym, personal.Withheld+"-") || strings.Count(events, name+pseudonym+`"`) != len(s.customers) {
		t.Errorf("the pseudonym %q is in %d events", pseudonym, strings.Count(events, name+pseudonym))
	}
	order := s.must(s.analyst, http.MethodGet, "/v1/orders/o1", "", "Daybook-Min-Position", s.position)
	if !strings.Contains(order, name+pseudonym+`"`) {
		t.Errorf("the order shows another pseudonym: %s", order)
	}
}
