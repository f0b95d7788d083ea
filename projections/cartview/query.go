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
	Phase      string // open, completing, completed, abandoned, expired
	CustomerID string
	Currency   string
	Country    string
	Channel    string
	OrderID    string // of the checkout under way, or of the order it became
	LineCount  int
	Units      int64
	Total      decimal.Decimal // exact
	Short      bool            // the last checkout was refused, or took less than all
	OpenedAt   time.Time
	ChangedAt  time.Time // effective time of the last event
	RecordedAt time.Time
	Revision   int64
}

// columns are those of a Summary.
var columns = carts.List("state")

// Cart is a cart's row, with the aggregate's state. A cart that became an order has no
// lines any more: the order has them.
type Cart struct {
	Summary
	Fold      cart.State
	Shortages []cart.Shortage // what the last checkout could not get
	Dropped   []int           // lines that it left out
	Reason    string          // why it was abandoned
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

// Filter chooses carts; its zero value chooses all. Times are of the last
// change, From included and To not.
type Filter struct {
	Phase, CustomerID string
	Short             bool // only carts whose last checkout came short
	From, To          time.Time
}

// List gives a page of carts, the one last changed first.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Summary], error) {
	var w query.Where
	w.Text("phase = ?", f.Phase)
	w.Text("customer_id = ?", f.CustomerID)
	if f.Short {
		w.Add("short")
	}
	if !f.From.IsZero() {
		w.Add("changed_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		w.Add("changed_at < ?", f.To)
	}
	if p.After != "" {
		key, err := query.Uncursor(p.After, 2)
		if err != nil {
			return query.List[Summary]{}, err
		}
		at, err := time.Parse(time.RFC3339Nano, key[0])
		if err != nil {
			return query.List[Summary]{}, &query.CursorError{Cursor: p.After}
		}
		w.Add("(changed_at, cart_id) < (?, ?)", at, key[1])
	}
	rows, err := query.All[Summary](ctx, db, `SELECT `+columns+` FROM read.carts`+w.SQL()+
		` ORDER BY changed_at DESC, cart_id DESC LIMIT `+w.Arg(p.Size()+1), w.Args...)
	if err != nil {
		return query.List[Summary]{}, fmt.Errorf("list carts: %w", err)
	}
	return query.Cut(rows, p, func(s Summary) string { return query.Cursor(query.TimeKey(s.ChangedAt), s.CartID) }), nil
}
