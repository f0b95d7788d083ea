package projections_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/filestest"
	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/domain/order"
	"daybook/domain/payment"
	"daybook/domain/product"
	"daybook/domain/returns"
	"daybook/domain/staff"
	"daybook/domain/stock"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/projections"
)

// boundless has a field of every kind that has bounds.
type boundless struct {
	Number  unit.Quantity
	Text    string
	Name    unit.SKU
	At      time.Time
	Amount  decimal.Decimal
	Several []unit.Money
	Nested  *struct{ Count int }
}

func TestAValueOutOfBoundsIsReadAsTheNearestWithin(t *testing.T) {
	t.Parallel()
	amount := func(text string) decimal.Decimal { return decimal.RequireFromString(text) }
	for name, test := range map[string]struct {
		read    boundless
		changed string
		check   func(boundless) bool
	}{
		"a number too high":   {boundless{Number: math.MaxInt64}, "Number", func(b boundless) bool { return b.Number == 1e15 }},
		"a number too low":    {boundless{Number: math.MinInt64}, "Number", func(b boundless) bool { return b.Number == -1e15 }},
		"a text with NUL":     {boundless{Text: "a\x00b"}, "Text", func(b boundless) bool { return b.Text == "a\uFFFDb" }},
		"a text too long":     {boundless{Text: strings.Repeat("é", 3000)}, "Text", func(b boundless) bool { return b.Text == strings.Repeat("é", 2048) }},
		"a name too long":     {boundless{Name: unit.SKU("x" + strings.Repeat("é", 200))}, "Name", func(b boundless) bool { return len(b.Name) == 255 }},
		"a time too early":    {boundless{At: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}, "At", func(b boundless) bool { return b.At.Equal(eventstore.EarliestCredible) }},
		"a time too late":     {boundless{At: time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)}, "At", func(b boundless) bool { return b.At.Day() == 30 }},
		"an amount too high":  {boundless{Amount: decimal.New(1, 2_000_000_000)}, "Amount", func(b boundless) bool { return b.Amount.Equal(amount("1e36")) }},
		"an amount too low":   {boundless{Amount: amount("-1e37")}, "Amount", func(b boundless) bool { return b.Amount.Equal(amount("-1e36")) }},
		"an amount too fine":  {boundless{Amount: amount("1.2345678901234567899")}, "Amount", func(b boundless) bool { return b.Amount.Equal(amount("1.234567890123456789")) }},
		"an amount near zero": {boundless{Amount: decimal.New(1, -2_000_000_000)}, "Amount", func(b boundless) bool { return b.Amount.IsZero() }},
		"in a list": {
			boundless{Several: []unit.Money{{}, {Amount: amount("1e99")}}},
			"Several.Amount",
			func(b boundless) bool { return b.Several[1].Amount.Equal(amount("1e36")) },
		},
		"behind a pointer": {
			boundless{Nested: &struct{ Count int }{math.MaxInt}},
			"Nested.Count",
			func(b boundless) bool { return b.Nested.Count == 1e15 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, changed := projections.Bounded(test.read)
			if bounded, same := got.(boundless); !same || changed != test.changed || !test.check(bounded) {
				t.Errorf("%+v, changed %q, want %q", got, changed, test.changed)
			}
		})
	}
}

func TestWhatCommandsAdmitIsWithinBounds(t *testing.T) {
	t.Parallel()
	most, err := unit.ParseAmount("-" + strings.Repeat("9", 18) + ".999999")
	if err != nil {
		t.Fatal(err)
	}
	total := unit.Money{Amount: most}.Times(unit.MaxQuantity)
	for _, value := range []boundless{
		{},
		{Number: unit.MaxQuantity, Amount: total.Amount, At: time.Now().AddDate(1, 0, 0)},
		{Number: -unit.MaxQuantity, Text: strings.Repeat("👾", unit.MaxNote), Name: unit.SKU(strings.Repeat("é", 64))},
	} {
		if got, changed := projections.Bounded(value); changed != "" {
			t.Errorf("%s of %+v is changed: %+v", changed, value, got)
		}
	}
	reference := strings.Repeat("👾", unit.MaxReference)
	if projections.Key(reference) != reference || len(projections.Key(strings.Repeat(reference, 2))) > 400 {
		t.Error("a reference is cut, or a longer text is not")
	}
}

