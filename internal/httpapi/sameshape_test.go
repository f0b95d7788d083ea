package httpapi_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
	"daybook/internal/resource"
)

// twin is the read that shows the same thing as the response to a command.
type twin struct {
	path   string // of the read, or of a list that has the thing as an item
	member string // the member of the command's response that is the thing; empty if the whole response is the thing
}

// twins has the reads of the commands for which twinOf cannot derive the read from the path.
var twins = map[string]twin{
	"checkout-cart":       {"/v1/orders/{order_id}", "order"},
	"ship-order":          {"/v1/orders/{order_id}", "order"},
	"retry-allocation":    {"/v1/orders/{order_id}", "order"},
	"request-refund":      {"/v1/orders/{order_id}", "order"},
	"retry-refund":        {"/v1/orders/{order_id}", ""},
	"settle-refund":       {"/v1/orders/{order_id}", ""},
	"explain-refund":      {"/v1/orders/{order_id}", ""},
	"reduce-price":        {"/v1/orders/{order_id}", "order"},
	"credit-charge":       {"/v1/orders/{order_id}", "order"},
	"add-surcharge":       {"/v1/orders/{order_id}", "order"},
	"claw-back":           {"/v1/orders/{order_id}", "order"},
	"issue-gift-card":     {"/v1/gift-cards/{gift_card_id}", "gift_card"},
	"show-gift-card-code": {"/v1/gift-cards/{gift_card_id}", "gift_card"},
	"find-gift-card":      {"/v1/gift-cards/{gift_card_id}", ""},
	"note-credit":         {"/v1/returns/{return_id}", ""},
	"reserve-stock":       {"/v1/stock/{sku}/{location}", "stock"},
	"extend-reservation":  {"/v1/stock/{sku}/{location}", "stock"},
	"release-reservation": {"/v1/stock/{sku}/{location}", "stock"},
	"commit-reservation":  {"/v1/stock/{sku}/{location}", "stock"},
	"retry-process":       {"/v1/processes", "process"},
	"dismiss-process":     {"/v1/processes", ""},
	"create-key":          {"/v1/keys", "key"},
	"rotate-key":          {"/v1/keys", "key"},
	"revoke-key":          {"/v1/keys", ""},
	"define-role":         {"/v1/roles", ""},
	"remove-role":         {"/v1/roles", ""},
	"sign-in":             {"/v1/auth/sessions", "session"},
	"enter-code":          {"/v1/auth/sessions", "session"},
	"confirm-factor":      {"/v1/auth/sessions", "session"},
	"confirm-sign-up":     {"/v1/auth/sessions", "session"},
	"redeem-token":        {"/v1/staff", ""},
	"invite-staff":        {"/v1/staff", "person"},
	"end-staff-session":   {"/v1/staff", ""},
	"give-token":          {"/v1/staff", "person"},
	"change-email":        {"/v1/staff", "person"},
	"confirm-email":       {"/v1/staff", ""},
}

// unread are the commands that answer with nothing that a read shows, with the reason.
var unread = map[string]string{
	"begin-factor":         "the secret is shown once",
	"change-password":      "no session is left that could be read",
	"end-session":          "the session has ended",
	"begin-new-factor":     "the secret is shown once",
	"replace-factor":       "the codes are shown once",
	"renew-recovery-codes": "the codes are shown once",
	"sign-up":              "the response is the same for every address",
	"invite-customer":      "only the mail has the link",
	"request-reset":        "the response is the same for every address",
	"know-browser":         "the response is a cookie",
	"ask-email":            "the response is the same for every address",
	"set-list-prices":      "the response has the terms of the list, which get-price-list shows",
	"import-list-prices":   "the response says what the import changed",
	"quote-cart":           "nothing was recorded that could be read",
	"give-codes":           "the response has the codes of the request",
	"withdraw-codes":       "the response has the codes of the request",
	"receive-webhook":      "the provider learns nothing of the order",
	"preview-price":        "nothing was recorded that could be read",
	"sign-out":             "the session has ended",
	"erase-subject":        "what was read of the person is gone",
	"share-wish-list":      "no read shows the token",
	"erase-customer":       "what was read of the person is gone",
}

// twinOf finds the read of the thing that a command changes or makes, from the command's path.
func twinOf(doc map[string]any, id, path string) (twin, bool) {
	if pair, told := twins[id]; told {
		return pair, true
	}
	paths, _ := doc["paths"].(map[string]any)
	made := slices.DeleteFunc(slices.Sorted(maps.Keys(paths)), func(p string) bool {
		rest, below := strings.CutPrefix(p, path+"/{")
		return !below || strings.Contains(rest, "/")
	})
	for at := cmp.Or(strings.Join(made[:min(1, len(made))], ""), path); at != ""; at = at[:strings.LastIndex(at, "/")] {
		if item, _ := paths[at].(map[string]any); item["get"] != nil {
			return twin{path: at}, true
		}
	}
	return twin{}, false
}

// writes calls visit with each operation that changes something.
func writes(doc map[string]any, visit func(id, method, path string, operation map[string]any)) {
	paths, _ := doc["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[path].(map[string]any)
		for _, method := range []string{"post", "put", "patch", "delete"} {
			if operation, _ := item[method].(map[string]any); operation != nil {
				id, _ := operation["operationId"].(string)
				visit(id, method, path, operation)
			}
		}
	}
}

