package product

import (
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// Category starts the names of product streams.
const Category = "product"

// Stream names a product's stream: "product-85123A".
func Stream(sku unit.SKU) string { return Category + "-" + string(sku) }

// FoldVersion is that of State's shape and of Evolve; a snapshot of another
// version is not used.
const FoldVersion = 1

// State is what the rules need to know of a product. The zero State is a code
// that was never listed.
type State struct {
	Phase  Phase                        `json:"phase,omitempty"`
	Title  string                       `json:"title,omitempty"`
	Kind   unit.Kind                    `json:"kind,omitempty"`
	Prices map[unit.Currency]unit.Money `json:"prices,omitempty"`
}

// Phase is where a product is in its life; empty before it begins.
type Phase string

const (
	OnSale    Phase = "on_sale"
	OffSale   Phase = "retired"
	NotListed Phase = ""
)

// The refusals of a product.
var (
	ErrNotFound      = &rule.Rejection{Code: "product-not-found", Detail: "No product is listed under this SKU."}
	ErrRetired       = &rule.Rejection{Code: "product-retired", Detail: "The product is no longer sold."}
	ErrNotPriced     = &rule.Rejection{Code: "product-not-priced", Detail: "The product has no price in this currency."}
	ErrKindFixed     = &rule.Rejection{Code: "product-kind-fixed", Detail: "A listed product keeps its kind: stock may hold it."}
	ErrKindUnknown   = &rule.Rejection{Code: "product-kind-unknown", Detail: "A product is stocked or a service."}
	ErrTitleInvalid  = &rule.Rejection{Code: "product-title-invalid", Detail: "A title is one line of 1 to 200 characters that can be seen."}
	ErrTextTooLong   = &rule.Rejection{Code: "product-text-too-long", Detail: "A reason has at most 500 characters, of which some can be seen."}
	ErrPriceNegative = &rule.Rejection{Code: "price-negative", Detail: "Only a service may have a negative price."}
)

// Rejections are all refusals of this package.
var Rejections = []*rule.Rejection{
	ErrNotFound, ErrRetired, ErrNotPriced, ErrKindFixed, ErrKindUnknown, ErrTitleInvalid, ErrTextTooLong, ErrPriceNegative,
}

// Decide answers a command: events, nothing because it is already so, or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case List:
		return list(cmd, s)
	case SetPrice:
		return setPrice(cmd, s)
	case Retire:
		return retire(cmd, s)
	}
	panic("product: unknown command")
}

func list(cmd List, s State) ([]Event, error) {
	switch {
	case cmd.Title == "":
		return nil, ErrTitleInvalid
	case unit.LineFault(cmd.Title, unit.MaxTitle) != "":
		return nil, ErrTitleInvalid.With("The title is refused: "+unit.LineFault(cmd.Title, unit.MaxTitle)+".", nil)
	case !cmd.Kind.Known():
		return nil, ErrKindUnknown.With(ErrKindUnknown.Detail, map[string]any{"kind": cmd.Kind})
	case s.Phase != NotListed && cmd.Kind != s.Kind:
		return nil, ErrKindFixed.With(ErrKindFixed.Detail, map[string]any{"kind": s.Kind})
	case s.Phase == OnSale && cmd.Title == s.Title:
		return nil, nil
	case s.Phase == OnSale:
		return []Event{Retitled{Title: cmd.Title}}, nil
	}
	return []Event{Listed{SKU: cmd.SKU, Title: cmd.Title, Kind: cmd.Kind}}, nil
}

func setPrice(cmd SetPrice, s State) ([]Event, error) {
	switch {
	case s.Phase == NotListed:
		return nil, ErrNotFound
	case s.Phase == OffSale:
		return nil, ErrRetired
	case cmd.Price.Sign() < 0 && s.Kind != unit.Service:
		return nil, ErrPriceNegative
	}
	if now, priced := s.Prices[cmd.Price.Currency]; priced && now.Equal(cmd.Price) {
		return nil, nil
	}
	return []Event{Priced{Price: cmd.Price}}, nil
}

func retire(cmd Retire, s State) ([]Event, error) {
	switch {
	case s.Phase == NotListed:
		return nil, ErrNotFound
	case s.Phase == OffSale:
		return nil, nil
	case unit.TextFault(cmd.Reason, unit.MaxNote) != "":
		return nil, ErrTextTooLong.With("The reason is refused: "+unit.TextFault(cmd.Reason, unit.MaxNote)+".",
			map[string]any{"field": "reason", "max_characters": unit.MaxNote})
	}
	return []Event{Retired{Reason: cmd.Reason}}, nil
}

// Evolve is the state after an event. It takes s over: its maps may be changed
// in place, so the caller must not use s again.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Listed:
		s.Phase, s.Title, s.Kind = OnSale, e.Title, e.Kind
	case Retitled:
		s.Title = e.Title
	case Priced:
		if s.Prices == nil {
			s.Prices = map[unit.Currency]unit.Money{}
		}
		s.Prices[e.Price.Currency] = e.Price
	case Retired:
		s.Phase = OffSale
	}
	return s
}

// Price is what one unit costs now, or why it cannot be bought: ErrNotFound,
// ErrRetired, ErrNotPriced.
func (s State) Price(currency unit.Currency) (unit.Money, error) {
	switch s.Phase {
	case NotListed:
		return unit.Money{}, ErrNotFound
	case OffSale:
		return unit.Money{}, ErrRetired
	case OnSale:
	}
	price, priced := s.Prices[currency]
	if !priced {
		return unit.Money{}, ErrNotPriced.With(ErrNotPriced.Detail, map[string]any{"currency": currency})
	}
	return price, nil
}
