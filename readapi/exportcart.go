package readapi

import (
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/domain/access"
	"daybook/projections/cartview"
)

// cartToExport says what the export of a cart is about, and what it is made of, if the caller may
// have it.
func (a *api) cartToExport(ctx context.Context, id string) (*Export, []exportStep, error) {
	cart, err := cartview.Get(ctx, a.DB, id)
	if err == nil {
		err = a.mayRead(ctx, access.ExportPersonal, cart.CustomerID, cart.CartID)
	}
	if err != nil {
		return nil, nil, err
	}
	return &Export{CustomerID: cart.CustomerID, CartID: id}, a.stepsOfCart(cart), nil
}

// exportedCart is a cart in the export of a customer, or of the guest who has it if there is no
// customer. A cart may have had another customer before, or may have another one now. What was
// recorded then is not part of the export, and neither is the cart itself if it has another one
// now.
func (a *api) exportedCart(s cartview.Summary, customer string) exportedThing {
	stream := "cart-" + s.CartID
	return exportedThing{
		id: s.CartID, stream: stream,
		whose: func(ctx context.Context) (func(int64) bool, error) {
			guest, err := a.becameOf(ctx, s, customer)
			if err != nil {
				return nil, err
			}
			past, err := a.holdersOf(ctx, stream)
			return func(revision int64) bool {
				holder := past.at(revision)
				return holder == customer || guest && holder == ""
			}, err
		},
		show: func(ctx context.Context, to *exporter) (any, error) {
			guest, err := a.becameOf(ctx, s, customer)
			if err != nil || s.CustomerID != customer && !guest {
				return nil, err
			}
			row, err := cartview.Get(ctx, a.DB, s.CartID)
			if err != nil {
				return nil, err
			}
			shown := cartOf(row)
			to.page.Carts = append(to.page.Carts, shown)
			return shown, nil
		},
	}
}

// becameOf tells whether a guest's cart was merged into a cart while that was a customer's.
func (a *api) becameOf(ctx context.Context, s cartview.Summary, customer string) (bool, error) {
	if customer == "" || s.CustomerID != "" || s.MergedInto == "" {
		return false, nil
	}
	into, err := a.holdersOf(ctx, "cart-"+s.MergedInto)
	revision, merged := into.merged[s.CartID]
	return merged && into.at(revision) == customer, err
}

// holders says whose a cart was, from revision to revision.
type holders struct {
	from      []int64          // revisions, ascending
	customers []string         // from each of these revisions on; empty: a guest
	merged    map[string]int64 // the revisions at which other carts were merged into it
}

// holdersOf reads whose a cart was. What a guest did belongs to the customer who took the cart over
// next, if there is one.
func (a *api) holdersOf(ctx context.Context, stream string) (h holders, err error) {
	h.merged = make(map[string]int64)
	for from := int64(0); ; {
		read := 0
		for event, err := range a.Log.Stream(ctx, stream, from, maxPageEvents) {
			if errors.Is(err, ErrNoStream) {
				break
			}
			if err != nil {
				return h, err
			}
			read++
			from = event.Revision + 1
			switch event.Type {
			case cartMergedFrom:
				var is struct {
					From string `json:"from"`
				}
				data, _ := event.Data.(jsontext.Value)
				if json.Unmarshal(data, &is) == nil {
					h.merged[is.From] = event.Revision
				}
			case cartOpenedV1, cartOpened, cartCustomerChanged:
				var is struct {
					CustomerID string `json:"customer_id"`
				}
				data, _ := event.Data.(jsontext.Value)
				if json.Unmarshal(data, &is) != nil {
					continue // what cannot be decoded changes no cart
				}
				h.from, h.customers = append(h.from, event.Revision), append(h.customers, is.CustomerID)
			}
		}
		if read < maxPageEvents {
			break
		}
	}
	for i := len(h.customers) - 2; i >= 0; i-- {
		if h.customers[i] == "" {
			h.customers[i] = h.customers[i+1]
		}
	}
	return h, nil
}

// at returns the customer at a revision.
func (h holders) at(revision int64) string {
	i, exact := slices.BinarySearch(h.from, revision)
	if !exact {
		i--
	}
	if i < 0 {
		return ""
	}
	return h.customers[i]
}