// answerOf is the schema of a success, or nil where that is not JSON.
func answerOf(operation map[string]any) map[string]any {
	responses, _ := operation["responses"].(map[string]any)
	for _, status := range []string{"200", "201"} {
		response, _ := responses[status].(map[string]any)
		content, _ := response["content"].(map[string]any)
		media, _ := content["application/json"].(map[string]any)
		if schema, is := media["schema"].(map[string]any); is {
			return schema
		}
	}
	return nil
}

// resolvedOf follows a reference.
func resolvedOf(doc, schema map[string]any) map[string]any {
	ref, _ := schema["$ref"].(string)
	name, refers := strings.CutPrefix(ref, "#/components/schemas/")
	if !refers {
		return schema
	}
	components, _ := doc["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	found, _ := schemas[name].(map[string]any)
	return found
}

func memberOf(doc, schema map[string]any, name string) map[string]any {
	properties, _ := resolvedOf(doc, schema)["properties"].(map[string]any)
	member, _ := properties[name].(map[string]any)
	return member
}

// A command and a read show a thing in the same form. So a client needs only one type for it.
func TestACommandAndAReadOfTheSameThingHaveOneSchema(t *testing.T) {
	t.Parallel()
	doc := document(t)
	pairs := 0
	writes(doc, func(id, method, path string, operation map[string]any) {
		if unread[id] != "" {
			return
		}
		pair, found := twinOf(doc, id, path)
		if !found {
			t.Errorf("%s: no read shows what it answers with: give it a row in twins", id)
			return
		}
		read := answerOf(object(t, doc, "paths", pair.path, "get"))
		if items := memberOf(doc, read, "items"); items != nil {
			read, _ = items["items"].(map[string]any)
		}
		wrote := answerOf(operation)
		if pair.member != "" {
			wrote = memberOf(doc, wrote, pair.member)
		}
		pairs++
		if wrote["$ref"] == nil || wrote["$ref"] != read["$ref"] {
			t.Errorf("%s answers with %v, and a read of %s with %v", id, wrote["$ref"], pair.path, read["$ref"])
		}
	})
	if pairs < 45 {
		t.Errorf("%d pairs, want those of all commands", pairs)
	}
}

// If a list and a single response both have a member, the member has the same form in both.
func TestAListShowsThingsInTheFormOfASingleAnswer(t *testing.T) {
	t.Parallel()
	doc := document(t)
	lists := 0
	for path := range object(t, doc, "paths") {
		get, _ := object(t, doc, "paths", path)["get"].(map[string]any)
		if get == nil {
			continue
		}
		single := answerOf(get)
		list, _, _ := strings.Cut(path, "/{")
		all, _ := object(t, doc, "paths")[list].(map[string]any)
		of, _ := all["get"].(map[string]any)
		if list == path || of == nil || strings.HasSuffix(path, "s") || strings.HasSuffix(path, "/export") { // an export has several things
			continue
		}
		items := memberOf(doc, answerOf(of), "items")
		item, _ := items["items"].(map[string]any)
		members, _ := resolvedOf(doc, item)["properties"].(map[string]any)
		for name, member := range members {
			other := memberOf(doc, single, name)
			if other == nil {
				continue
			}
			lists++
			if a, b := form(t, member), form(t, other); a != b {
				t.Errorf("%s: %s is %s in the list and %s in a single answer", path, name, a, b)
			}
		}
	}
	if lists < 30 {
		t.Errorf("%d members, want those of all lists", lists)
	}
}

// form is a schema without its description.
func form(t *testing.T, schema any) string {
	t.Helper()
	plain := maps.Clone(schema.(map[string]any)) //nolint:forcetypeassert // of a document
	delete(plain, "description")
	text, err := json.Marshal(plain, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The types of the domain give stored events their form. Responses have their own types, so they do
// not change when a State of the domain changes.
func TestNoTypeOfTheDomainStandsInAnAnswer(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for path, item := range object(t, doc, "paths") {
		if path == "/v1/events" || path == "/v1/streams/{stream}" || strings.HasSuffix(path, "/export") {
			continue // they answer with events
		}
		for method, operation := range item.(map[string]any) {
			seen := map[string]bool{}
			var walk func(value any)
			walk = func(value any) {
				switch value := value.(type) {
				case map[string]any:
					if ref, _ := value["$ref"].(string); ref != "" && !seen[ref] {
						seen[ref] = true
						if strings.HasPrefix(ref, "#/components/schemas/Event") {
							t.Errorf("%s %s answers with %s", method, path, ref)
						}
						walk(resolvedOf(doc, value))
					}
					for _, inner := range value {
						walk(inner)
					}
				case []any:
					for _, inner := range value {
						walk(inner)
					}
				}
			}
			walk(answerOf(operation.(map[string]any)))
		}
	}
}

// story runs commands. It compares the response of each command with the response of a read at the
// command's position.
type story struct {
	*node
	keys int
	ran  map[string]bool // "POST /v1/carts/{cart_id}/lines"
}

// do runs a command and compares its response with that of a read. read is the path of the read.
// member names the member of the command's response that has the thing; if it is empty, the whole
// response is the thing.
func (s *story) do(method, template, path, body, member, read string, as any) {
	s.Helper()
	s.keys++
	form := "application/json"
	if method == http.MethodPatch && member == "" && template == "/v1/carts/{cart_id}" {
		form = "application/merge-patch+json"
	}
	answer := s.must(method, path, body, "Content-Type", form, keyHeader, fmt.Sprintf("story-%d", s.keys))
	s.ran[method+" "+template] = true
	wrote := jsontext.Value(strings.TrimSpace(answer.text))
	if member != "" {
		var members map[string]jsontext.Value
		if err := json.Unmarshal([]byte(answer.text), &members); err != nil {
			s.Fatal(err)
		}
		wrote = members[member]
	}
	shown := s.must("GET", read, "", "Daybook-Min-Position", answer.header.Get("Daybook-Position"), "Prefer", "wait=10")
	if got := s.withoutReadsOnly(shown.text, as); !bytes.Equal(got, wrote) {
		s.Errorf("%s %s answers\n%s\nand a read\n%s\nwhich, without the members that only reads have, is\n%s", method, path, wrote, shown.text, got)
	}
	// Only the first part of the ETag is compared. The rest depends on the body, and the body of a
	// read has more members.
	wroteAt, _, _ := strings.Cut(answer.header.Get("ETag"), ".")
	if readAt, _, _ := strings.Cut(shown.header.Get("ETag"), "."); wroteAt != readAt {
		s.Errorf("%s %s: the revision of the ETag is %s, and %s when it is read", method, path, wroteAt, readAt)
	}
}

// withoutReadsOnly returns the response of a read without the members that only reads have.
func (s *story) withoutReadsOnly(text string, as any) []byte {
	s.Helper()
	into := reflect.New(reflect.TypeOf(as))
	if err := json.Unmarshal([]byte(text), into.Interface(), json.RejectUnknownMembers(true)); err != nil {
		s.Fatal(err)
	}
	clearReadsOnly(into.Elem())
	rest, err := json.Marshal(into.Interface())
	if err != nil {
		s.Fatal(err)
	}
	return rest
}

func clearReadsOnly(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			clearReadsOnly(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); resource.OnlyInReads(field) {
				v.Field(i).SetZero()
			} else if field.IsExported() {
				clearReadsOnly(v.Field(i))
			}
		}
	default:
	}
}

func (s *story) product(method, rest, path, body string) {
	s.Helper()
	sku, _, _ := strings.Cut(path, "/")
	s.do(method, "/v1/products/{sku}"+rest, "/v1/products/"+path, body, "", "/v1/products/"+sku, resource.Product{})
}

func (s *story) stock(method, rest, path, body, member string) {
	s.Helper()
	s.stockAt("main", method, rest, path, body, member)
}

func (s *story) stockAt(location, method, rest, path, body, member string) {
	s.Helper()
	item := "/v1/stock/mug/" + location
	s.do(method, "/v1/stock/{sku}/{location}"+rest, item+path, body, member, item, resource.Stock{})
}

func (s *story) cart(method, rest, id, path, body string) {
	s.Helper()
	s.do(method, "/v1/carts/{cart_id}"+rest, "/v1/carts/"+id+path, body, "", "/v1/carts/"+id, resource.Cart{})
}

func (s *story) order(method, rest, id, path, body, member string) {
	s.Helper()
	s.do(method, "/v1/orders/{order_id}"+rest, "/v1/orders/"+id+path, body, member, "/v1/orders/"+id, resource.Order{})
}

func (s *story) giveBack(method, rest, id, path, body string) {
	s.Helper()
	s.do(method, "/v1/returns/{return_id}"+rest, "/v1/returns/"+id+path, body, "", "/v1/returns/"+id, resource.Return{})
}

// placed makes an order of two lines of mugs and a service.
func (s *story) placed(id, more string) {
	s.Helper()
	cart := "cart-of-" + id
	s.do("POST", "/v1/carts", "/v1/carts",
		`{"cart_id":"`+cart+`","customer_id":"ann","currency":"GBP","country":"France","lines":[{"sku":"mug","quantity":2},{"sku":"Mug","quantity":1},{"sku":"post","quantity":1}]}`,
		"", "/v1/carts/"+cart, resource.Cart{})
	s.do("POST", "/v1/carts/{cart_id}/checkout", "/v1/carts/"+cart+"/checkout", `{"order_id":"`+id+`","reference":"R-1"`+more+`}`,
		"order", "/v1/orders/"+id, resource.Order{})
}

// ofPrices defines prices, shipping and taxes, and ends them.
func (s *story) ofPrices() {
	s.Helper()
	list := func(method, rest, body string) {
		s.do(method, "/v1/price-lists/{price_list_id}"+rest, "/v1/price-lists/trade"+rest, body, "", "/v1/price-lists/trade", resource.PriceList{})
	}
	list("PUT", "", `{"title":"Trade","currency":"GBP","price_mode":"incl","active":true,"priority":5,"channels":["web"],"customer_groups":["trade"],"customer_ids":["ann"],"countries":["gb"],"valid_from":"2026-01-31T13:00:00.123456789+01:00"}`)
	list("POST", "/prices", `{"prices":[{"sku":"mug","tiers":[{"price":"7.125"},{"from_quantity":10,"price":"7"}]}]}`)
	s.ran["POST /v1/price-lists/{price_list_id}/import"], s.ran["POST /v1/price-preview"] = true, true
	s.must("POST", "/v1/price-lists/trade/import", `{"csv":"sku,price\ncup,3.00\n"}`)
	s.must("POST", "/v1/price-preview", `{"currency":"GBP","lines":[{"sku":"mug","quantity":2}]}`)
	list("DELETE", "", "")
	method := func(verb, body string) {
		s.do(verb, "/v1/shipping-methods/{method_id}", "/v1/shipping-methods/parcel", body, "", "/v1/shipping-methods/parcel", resource.ShippingMethod{})
	}
	method("PUT", `{"title":"Parcel","carrier":"post","price_mode":"incl","active":true,"max_weight_grams":30000,"rates":[{"zone":{"country":"nl","postcode":"97*"},"currency":"EUR","basis":"by_weight","steps":[{"price":"4.95"},{"from_value":"2000","price":"6.95","per_extra":"0.001"}],"free_above":"90"}]}`)
	method("DELETE", "")
	entity := func(verb, body string) {
		s.do(verb, "/v1/legal-entities/{entity_id}", "/v1/legal-entities/nl", body, "", "/v1/legal-entities/nl", resource.LegalEntity{})
	}
	entity("PUT", `{"title":"Example B.V.","home":{"country":"NL"},"price_mode":"incl","channels":["nowhere"],"registrations":[{"country":"nl","number":"NL001234567B01"}],"default_class":"standard","taxes":[{"place":{"country":"NL"},"tax_class":"standard","component":"NL VAT","rate":"21.0","valid_until":"2027-01-01T00:00:00Z"}]}`)
	entity("DELETE", "")
}

// ofPromotions defines a coupon, puts it on a cart, and ends it.
func (s *story) ofPromotions() {
	s.Helper()
	const at = "/v1/promotions/spring"
	promotion := func(method, path, body string) {
		s.Helper()
		s.do(method, "/v1/promotions/{promotion_id}", path, body, "", at, resource.Promotion{})
	}
	promotion("PUT", at, `{"title":"Spring","kind":"coupon","class":"order","active":true,"action":{"type":"percent_off","percent":"10.50","target":{"skus":["mug"]}},"conditions":{"min_subtotal":[{"amount":"2.0","currency":"GBP"}],"countries":["gb"],"days":[1,2]},"limits":{"uses":100,"uses_per_customer":1,"budget":{"amount":"500","currency":"GBP"}},"valid_until":"2046-01-31T13:00:00.123456789+01:00"}`)
	s.ran["POST /v1/promotions/{promotion_id}/codes"], s.ran["POST /v1/promotions/{promotion_id}/withdraw-codes"] = true, true
	s.must("POST", at+"/codes", `{"codes":["spring-10","SPRING-20"]}`)
	s.must("POST", at+"/withdraw-codes", `{"codes":["SPRING-20"]}`)
	s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"couponed","currency":"GBP","lines":[{"sku":"mug","quantity":1}]}`, "", "/v1/carts/couponed", resource.Cart{})
	s.cart("PUT", "/coupons/{code}", "couponed", "/coupons/spring-10", "")
	s.cart("PUT", "/shipping", "couponed", "/shipping", `{"method_id":"parcel"}`)
	s.ran["POST /v1/carts/{cart_id}/quote"] = true
	s.must("POST", "/v1/carts/couponed/quote", "")
	s.cart("PUT", "/discounts/{discount_id}", "couponed", "/discounts/d", `{"line":1,"amount":{"amount":"0.50","currency":"GBP"},"reason_code":"damaged"}`)
	s.cart("PUT", "/tax-status", "couponed", "/tax-status", `{"kind":"exempt","checked_by":"ann","proof":"7","certificate_until":"2046-01-31T13:00:00.123456789+01:00"}`)
	s.must("POST", "/v1/carts/couponed/quote", "")
	s.cart("DELETE", "/tax-status", "couponed", "/tax-status", "")
	s.cart("DELETE", "/discounts/{discount_id}", "couponed", "/discounts/d", "")
	s.cart("DELETE", "/coupons/{code}", "couponed", "/coupons/SPRING10", "")
	promotion("DELETE", at+"?reason=over", "")
}

// ofGiftCards gives credit to a customer, sells a gift card, and ends both.
func (s *story) ofGiftCards() {
	s.Helper()
	card := func(rest, id, path, body, member string) {
		s.Helper()
		s.do("POST", "/v1/gift-cards"+rest, "/v1/gift-cards"+path, body, member, "/v1/gift-cards/"+id, resource.GiftCard{})
	}
	credit := string(giftcard.AccountID("ann", "GBP"))
	card("", credit, "", `{"amount":{"amount":"2.5","currency":"GBP"},"customer_id":"ann","reason":"late"}`, "gift_card")
	s.product("PUT", "", "voucher", `{"title":"Voucher","kind":"service","gift_card":true,"prices":[{"amount":"25","currency":"GBP"}]}`)
	s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"gifts","currency":"GBP","lines":[{"sku":"voucher","quantity":1}]}`, "", "/v1/carts/gifts", resource.Cart{})
	s.do("POST", "/v1/carts/{cart_id}/checkout", "/v1/carts/gifts/checkout", `{"order_id":"gifts","payment":{"transaction_id":"p-7"},"confirm":true}`, "order", "/v1/orders/gifts", resource.Order{})
	code := secretsOfNodes.Code("sold", "gifts", "1", "1")
	sold, _ := secretsOfNodes.Card(code)
	card("/{gift_card_id}/code", string(sold), "/"+string(sold)+"/code", "", "gift_card")
	s.ran["POST /v1/gift-cards/find"] = true
	found := s.must("POST", "/v1/gift-cards/find", `{"code":"`+code+`"}`)
	shown := s.must("GET", "/v1/gift-cards/"+string(sold), "")
	if got := s.withoutReadsOnly(shown.text, resource.GiftCard{}); strings.TrimSpace(found.text) != string(got) {
		s.Errorf("the card is found as\n%s\nand shown as\n%s", found.text, got)
	}
	for _, id := range []string{credit, string(sold)} {
		card("/{gift_card_id}/disable", id, "/"+id+"/disable", `{"reason":"a mistake"}`, "")
	}
}

