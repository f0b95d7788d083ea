package contact_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"daybook/domain/contact"
)

func TestAnAddressNamesItsFaults(t *testing.T) {
	t.Parallel()
	good := contact.Address{Name: "Ann", Lines: []string{"1 High Street"}, Postcode: "AB1 2CD", City: "Leeds", Region: "ENG", Country: "GB", Phone: "+44 20 7946 0000"}
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		change func(*contact.Address)
		want   []string
	}{
		"nothing is wrong":       {func(*contact.Address) {}, nil},
		"only what is needed":    {func(a *contact.Address) { *a = contact.Address{Lines: []string{"x"}, Country: "DE"} }, nil},
		"no line":                {func(a *contact.Address) { a.Lines = nil }, []string{"lines"}},
		"an empty line":          {func(a *contact.Address) { a.Lines = []string{"a", ""} }, []string{"lines/1"}},
		"too many lines":         {func(a *contact.Address) { a.Lines = []string{"a", "b", "c", "d", "e"} }, []string{"lines"}},
		"a country in words":     {func(a *contact.Address) { a.Country = "England" }, []string{"country"}},
		"a country that is none": {func(a *contact.Address) { a.Country = "UK" }, []string{"country"}},
		"no country":             {func(a *contact.Address) { a.Country = "" }, []string{"country"}},
		"a region in words":      {func(a *contact.Address) { a.Region = "Kent" }, []string{"region"}},
		"all that is too long": {func(a *contact.Address) {
			*a = contact.Address{Name: long, Company: long, Lines: []string{long}, Postcode: long, City: long, Country: "GB", Phone: strings.Repeat("1", 33)}
		}, []string{"name", "company", "lines/0", "postcode", "city", "phone"}},
	} {
		a := good
		c.change(&a)
		var got []string
		for _, fault := range a.Faults() {
			got = append(got, fault.Member)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestFormsOfContacts(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		fault     func(string) string
		good, bad []string
	}{
		"e-mail": {
			contact.EmailFault,
			[]string{"", "ann@shop.example", "a.b+c@x.y.z", "ünal@shop.example"},
			[]string{"ann", "@shop.example", "ann@", "ann@shop", "ann@.example", "ann@shop.", "ann@a..b", "a b@shop.example", "ann@shop.example\n", "a@b@c.d", "Ann <ann@shop.example>", strings.Repeat("x", 65) + "@shop.example", "a@" + strings.Repeat("x", 250) + ".de"},
		},
		"phone":  {contact.PhoneFault, []string{"", "112", "+44 (0)20 7946-0000", "030/123.45"}, []string{"1", "12", "call me", "1+234", "+", strings.Repeat("1", 33)}},
		"locale": {contact.LocaleFault, []string{"", "en", "de-AT", "zh-Hant-TW", "gsw"}, []string{"e", "english", "en_GB", "1n", "en-", "-en", "en-" + strings.Repeat("a", 9), strings.Repeat("en-", 20)}},
		"region": {contact.RegionFault, []string{"", "CA", "NSW", "75"}, []string{"ca", "KENT", "C A", "Ä"}},
	} {
		for _, text := range c.good {
			if fault := c.fault(text); fault != "" {
				t.Errorf("%s %q: %s", what, text, fault)
			}
		}
		for _, text := range c.bad {
			if c.fault(text) == "" {
				t.Errorf("%s: %q is taken", what, text)
			}
		}
	}
	if contact.FoldEmail(" Ann@Shop.Example ") != "ann@shop.example" {
		t.Error("upper and lower case make two addresses")
	}
}

// An invoice needs the address for bills, or else the one for parcels, and nothing that only helps
// to reach the buyer.
func TestAnInvoiceNeedsOneAddress(t *testing.T) {
	t.Parallel()
	bill := contact.Address{Name: "Ann", Company: "Ann Ltd", Lines: []string{"1 High Street"}, Postcode: "AB1 2CD", City: "Leeds", Region: "ENG", Country: "GB", Phone: "+44 20 7946 0000"}
	parcels := contact.Address{Name: "Bob", Lines: []string{"2 Low Street"}, Country: "DE", Phone: "112"}
	more := contact.Details{Email: "ann@shop.example", Phone: "112", DeliveryNotes: "at the back", GiftMessage: "Congratulations", BuyerReference: "PO 7"}
	for name, c := range map[string]struct {
		billing, shipping *contact.Address
		want              *contact.Address
	}{
		"both addresses":       {&bill, &parcels, &bill},
		"an address for bills": {&bill, nil, &bill},
		"one for parcels":      {nil, &parcels, &parcels},
		"no address":           {nil, nil, nil},
	} {
		given := more
		given.Billing, given.Shipping = c.billing, c.shipping
		got := given.ForInvoice()
		if c.want == nil {
			if !got.Empty() {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		want := *c.want
		want.Phone = ""
		if got.Billing == nil || !reflect.DeepEqual(*got.Billing, want) || got != (contact.Details{Billing: got.Billing}) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.want.Phone == "" {
			t.Errorf("%s: the order has lost its phone number", name)
		}
	}
}
