package customerview

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/customer"
	"daybook/projections/query"
)

// Summary is an account's row.
type Summary struct {
	CustomerID   string
	Name, Email  string
	Blocked      bool
	RegisteredAt time.Time
	ChangedAt    time.Time // effective time of the last event
	RecordedAt   time.Time
	Revision     int64
}

// columns are those of a Summary.
var columns = accounts.AllExcept("state", "name_key", "email_key")

// Customer is an account's row, with the aggregate's state.
type Customer struct {
	Summary
	Fold customer.State
}

type row struct {
	Summary
	State []byte
}

// Get reads one account, or query.ErrNotFound.
func Get(ctx context.Context, db query.DB, customerID string) (Customer, error) {
	r, err := query.One[row](ctx, db, `SELECT `+columns+`, state FROM read.customer_accounts WHERE customer_id = $1`, customerID)
	if err != nil {
		return Customer{}, fmt.Errorf("customer %s: %w", customerID, err)
	}
	found := Customer{Summary: r.Summary}
	if err := json.Unmarshal(r.State, &found.Fold); err != nil {
		return Customer{}, fmt.Errorf("customer %s: %w", customerID, err)
	}
	return found, nil
}

// Absorbed returns the accounts that were merged into those of some customers.
func Absorbed(ctx context.Context, db query.DB, customerIDs []string) ([]string, error) {
	type other struct{ CustomerID string }
	rows, err := query.All[other](ctx, db, `
		SELECT DISTINCT json_array_elements_text(state -> 'absorbed') AS customer_id FROM read.customer_accounts
		WHERE customer_id = ANY ($1) AND json_typeof(state -> 'absorbed') = 'array' ORDER BY 1`, customerIDs)
	if err != nil {
		return nil, fmt.Errorf("which accounts were merged into %q: %w", customerIDs, err)
	}
	absorbed := make([]string, len(rows))
	for i, row := range rows {
		absorbed[i] = row.CustomerID
	}
	return absorbed, nil
}

// Filter chooses accounts; its zero value chooses all.
type Filter struct {
	CustomerIDs []string
	// Name is the beginning of a name, and EmailPrefix that of an e-mail address. Upper and lower
	// case are the same.
	Name, EmailPrefix string
	Email             string // the whole address
	// OrderIDs chooses the customers who placed these orders.
	OrderIDs []string
	Group    string
	Blocked  *bool
}

// Listed says how the list of accounts is read and sorted.
var Listed = query.Rows[Summary]{
	Select: `SELECT ` + columns + ` FROM read.customer_accounts`,
	Sorts: map[string]query.Sort[Summary]{
		"registered_at": {
			By:  []query.Column{{Name: "registered_at", Kind: query.Time}, {Name: "customer_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.RegisteredAt), s.CustomerID} },
		},
		"changed_at": {
			By:  []query.Column{{Name: "changed_at", Kind: query.Time}, {Name: "customer_id", Kind: query.Text}},
			Key: func(s Summary) []string { return []string{query.TimeKey(s.ChangedAt), s.CustomerID} },
		},
	},
	DefaultSort: "-registered_at",
}

// List gives a page of accounts. By default the one that was registered last comes first.
func List(ctx context.Context, db query.DB, f Filter, p query.Page) (query.List[Summary], error) {
	var w query.Where
	w.In("customer_id", f.CustomerIDs)
	if f.Name != "" {
		w.Add("name_key <> '' AND name_key LIKE ?", beginning(NameKey(f.Name)))
	}
	if f.EmailPrefix != "" {
		w.Add("email_key <> '' AND email_key LIKE ?", beginning(EmailKey(f.EmailPrefix)))
	}
	if f.Email != "" {
		w.Add("email_key <> '' AND email_key = ?", EmailKey(f.Email))
	}
	if len(f.OrderIDs) > 0 {
		w.Add("customer_id IN (SELECT o.customer_id FROM read.orders o WHERE o.order_id = ANY (?::text[]))", f.OrderIDs)
	}
	if f.Group != "" {
		w.Add("(state -> 'groups')::jsonb @> to_jsonb(?::text)", f.Group)
	}
	if f.Blocked != nil {
		w.Add("blocked = ?", *f.Blocked)
	}
	list, err := Listed.Read(ctx, db, w, p)
	if err != nil {
		return list, fmt.Errorf("list customers: %w", err)
	}
	return list, nil
}

// beginning is the pattern of texts that begin with a text.
func beginning(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}
