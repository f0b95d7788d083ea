package readapi

import (
	"context"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/projections/cartview"
	"daybook/projections/moneyview"
	"daybook/projections/orderview"
	"daybook/projections/query"
	"daybook/projections/salesview"
)

// exportBatch is how many rows a step reads at once.
const exportBatch = 50

// exportedThing is a cart, an order or the like, with the events of its stream.
type exportedThing struct {
	id     string // unique in its step
	place  string // the cursor of its row
	stream string // empty: it has none
	// show adds the thing to the page. It returns what was added.
	show func(ctx context.Context, to *exporter) (any, error)
	// whose, if it is set, tells which events of the stream belong to the export.
	whose func(ctx context.Context) (func(revision int64) bool, error)
}

// exportStep lists things of one kind after a place, at most exportBatch. If it lists fewer, they
// are the last ones.
type exportStep func(ctx context.Context, after string) ([]exportedThing, error)

// exporter fills a page.
type exporter struct {
	*api
	page  *Export
	at    exportPlace
	left  int  // how many entries may follow
	bytes int  // how many bytes may follow, to about one entry
	staff bool // the caller may export everybody, and so sees who of the staff acted
}

func (e *exporter) full() bool { return e.left <= 0 || e.bytes <= 0 }

// count counts an entry of the page.
func (e *exporter) count(entry any) error {
	text, err := json.Marshal(entry)
	e.left--
	e.bytes -= len(text)
	return err
}

// run takes the steps from the exporter's place on, until the page is full. done says that nothing
// is left.
func (e *exporter) run(ctx context.Context, steps []exportStep) (done bool, err error) {
	for e.at.Step < len(steps) {
		things, err := steps[e.at.Step](ctx, e.at.After)
		if err != nil {
			return false, err
		}
		for _, thing := range things {
			if done, err := e.add(ctx, thing); err != nil || !done {
				return false, err
			}
			e.at.After, e.at.Thing, e.at.From = thing.place, "", 0
		}
		if len(things) < exportBatch {
			e.at = exportPlace{Step: e.at.Step + 1}
		}
	}
	return true, nil
}

// add adds a thing and its events, or as much of them as the page can take.
func (e *exporter) add(ctx context.Context, thing exportedThing) (done bool, err error) {
	if e.at.Thing != thing.id {
		if e.full() {
			return false, nil
		}
		shown, err := thing.show(ctx, e)
		if err != nil {
			return false, err
		}
		if shown != nil {
			if err := e.count(shown); err != nil {
				return false, err
			}
		}
		e.at.Thing, e.at.From = thing.id, 0
	}
	if thing.stream == "" {
		return true, nil
	}
	mine := func(int64) bool { return true }
	if thing.whose != nil {
		if mine, err = thing.whose(ctx); err != nil {
			return false, err
		}
	}
	return e.history(ctx, thing.stream, mine)
}

// history adds events of a stream.
func (e *exporter) history(ctx context.Context, stream string, mine func(int64) bool) (done bool, err error) {
	for {
		read := 0
		for event, err := range e.Log.Stream(ctx, stream, e.at.From, maxPageEvents) {
			if errors.Is(err, ErrNoStream) {
				return true, nil
			}
			if err != nil {
				return false, err
			}
			if e.full() {
				return false, nil
			}
			read++
			if mine(event.Revision) {
				if err := e.addEvent(ctx, event); err != nil {
					return false, err
				}
			}
			e.at.From = event.Revision + 1
		}
		if read < maxPageEvents {
			return true, nil
		}
	}
}

// hiding is the data of an event in which a member does not say what it said.
func hiding(data any, name string) (jsontext.Value, error) {
	text, _ := data.(jsontext.Value)
	var members map[string]jsontext.Value
	if err := json.Unmarshal(text, &members); err != nil {
		return text, nil //nolint:nilerr // what is no object has no members
	}
	members[name] = jsontext.Value(`"withheld"`)
	return json.Marshal(members, json.Deterministic(true))
}

// addEvent adds an event. A customer does not see who of the shop acted, as in a timeline, and what
// else such a sender wrote around the event. The customer of an account that was merged does not
// see into which one.
func (e *exporter) addEvent(ctx context.Context, event Event) error {
	event.nameForm()
	who := problem.RequestOf(ctx).Who
	if !e.staff && event.Actor != who.ID && event.OnBehalfOf != who.ID {
		event.Actor, event.OnBehalfOf, event.CommandID, event.CorrelationID, event.CausationID, event.Trace = "", "", "", "", "", ""
	}
	if !e.staff && (event.Type == customerMerged || event.Type == customerRefused) {
		data, err := hiding(event.Data, "into")
		if err != nil {
			return err
		}
		event.Data = data
	}
	e.page.Events = append(e.page.Events, event)
	return e.count(event)
}