// Each event that a codec can read has a plan, and so have the metadata. Bounded panics on a field
// of an unknown kind.
func TestEveryEventHasBounds(t *testing.T) {
	t.Parallel()
	codecs := map[string]func() (types []string, decode func(string) (any, error)){
		"access":   codec(access.Types, access.Decode),
		"cart":     codec(cart.Types, cart.Decode),
		"order":    codec(order.Types, order.Decode),
		"product":  codec(product.Types, product.Decode),
		"staff":    codec(staff.Types, staff.Decode),
		"customer": codec(customer.Types, customer.Decode),
		"returns":  codec(returns.Types, returns.Decode),
		"stock":    codec(stock.Types, stock.Decode),
		"subject":  codec(subject.Types, subject.Decode),

		"pricelist": codec(pricelist.Types, pricelist.Decode),
		"shipping":  codec(shipping.Types, shipping.Decode),
		"entity":    codec(entity.Types, entity.Decode),
		"promotion": codec(promotion.Types, promotion.Decode),
		"coupon":    codec(coupon.Types, coupon.Decode),
		"payment":   codec(payment.Types, payment.Decode),
		"giftcard":  codec(giftcard.Types, giftcard.Decode),
	}
	for _, file := range filestest.OfAggregates(t, "../domain", "codec.go") {
		name := filepath.Base(filepath.Dir(file))
		if codecs[name] == nil {
			t.Errorf("the codec of %s is not in this test", name)
			continue
		}
		types, decode := codecs[name]()
		for _, typ := range types {
			value, err := decode(typ)
			if err != nil {
				t.Errorf("%s: %v", typ, err)
				continue
			}
			projections.Bounded(value)
		}
	}
	projections.Bounded(eventstore.Metadata{})
}

func codec[E any](types func() []string, decode func(string, []byte) (E, error)) func() ([]string, func(string) (any, error)) {
	return func() ([]string, func(string) (any, error)) {
		return types(), func(typ string) (any, error) { return decode(typ, []byte("{}")) }
	}
}

func TestAKindWithoutBoundsIsRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"a map":                               struct{ M map[string]string }{},
		"a float":                             struct{ N float64 }{},
		"a small number":                      struct{ N int32 }{},
		"an unsigned number":                  struct{ N uint }{},
		"an interface":                        struct{ V any }{},
		"a list of bytes":                     struct{ B []byte }{},
		"a float in a list":                   struct{ Several []struct{ N float32 } }{},
		"an unsigned number behind a pointer": struct{ Nested *struct{ N uint64 } }{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Errorf("%T is taken", value)
				}
			}()
			projections.Bounded(value)
		})
	}
	projections.Bounded(struct{ m map[string]string }{}) // no event is decoded into it
}

// tree is a type with parts of the same type.
type tree struct {
	Text     string
	Left     *tree
	Branches []branch
}

type branch struct{ Tree tree }

func TestATypeWithinItselfHasBounds(t *testing.T) {
	t.Parallel()
	value := tree{Left: &tree{Branches: []branch{{tree{Left: &tree{Text: "a\x00"}}}}}}
	got, changed := projections.Bounded(value)
	if deep := got.(tree).Left.Branches[0].Tree.Left.Text; deep != "a\uFFFD" || changed != "Left.Branches.Tree.Left.Text" {
		t.Errorf("%q, changed %q", deep, changed)
	}
	// The plan of a part is made while the plan of the whole is made. It must be complete.
	part := branch{tree{Branches: []branch{{tree{Text: "\x00"}}}}}
	if _, changed := projections.Bounded(part); changed != "Tree.Branches.Tree.Text" {
		t.Errorf("changed %q", changed)
	}
}