// Every command answers with the same members, forms and values as a read at the command's
// position.
func TestACommandAnswersWithWhatIsReadAtItsPosition(t *testing.T) {
	t.Parallel()
	s := &story{node: openNode(t, openDatabase(t)), ran: map[string]bool{}}
	s.product("PUT", "", "mug", `{"title":"Enamel mug","categories":["kitchen"],"weight_grams":350,"prices":[{"amount":"800","currency":"JPY"},{"amount":"7.5","currency":"GBP"},{"amount":"0.0025","currency":"EUR"}]}`)
	s.product("PUT", "/prices/{currency}", "mug/prices/GBP", `{"amount":"7.50"}`)
	s.product("PUT", "", "post", `{"title":"Postage","kind":"service","prices":[{"amount":"1.005","currency":"GBP"}]}`)
	s.product("PUT", "", "old", `{"title":"Old"}`)
	s.product("DELETE", "", "old", "")

	s.ofPrices()
	s.ofPromotions()
	s.ofStock()
	s.ofCarts()
	s.ofOrders()
	s.ofGiftCards()
	s.ofReturns()
	s.ofCustomers()

	s.do("POST", "/v1/credit-notes", "/v1/credit-notes", `{"return_id":"n-1","currency":"GBP","reason":"bad_debt","lines":[{"sku":"mug","quantity":1,"price":"-12.5"}]}`,
		"", "/v1/returns/n-1", resource.Return{})

	doc := document(t)
	writes(doc, func(id, method, path string, _ map[string]any) {
		// This server has no reactor, so it parks no work. It has no keyring, so it lists no API
		// keys and roles. It has no provider of payments. Nobody has signed in, and it has no keys
		// of personal texts; see cmd/daybook. It has no rules of prices, so nothing is clawed back.
		beside := id == "claw-back" || id == "erase-subject" || id == "receive-webhook" || id == "erase-customer" || strings.HasPrefix(path, "/v1/auth/") || strings.HasPrefix(path, "/v1/staff") || strings.HasSuffix(id, "-process") || strings.HasSuffix(id, "-key") || strings.HasSuffix(id, "-role")
		if !s.ran[strings.ToUpper(method)+" "+path] && !beside {
			t.Errorf("the story does not run %s (%s %s)", id, method, path)
		}
	})
}