// single is a step with one thing.
func single(thing exportedThing) exportStep {
	thing.place = "0"
	return func(_ context.Context, after string) ([]exportedThing, error) {
		if after != "" {
			return nil, nil
		}
		return []exportedThing{thing}, nil
	}
}

// stepsOfCustomer are the steps of the export of a customer, without the accounts that were merged
// into theirs.
func (a *api) stepsOfCustomer(id string) []exportStep {
	return []exportStep{
		single(exportedThing{id: "account", stream: "customer-" + id, show: func(ctx context.Context, to *exporter) (any, error) {
			return to.addAccount(ctx, id)
		}}),
		func(ctx context.Context, after string) ([]exportedThing, error) {
			return a.exportedLogins(ctx, id, after)
		},
		func(ctx context.Context, after string) ([]exportedThing, error) {
			return a.exportedCredit(ctx, id, after)
		},
		func(ctx context.Context, after string) ([]exportedThing, error) {
			rows, err := cartview.List(ctx, a.DB, cartview.Filter{Of: id}, rowsAfter(after, "opened_at"))
			return things(rows, err, cartview.Listed, "opened_at", func(s cartview.Summary) exportedThing { return a.exportedCart(s, id) })
		},
		func(ctx context.Context, after string) ([]exportedThing, error) {
			rows, err := orderview.List(ctx, a.DB, orderview.Filter{CustomerIDs: []string{id}}, rowsAfter(after, "placed_at"))
			return things(rows, err, orderview.Listed, "placed_at", func(s orderview.Summary) exportedThing { return exportedOrder(s.OrderID) })
		},
		func(ctx context.Context, after string) ([]exportedThing, error) {
			rows, err := orderview.ListReturns(ctx, a.DB, orderview.ReturnFilter{Of: id}, rowsAfter(after, "created_at"))
			return things(rows, err, orderview.ListedReturns, "created_at", func(s orderview.ReturnSummary) exportedThing { return exportedReturn(s.ReturnID) })
		},
		a.stepOfDocuments(salesview.DocumentFilter{CustomerIDs: []string{id}}),
	}
}

// stepsOfCart are the steps of the export of a cart.
func (a *api) stepsOfCart(c cartview.Cart) []exportStep {
	steps := []exportStep{single(a.exportedCart(c.Summary, c.CustomerID))}
	if c.OrderID == "" || c.Phase != "completed" {
		return steps
	}
	return append(
		steps, func(ctx context.Context, after string) ([]exportedThing, error) {
			order, err := orderview.Get(ctx, a.DB, c.OrderID)
			if after != "" || err == nil && order.CustomerID != c.CustomerID { // a customer has taken it over, and the cart follows
				return nil, nil
			}
			thing := exportedOrder(c.OrderID)
			thing.place = "0"
			return []exportedThing{thing}, err
		},
		func(ctx context.Context, after string) ([]exportedThing, error) {
			rows, err := orderview.ListReturns(ctx, a.DB, orderview.ReturnFilter{OrderIDs: []string{c.OrderID}, CustomerIDs: []string{c.CustomerID, ""}}, rowsAfter(after, "created_at"))
			return things(rows, err, orderview.ListedReturns, "created_at", func(s orderview.ReturnSummary) exportedThing { return exportedReturn(s.ReturnID) })
		},
		a.stepOfDocuments(salesview.DocumentFilter{OfOrder: c.OrderID}),
	)
}

// stepOfErasures is the step with the events that say what was erased.
func (a *api) stepOfErasures(stream string) exportStep {
	return single(exportedThing{id: "erasures", stream: stream, show: func(context.Context, *exporter) (any, error) { return nil, nil }})
}

func (a *api) stepOfDocuments(f salesview.DocumentFilter) exportStep {
	return func(ctx context.Context, after string) ([]exportedThing, error) {
		rows, err := salesview.Documents(ctx, a.DB, f, rowsAfter(after, "occurred_at"))
		return things(rows, err, salesview.ListedDocuments, "occurred_at", func(d salesview.Document) exportedThing {
			return exportedThing{id: d.Document, show: func(_ context.Context, to *exporter) (any, error) {
				shown := documentOf(d)
				to.page.Documents = append(to.page.Documents, shown)
				return shown, nil
			}}
		})
	}
}

