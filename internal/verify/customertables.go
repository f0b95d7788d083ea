package verify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/unit"
	"daybook/projections"
)

func compareCustomers(ctx context.Context, b *Book, from build) ([]*Check, error) {
	accounts, err := compareTable(ctx, from, "customer_accounts", b.Customers, &accountRow{})
	if err != nil {
		return nil, err
	}
	return []*Check{accounts}, nil
}

type accountRow struct {
	id, name, nameKey, email, emailKey  string
	blocked                             bool
	registeredAt, changedAt, recordedAt time.Time
	revision                            int64
	state                               []byte
}

func (r *accountRow) columns() []column[*Customer] {
	return []column[*Customer]{
		keyColumn[*Customer]("customer_id", &r.id),
		equals("name", &r.name, func(c *Customer) string { return c.Profile.Name }),
		equals("name_key", &r.nameKey, func(c *Customer) string { return searched(c.Profile.Name) }),
		equals("email", &r.email, func(c *Customer) string { return c.Profile.Email }),
		equals("email_key", &r.emailKey, func(c *Customer) string { return searched(c.Profile.Email) }),
		equals("blocked", &r.blocked, func(c *Customer) bool { return c.Blocked }),
		equals("registered_at", &r.registeredAt, func(c *Customer) time.Time { return c.registeredAt }),
		equals("changed_at", &r.changedAt, func(c *Customer) time.Time { return c.changedAt }),
		equals("recorded_at", &r.recordedAt, func(c *Customer) time.Time { return c.last.recordedAt }),
		equals("revision", &r.revision, func(c *Customer) int64 { return c.last.revision }),
		comparedBy("state", &r.state, r.compareState),
	}
}

// searched is the form of a text in which it is searched.
func searched(text string) string { return projections.Key(strings.ToLower(strings.TrimSpace(text))) }

func (r *accountRow) key() unit.CustomerID { return unit.CustomerID(r.id) }

func (r *accountRow) compareState(c *Customer, d *rowDifference) {
	want, err := json.Marshal(c.State)
	if err != nil {
		d.columns = append(d.columns, fmt.Sprintf("state cannot be written: %v", err))
		return
	}
	d.document("state", r.state, want)
}