func (s *story) ofCustomers() {
	s.Helper()
	const at, home = "/v1/customers/17850", `{"name":"Ann","lines":["1 High Street","Flat 2"],"postcode":"LS1 4AP","city":"Leeds","region":"ENG","country":"gb","phone":"112"`
	ask := func(method, rest, path, body string) {
		s.Helper()
		s.do(method, "/v1/customers"+rest, path, body, "", at, resource.Customer{})
	}
	ask("POST", "", "/v1/customers", `{"customer_id":"17850","name":"Ann","email":"ann@home.example"}`)
	ask("PATCH", "/{customer_id}", at, `{"phone":"+44 20 7946 0000","email":null}`)
	ask("POST", "/{customer_id}/addresses", at+"/addresses", home+`}`)
	_, address, _ := strings.Cut(s.must("GET", at, "").text, `"address_id":"`)
	address, _, _ = strings.Cut(address, `"`)
	ask("PUT", "/{customer_id}/addresses/{address_id}", at+"/addresses/"+address, home+`,"default_billing":true}`)
	ask("POST", "/{customer_id}/consents", at+"/consents", `{"purpose":"marketing","version":"2026-01","given":true}`)
	ask("POST", "/{customer_id}/consents", at+"/consents", `{"purpose":"marketing","given":false}`)
	ask("PUT", "/{customer_id}/tax-status", at+"/tax-status", `{"kind":"business","country":"nl","tax_id":"NL1","checked_by":"vies","proof":"7"}`)
	ask("DELETE", "/{customer_id}/tax-status", at+"/tax-status", "")
	ask("PUT", "/{customer_id}/groups", at+"/groups", `{"groups":["vip","trade"]}`)
	ask("POST", "/{customer_id}/notes", at+"/notes", `{"text":"calls often"}`)
	ask("POST", "/{customer_id}/block", at+"/block", `{"reason":"chargebacks"}`)
	ask("POST", "/{customer_id}/unblock", at+"/unblock", `{"reason":"a mistake"}`)
	list := s.wishes(ask, at)
	const other = "/v1/customers/17849"
	s.do("POST", "/v1/customers", "/v1/customers", `{"customer_id":"17849","name":"Ann"}`, "", other, resource.Customer{})
	s.do("POST", "/v1/customers/{customer_id}/merge", other+"/merge", `{"into_customer_id":"17850"}`, "", other, resource.Customer{})
	const details = `{"email":"ann@home.example","gift_message":"for you","billing":` + home + `},"shipping":{"lines":["2"],"country":"FR"}}`
	s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"guests","currency":"GBP","lines":[{"sku":"post","quantity":1}]}`, "", "/v1/carts/guests", resource.Cart{})
	s.cart("PUT", "/details", "guests", "/details", details)
	s.cart("POST", "/wishes", "guests", "/wishes", `{"customer_id":"17850","list_id":"`+list+`"}`)
	s.cart("POST", "/claim", "guests", "/claim", `{"customer_id":"17850"}`)
	s.do("POST", "/v1/carts/{cart_id}/checkout", "/v1/carts/guests/checkout", `{"order_id":"detailed"}`, "order", "/v1/orders/detailed", resource.Order{})
	s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"nobodys","currency":"GBP","lines":[{"sku":"post","quantity":1}]}`, "", "/v1/carts/nobodys", resource.Cart{})
	s.do("POST", "/v1/carts/{cart_id}/checkout", "/v1/carts/nobodys/checkout", `{"order_id":"nobodys"}`, "order", "/v1/orders/nobodys", resource.Order{})
	s.do("POST", "/v1/orders/{order_id}/claim", "/v1/orders/nobodys/claim", `{"customer_id":"17850"}`, "", "/v1/orders/nobodys", resource.Order{})
	ask("DELETE", "/{customer_id}/addresses/{address_id}", at+"/addresses/"+address, "")
	ask("DELETE", "/{customer_id}/wish-lists/{list_id}", at+"/wish-lists/"+list, "")
}