// rowsAfter asks for the next rows of a step, in an order that does not change.
func rowsAfter(cursor, sort string) query.Page {
	return query.Page{After: cursor, Limit: exportBatch, Sort: sort}
}

// things turns the rows of a step into things.
func things[T any](rows query.List[T], err error, of query.Rows[T], sort string, to func(T) exportedThing) ([]exportedThing, error) {
	if err != nil {
		return nil, err
	}
	return each(rows.Items, func(row T) exportedThing {
		thing := to(row)
		thing.place = of.CursorAt(row, query.Page{Sort: sort})
		return thing
	}), nil
}

// addAccount adds the account of a customer, what they bought, and their API keys.
func (e *exporter) addAccount(ctx context.Context, id string) (any, error) {
	var shown []any
	account, err := e.accountOf(ctx, id, true)
	switch {
	case errors.Is(err, query.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if !e.staff {
			account.MergedInto = ""
		}
		e.page.Accounts, shown = append(e.page.Accounts, account), append(shown, account)
	}
	if e.Access != nil {
		all, err := e.Access.Keys(ctx)
		if err != nil {
			return nil, err
		}
		for _, key := range all {
			if key.CustomerID == id {
				e.page.Keys, shown = append(e.page.Keys, key), append(shown, key)
			}
		}
		sortKeys(e.page.Keys)
	}
	if len(shown) == 0 {
		return nil, nil
	}
	return shown, nil
}

// exportedCredit are the credit accounts of a customer, at most one in each currency in which the
// shop has ever given credit. The place of an account is its currency.
func (a *api) exportedCredit(ctx context.Context, id, after string) (things []exportedThing, err error) {
	accounts, err := moneyview.CreditAccounts(ctx, a.DB, unit.CustomerID(id))
	if err != nil {
		return nil, err
	}
	for _, account := range accounts {
		if account.Currency <= after {
			continue
		}
		things = append(things, exportedThing{id: account.ID, place: account.Currency, stream: account.Stream, show: func(ctx context.Context, to *exporter) (any, error) {
			shown, err := to.History.GiftCard(ctx, account.ID, to.Now())
			if errors.Is(err, query.ErrNotFound) {
				return nil, nil
			}
			if err != nil {
				return nil, err
			}
			to.page.Credit = append(to.page.Credit, shown)
			return shown, nil
		}})
	}
	return things, nil
}

// exportedLogins are the logins of a customer. The place of a login is its number.
func (a *api) exportedLogins(ctx context.Context, id, after string) (things []exportedThing, err error) {
	if a.People == nil {
		return nil, nil
	}
	all, err := a.People.Logins(ctx, unit.CustomerID(id))
	if err != nil {
		return nil, err
	}
	begin := 0
	if after != "" {
		if begin, err = strconv.Atoi(after); err != nil {
			return nil, err
		}
	}
	for n := begin; n < len(all) && len(things) < exportBatch; n++ {
		things = append(things, exportedThing{id: string(all[n].Shown.PersonID), place: strconv.Itoa(n + 1), stream: all[n].Stream, show: func(_ context.Context, to *exporter) (any, error) {
			to.page.Logins = append(to.page.Logins, all[n].Shown)
			return all[n].Shown, nil
		}})
	}
	return things, nil
}

func exportedOrder(id string) exportedThing {
	return exportedThing{id: id, stream: "order-" + id, show: func(ctx context.Context, to *exporter) (any, error) {
		row, err := orderview.Get(ctx, to.DB, id)
		if err != nil {
			return nil, err
		}
		timeline, err := to.History.OrderTimeline(ctx, id, row.Revision)
		if err != nil {
			return nil, err
		}
		shown := orderOf(row, hideStaff(ctx, access.ExportPersonal, timeline))
		to.page.Orders = append(to.page.Orders, shown)
		kept, err := to.keptOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if kept != nil {
			to.page.Kept = append(to.page.Kept, *kept)
			if err := to.count(*kept); err != nil {
				return nil, err
			}
		}
		return shown, nil
	}}
}

func exportedReturn(id string) exportedThing {
	return exportedThing{id: id, stream: "return-" + id, show: func(ctx context.Context, to *exporter) (any, error) {
		row, err := orderview.GetReturn(ctx, to.DB, id)
		if err != nil {
			return nil, err
		}
		timeline, err := to.History.ReturnTimeline(ctx, id, row.Revision)
		if err != nil {
			return nil, err
		}
		shown := returnOf(row, hideStaff(ctx, access.ExportPersonal, timeline))
		to.page.Returns = append(to.page.Returns, shown)
		return shown, nil
	}}
}
