package cartview

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"daybook/domain/cart"
	"daybook/projections/query"
)

// Summary is a cart's row.
type Summary struct {
	CartID     string
	Phase      string // open, completing, completed, abandoned, expired, merged
	CustomerID string
	Currency   string
	Country    string
	Channel    string
	OrderID    string // of the checkout under way, or of the order that the cart became
	MergedInto string // the cart that has, or soon will have, its lines
	LineCount  int
	Units      int64
	Total      decimal.Decimal // exact
	Short      bool            // the last checkout was refused, or left lines out
	OpenedAt   time.Time
	ChangedAt  time.Time // effective time of the last event
	RecordedAt time.Time
	Revision   int64
}

// columns are those of a Summary.
var columns = carts.AllExcept("state", "past_customers")

// Cart is a cart's row, with the aggregate's state. A cart that became an order has no lines,
// because the order has them.
type Cart struct {
	Summary
	Fold      cart.State
	Shortages []cart.Shortage // what the last checkout could not get
	Dropped   []int           // numbers of the lines that the last checkout left out
	Reason    string          // why the cart was abandoned
}

type row struct {
	Summary
	State []byte
}

// Get reads one cart, or query.ErrNotFound.
func Get(ctx context.Context, db query.DB, cartID string) (Cart, error) {
	r, err := query.One[row](ctx, db, `SELECT `+columns+`, state FROM read.carts WHERE cart_id = $1`, cartID)
	if err != nil {
		return Cart{}, fmt.Errorf("cart %s: %w", cartID, err)
	}
	var s stored
	if err := json.Unmarshal(r.State, &s); err != nil {
		return Cart{}, fmt.Errorf("cart %s: %w", cartID, err)
	}
	return Cart{Summary: r.Summary, Fold: s.Fold, Shortages: s.Shortages, Dropped: s.Dropped, Reason: s.Reason}, nil
}

// Filter chooses carts; its zero value chooses all. A cart matches a list if it has one of the
// list's values. Times are those of the last change. From is included, and To is not.
type Filter struct {
	Phases, CustomerIDs, Channels []string
	Short                         bool // only carts whose last checkout was refused or left lines out
	From, To                      time.Time
	// Of chooses what may belong to a customer: their carts, those that were theirs before, and
	// those of guests that were merged into one of these.
	Of string
}

// Listed says how the list of carts is read and sorted.
var Listed = query.Rows[Summary]{
	Select: `SELECT ` + columns + ` FROM read.carts`,
	Sorts: map[string]query.Sort[Summary]{
		"changed_at": {
			By:  []query.Column{{Name: "changed_at", Kind: query.Time}, {Name: "cart_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.ChangedAt), s.CartID} },
		},
		"opened_at": {
			By:  []query.Column{{Name: "opened_at", Kind: query.Time}, {Name: "cart_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.OpenedAt), s.CartID} },
		},
		"total": {
			By:  []query.Column{{Name: "total", Kind: query.Number}, {Name: "cart_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{s.Total.String(), s.CartID} },
		},
	},
	DefaultSort: "-changed_at",
}

// List gives a page of carts. By default the cart that was changed last comes first.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Summary], error) {
	var w query.Where
	w.In("phase", f.Phases)
	w.In("customer_id", f.CustomerIDs)
	w.In("channel", f.Channels)
	if f.Short {
		w.Add("short")
	}
	w.Period("changed_at", f.From, f.To)
	if f.Of != "" {
		w.Add("(customer_id = ? OR past_customers <> '{}' AND past_customers @> ARRAY[?::text] OR customer_id = '' AND merged_into IN (SELECT own.cart_id FROM read.carts own WHERE own.customer_id = ? OR own.past_customers <> '{}' AND own.past_customers @> ARRAY[?::text]))", f.Of, f.Of, f.Of, f.Of)
	}
	list, err := Listed.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list carts: %w", err)
	}
	return list, nil
}