// wishes makes a wish list and returns its id.
func (s *story) wishes(ask func(method, rest, path, body string), at string) (list string) {
	s.Helper()
	const aList = "/{customer_id}/wish-lists/{list_id}"
	ask("POST", "/{customer_id}/wish-lists", at+"/wish-lists", `{"name":"Birthday"}`)
	_, list, _ = strings.Cut(s.must("GET", at, "").text, `"list_id":"`)
	list, _, _ = strings.Cut(list, `"`)
	path := at + "/wish-lists/" + list
	ask("PATCH", aList, path, `{"name":"Christmas"}`)
	ask("PUT", aList+"/wishes/{sku}", path+"/wishes/post", `{"quantity":2}`)
	s.must("POST", path+"/share", "")
	s.ran["POST /v1/customers"+aList+"/share"] = true
	ask("POST", aList+"/unshare", path+"/unshare", "")
	return list
}

func (s *story) ofStock() {
	s.Helper()
	s.stock("POST", "/receipts", "/receipts", `{"quantity":50}`, "")
	s.stock("POST", "/adjustments", "/adjustments", `{"change":-1,"reason":"shrinkage"}`, "")
	s.stock("POST", "/counts", "/counts", `{"expected":49,"counted":48}`, "")
	s.stock("POST", "/moves", "/moves", `{"from":"available","to":"damaged","quantity":1}`, "")
	s.stock("POST", "/moves", "/moves", `{"from":"available","to":"quality_control","quantity":2}`, "")
	s.stock("POST", "/moves", "/moves", `{"from":"available","to":"other","quantity":3}`, "")
	s.stock("PUT", "/policy", "/policy", `{"safety_stock":1,"backorder_limit":2,"reorder_point":40}`, "")
	s.stock("POST", "/transfers-out", "/transfers-out", `{"transfer_id":"t-1","to":"east","quantity":2}`, "")
	s.stockAt("east", "POST", "/transfers-in", "/transfers-in", `{"transfer_id":"t-1","from":"main","quantity":1}`, "")
	for _, id := range []string{"r-1", "r-2"} {
		s.stock("POST", "/reservations", "/reservations", `{"order_id":"x-1","reservation_id":"`+id+`","quantity":2,"hold_seconds":3600}`, "stock")
	}
	const reservation = "/reservations/{reservation_id}"
	s.stock("PATCH", reservation, "/reservations/r-1", `{"hold_seconds":7200}`, "stock")
	s.reservation("r-1")
	s.stock("POST", reservation+"/commit", "/reservations/r-1/commit", "", "stock")
	s.stock("DELETE", reservation, "/reservations/r-2", "", "stock")
	s.stock("POST", "/allocations", "/allocations", `{"order_id":"x-2","quantity":3}`, "")
	s.stock("POST", "/deallocations", "/deallocations", `{"order_id":"x-2","quantity":1}`, "")
	s.stock("POST", "/shipments", "/shipments", `{"order_id":"x-2","shipment_id":"p-x","quantity":1}`, "")
	s.stock("POST", "/returns", "/returns", `{"return_id":"y-1","quantity":1,"condition":"damaged"}`, "")
	s.stock("POST", "/expirations", "/expirations", "", "")
	// More units are promised than are there.
	s.stockAt("west", "PUT", "/policy", "/policy", `{"safety_stock":0,"backorder_limit":3,"reorder_point":0}`, "")
	s.stockAt("west", "POST", "/allocations", "/allocations", `{"order_id":"x-3","quantity":3}`, "")
	s.stockAt("west", "PUT", "/policy", "/policy", `{"safety_stock":4,"backorder_limit":1,"reorder_point":0}`, "")
}

// reservation extends a reservation and compares the reservation in the response with the entry in
// the list.
func (s *story) reservation(id string) {
	s.Helper()
	answer := s.must("PATCH", "/v1/stock/mug/main/reservations/"+id, `{"hold_seconds":7000}`, "Content-Type", "application/json")
	var wrote struct {
		Reservation jsontext.Value `json:"reservation"`
	}
	if err := json.Unmarshal([]byte(answer.text), &wrote); err != nil {
		s.Fatal(err)
	}
	shown := s.must("GET", "/v1/reservations?order_id=x-1", "", "Daybook-Min-Position", answer.header.Get("Daybook-Position"), "Prefer", "wait=10")
	var list struct {
		Items []jsontext.Value `json:"items"`
	}
	if err := json.Unmarshal([]byte(shown.text), &list); err != nil || len(list.Items) == 0 {
		s.Fatalf("reservations %s: %v", shown.text, err)
	}
	if got := s.withoutReadsOnly(string(list.Items[0]), resource.Reservation{}); !bytes.Equal(got, wrote.Reservation) {
		s.Errorf("an extension answers %s, and the list %s", wrote.Reservation, list.Items[0])
	}
}

func (s *story) ofCarts() {
	s.Helper()
	for _, id := range []string{"c-1", "c-2"} {
		s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"`+id+`","currency":"JPY","lines":[{"sku":"mug","quantity":3}]}`, "", "/v1/carts/"+id, resource.Cart{})
	}
	s.cart("POST", "/lines", "c-1", "/lines", `{"lines":[{"sku":"MUG","quantity":1}]}`)
	s.cart("PATCH", "/lines/{line}", "c-1", "/lines/1", `{"quantity":4}`)
	s.cart("PATCH", "", "c-1", "", `{"customer_id":"ann","country":"Spain","lines":[{"line":1,"quantity":5},{"line":2,"quantity":1}]}`)
	s.cart("DELETE", "/lines/{line}", "c-1", "/lines/2", "")
	s.do("POST", "/v1/carts", "/v1/carts", `{"cart_id":"guest","currency":"JPY","lines":[{"sku":"mug","quantity":2}]}`, "", "/v1/carts/guest", resource.Cart{})
	s.cart("POST", "/merge", "c-1", "/merge", `{"from":"guest"}`)
	s.cart("POST", "/abandon", "c-1", "/abandon", `{"reason":"too dear"}`)
	s.cart("POST", "/expire", "c-2", "/expire", "")
}

func (s *story) ofOrders() {
	s.Helper()
	s.placed("o-1", "")
	s.order("POST", "/expire", "o-1", "/expire", "", "")
	s.order("POST", "/hold", "o-1", "/hold", `{"reason":"address unclear"}`, "")
	s.order("POST", "/release-hold", "o-1", "/release-hold", "", "")
	s.order("POST", "/transactions", "o-1", "/transactions", `{"transaction_id":"p-1","type":"capture","state":"pending","amount":{"amount":"23.5","currency":"GBP"},"provider":"stripe","reference":"ch_1"}`, "")
	s.order("PATCH", "/transactions/{transaction_id}", "o-1", "/transactions/p-1", `{"state":"failed"}`, "")
	s.order("POST", "/transactions", "o-1", "/transactions", `{"transaction_id":"p-2","type":"capture","amount":{"amount":"23.51","currency":"GBP"}}`, "")
	s.order("POST", "/confirm", "o-1", "/confirm", "", "")
	s.order("POST", "/retry-allocation", "o-1", "/retry-allocation", "", "order")
	s.order("POST", "/shipments", "o-1", "/shipments", `{"shipment_id":"s-1","lines":[{"line":1,"quantity":2}],"carrier":"Royal Mail","tracking":"T-1"}`, "order")
	s.order("POST", "/shipments", "o-1", "/shipments", `{"shipment_id":"s-2"}`, "order")
	s.order("POST", "/shipments/{shipment_id}/deliver", "o-1", "/shipments/s-1/deliver", "", "")
	s.order("POST", "/shipments/{shipment_id}/deliver", "o-1", "/shipments/s-2/deliver", "", "")
	s.placed("o-4", `,"payment":{"transaction_id":"p-9"},"confirm":true`)
	s.order("POST", "/shipments", "o-4", "/shipments", `{"shipment_id":"s-4"}`, "order")
	s.order("POST", "/shipments/{shipment_id}/report", "o-4", "/shipments/s-4/report", `{"state":"returning","reason":"nobody at home"}`, "")
	s.order("POST", "/shipments/{shipment_id}/come-back", "o-4", "/shipments/s-4/come-back", `{"lines":[{"line":1,"quantity":2},{"line":2,"quantity":1}]}`, "")
	s.order("POST", "/shipments/{shipment_id}/credit", "o-4", "/shipments/s-4/credit", `{"lines":[{"line":1,"quantity":1}],"reason":"wants less"}`, "")
	s.order("POST", "/shipments/{shipment_id}/resend", "o-4", "/shipments/s-4/resend", `{"reason":"still wants them"}`, "")
	s.order("POST", "/complete", "o-1", "/complete", "", "")
	s.order("POST", "/archive", "o-1", "/archive", "", "")
	s.order("POST", "/unarchive", "o-1", "/unarchive", "", "")

	s.placed("o-2", `,"payment":{"transaction_id":"p-3"},"confirm":true`)
	s.order("POST", "/cancel", "o-2", "/cancel", `{"lines":[{"line":2,"quantity":1}],"reason":"asked"}`, "")
	s.order("POST", "/cancel", "o-2", "/cancel", `{"reason":"asked"}`, "")
	// This payment is too late: the order is canceled.
	s.order("POST", "/transactions", "o-2", "/transactions", `{"transaction_id":"p-4","type":"capture","amount":{"amount":"1","currency":"GBP"}}`, "")

	s.placed("o-3", `,"payment":{"transaction_id":"p-6"}`)
	s.order("POST", "/extend", "o-3", "/extend", `{"confirm_by":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`","reason":"waits"}`, "")
	s.order("POST", "/refunds", "o-3", "/refunds", `{"refund_id":"f-1","purpose":"compensation","amount":{"amount":"0.01","currency":"GBP"},"reason":"late"}`, "order")
	part := "/refunds/f-1/parts/" + unit.RefundPart.Of("o-3", "f-1", "p-6").ID()
	s.order("POST", "/refunds/{refund_id}/parts/{part_id}/settle", "o-3", part+"/settle", `{"state":"failed","code":"no"}`, "")
	s.order("POST", "/refunds/{refund_id}/parts/{part_id}/retry", "o-3", part+"/retry", "", "")
	s.order("POST", "/refunds/{refund_id}/parts/{part_id}/settle", "o-3", part+"/settle", `{"state":"succeeded"}`, "")
	s.order("POST", "/reductions", "o-3", "/reductions", `{"credit_id":"k-1","amount":{"amount":"1","currency":"GBP"},"reason":"scratched"}`, "order")
	s.order("POST", "/surcharges", "o-3", "/surcharges", `{"charge_id":"x-1","amount":{"amount":"2","currency":"GBP"},"reason":"an island"}`, "order")
	s.order("POST", "/charges/{charge}/credits", "o-3", "/charges/1/credits", `{"credit_id":"k-2","reason":"a bridge"}`, "order")
	s.order("POST", "/transactions", "o-3", "/transactions", `{"transaction_id":"p-5","type":"refund","amount":{"amount":"1.5","currency":"GBP"}}`, "")
	s.order("POST", "/transactions/{transaction_id}/explain", "o-3", "/transactions/p-5/explain", `{"purpose":"settlement","reason":"a mistake"}`, "")
	s.order("POST", "/write-off", "o-3", "/write-off", `{"reason":"not worth it"}`, "")
}

func (s *story) ofReturns() {
	s.Helper()
	for _, id := range []string{"b-1", "b-2", "b-3"} {
		s.do("POST", "/v1/returns", "/v1/returns", `{"return_id":"`+id+`","order_id":"o-1","reason":"chipped","lines":[{"order_line":1,"quantity":1}]}`,
			"", "/v1/returns/"+id, resource.Return{})
		if id != "b-1" {
			rest := map[string]string{"b-2": "/decline", "b-3": "/cancel"}[id]
			s.giveBack("POST", rest, id, rest, `{"reason":"no"}`)
		}
	}
	s.giveBack("POST", "/approve", "b-1", "/approve", "")
	s.giveBack("POST", "/receipts", "b-1", "/receipts", `{"lines":[{"line":1,"quantity":1,"disposition":"damaged"}]}`)
	s.giveBack("POST", "/refunds", "b-1", "/refunds", `{"transaction_id":"rf-1","amount":{"amount":"7.5","currency":"GBP"},"provider":"stripe"}`)
	s.giveBack("POST", "/close", "b-1", "/close", "")
	s.do("POST", "/v1/returns", "/v1/returns", `{"return_id":"b-4","currency":"GBP","lines":[{"sku":"mug","quantity":1,"price":"2"}]}`, "", "/v1/returns/b-4", resource.Return{})
	// This is run again, because the order now also shows what came back.
	s.order("POST", "/archive", "o-1", "/archive", "", "")
}
