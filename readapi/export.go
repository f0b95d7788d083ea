package readapi

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/projections/customerview"
	"daybook/projections/query"
)

// Export is everything that the shop holds about a customer, or about one cart and what became of
// it. A page has a part of it, in the order of its members.
type Export struct {
	CustomerID string                   `json:"customer_id,omitempty" class:"customer" doc:"The customer that the export is about, or whose cart it is about. Left out for the cart of a guest."`
	CartID     string                   `json:"cart_id,omitempty" doc:"The cart that the export is about. Left out if it is about a customer."`
	SubjectID  string                   `json:"subject_id" doc:"The stream with the erasures of the customer or the guest. The program's own log names an export by it, because that log has no ids of customers."`
	Erasure    *resource.Erasure        `json:"erasure,omitempty" doc:"Left out if nothing was erased, and on further pages."`
	Accounts   []resource.Customer      `json:"accounts" doc:"The account of the customer, and then those that were merged into it, also with notes, groups and the reason of a block, and what was bought in all."`
	Keys       []resource.APIKey        `json:"keys" doc:"API keys that reach the things of the customer, without their secrets."`
	Logins     []resource.Login         `json:"logins" doc:"How the customer signs in."`
	Credit     []resource.GiftCard      `json:"credit" doc:"The credit accounts of the customer, one for each currency."`
	Carts      []resource.Cart          `json:"carts" doc:"Carts, with those that the customer filled as a guest and that went into one of them."`
	Orders     []resource.Order         `json:"orders" doc:"Orders with their payments and parcels."`
	Kept       []resource.KeptRecord    `json:"kept" doc:"What is kept of the invoices of these orders, because the law wants it, although the customer or the guest was erased."`
	Returns    []resource.Return        `json:"returns" doc:"Returns and credit notes."`
	Documents  []resource.SalesDocument `json:"documents" doc:"The documents of the shop's sales."`
	Events     []any                    `json:"events" doc:"What was recorded about all these, as events of the log with clear text. Each follows the thing that it is about, perhaps on a further page."`
	Next       string                   `json:"next,omitempty"`
}

// holdsNothing tells whether nothing is known about the subject of a whole export.
func (e *Export) holdsNothing() bool {
	return e.Next == "" && e.Erasure == nil && len(e.Accounts)+len(e.Keys)+len(e.Logins)+len(e.Credit)+len(e.Carts)+len(e.Orders)+len(e.Returns)+len(e.Documents)+len(e.Events) == 0
}

// Erasures tells what was erased.
type Erasures interface {
	// Erasure returns the erasure of a customer or a guest; nil if nothing of them was erased.
	Erasure(ctx context.Context, of unit.Owner) (*resource.Erasure, error)
	// KeptRecord returns what is kept of an order although its customer or guest was erased; nil if
	// nothing is, and if its time is over. If its key cannot be fetched, the error is an
	// *eventstore.UnavailableError.
	KeptRecord(ctx context.Context, id unit.OrderID) (*resource.KeptRecord, error)
}

const contentPage = "text/html"

// Exporting are the parameters that both exports have.
type Exporting struct {
	Reading
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"10000" doc:"How many carts, orders, returns, documents and events a page has at most, all together. A page also ends when it has reached 4 MiB."`
	Cursor string `query:"cursor" maxLength:"4000" doc:"The member next of the page before the one that you want. Without it, the first page."`
	page   Paging
}

func (e *Exporting) paging() *Paging { return &e.page }

type exportCustomerInput struct {
	Exporting
	accepted
	CustomerID string `path:"customer_id" class:"customer" maxLength:"64"`
}

type exportCartInput struct {
	Exporting
	accepted
	CartID string `path:"cart_id" maxLength:"64"`
}

// exported is the response of an export, in one of two forms.
type exported struct {
	ContentType string `header:"Content-Type"`
	Position    string `header:"Daybook-Position" doc:"The answer reflects at least this position of the log."`
	Body        []byte
}

// exportCustomer answers with everything that is held about a customer.
func (a *api) exportCustomer(ctx context.Context, in *exportCustomerInput) (*exported, error) {
	return a.export(ctx, "export-customer", in, &in.Exporting, &in.accepted, func(ctx context.Context) (*Export, []exportStep, error) {
		if err := a.mayRead(ctx, access.ExportPersonal, in.CustomerID, ""); err != nil {
			return nil, nil, err
		}
		return a.customerToExport(ctx, in.CustomerID)
	})
}

// customerToExport says what the export of a customer is about, and what it is made of.
func (a *api) customerToExport(ctx context.Context, id string) (*Export, []exportStep, error) {
	row, err := customerview.Get(ctx, a.DB, id)
	if err != nil && !errors.Is(err, query.ErrNotFound) {
		return nil, nil, err
	}
	steps := a.stepsOfCustomer(id)
	for _, id := range row.Fold.Absorbed { // in the order of the merges, so that a cursor stays good
		steps = append(steps, a.stepsOfCustomer(string(id))...)
	}
	return &Export{CustomerID: id}, steps, nil
}

// exportCart answers with everything that is held about a cart.
func (a *api) exportCart(ctx context.Context, in *exportCartInput) (*exported, error) {
	return a.export(ctx, "export-cart", in, &in.Exporting, &in.accepted, func(ctx context.Context) (*Export, []exportStep, error) {
		return a.cartToExport(ctx, in.CartID)
	})
}

// export makes a page. begin checks whether the caller may have it, and says what it is about and
// what it is made of.
//
// An export has personal texts, so the caller must see them. The read models must have everything
// that is recorded when the request comes.
func (a *api) export(ctx context.Context, operation string, in any, asked *Exporting, accepts *accepted, begin func(context.Context) (*Export, []exportStep, error)) (*exported, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout+waitMax)
	defer cancel()
	form, err := accepts.form(contentJSON, contentPage)
	if err == nil && !seesPersonal(ctx, access.ExportPersonal) {
		err = problem.Forbidden(access.ReadPersonal)
	}
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	asked.page.Cursor = asked.Cursor
	seal, err := openCursor(operation, in)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	at, err := openPlace(asked.page.Cursor)
	if err != nil {
		return nil, problem.From(ctx, err)
	}
	head, err := a.Log.Head(ctx)
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	out := &exported{ContentType: form}
	if form == contentPage {
		out.ContentType += "; charset=utf-8"
	}
	for _, position := range []string{asked.MinPosition, head} { // the request may name a later one
		asked.MinPosition = position
		if out.Position, err = a.waitForPosition(ctx, asked.reading(), []string{carts, customers, orders, sales}); err != nil {
			return nil, problem.From(ctx, typedProblem(err))
		}
	}
	page, err := a.partOfExport(ctx, at, asked.Limit, pageBytes, begin)
	if err != nil {
		return nil, problem.From(ctx, typedProblem(err))
	}
	if page.Next != "" {
		page.Next = seal(page.Next)
	}
	if out.Body, err = page.in(form); err != nil {
		return nil, problem.From(ctx, err)
	}
	a.noteExport(ctx, page, asked.Cursor == "")
	return out, nil
}

// noteExport notes in the program's log who has exported whom.
func (a *api) noteExport(ctx context.Context, page *Export, first bool) {
	request := problem.RequestOf(ctx)
	a.Logger.InfoContext(ctx, "personal data exported", slog.String("subject", page.SubjectID), slog.String("actor", request.Who.ID),
		slog.Bool("acts_for_customer", request.Who.ActsFor != ""), slog.Bool("first_page", first), slog.Bool("last_page", page.Next == ""), slog.String("request_id", request.ID))
}

// ErrNobody means that the shop has nothing about a customer or a cart.
var ErrNobody = errors.New("the shop has nothing about this")

// WholeExport returns everything that is held about a customer, or about a cart and what became of
// it: the same as the pages of the HTTP API, in one document. The form is JSON, or HTML if asHTML
// is set. The record of the request in ctx (package problem) says who exports, and the program's
// log gets a line. The caller has checked their rights, and waits for the read models.
//
// The error is ErrNobody if nothing is known of the owner. If the key of a text cannot be
// fetched, it is the error of the log.
func WholeExport(ctx context.Context, config Config, of unit.Owner, asHTML bool) ([]byte, error) {
	a := newAPI(nil, config)
	begin := func(ctx context.Context) (*Export, []exportStep, error) {
		if id, is := of.Customer(); is {
			return a.customerToExport(ctx, string(id))
		}
		id, _ := of.Cart()
		return a.cartToExport(ctx, string(id))
	}
	whole, err := a.partOfExport(ctx, exportPlace{}, math.MaxInt, math.MaxInt, begin)
	if errors.Is(err, query.ErrNotFound) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, err
	}
	form := contentJSON
	if asHTML {
		form = contentPage
	}
	text, err := whole.in(form)
	if err == nil {
		a.noteExport(ctx, whole, true)
	}
	return text, err
}

// partOfExport reads a page with at most limit entries and about so many bytes. Its next is the
// place where the next one begins.
func (a *api) partOfExport(ctx context.Context, at exportPlace, limit, bytes int, begin func(context.Context) (*Export, []exportStep, error)) (*Export, error) {
	page, steps, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	first := at == exportPlace{}
	owner := unit.CustomerID(page.CustomerID).Owner()
	if owner == "" {
		owner = unit.CartID(page.CartID).Owner()
	}
	page.SubjectID = subjectStream(owner)
	page.Accounts, page.Keys, page.Carts = []resource.Customer{}, []resource.APIKey{}, []resource.Cart{}
	page.Logins, page.Credit = []resource.Login{}, []resource.GiftCard{}
	page.Orders, page.Returns, page.Kept = []resource.Order{}, []resource.Return{}, []resource.KeptRecord{}
	page.Documents, page.Events = []resource.SalesDocument{}, []any{}
	if first && a.Erasures != nil {
		if page.Erasure, err = a.Erasures.Erasure(ctx, owner); err != nil {
			return nil, err
		}
	}
	_, limited := problem.RequestOf(ctx).Who.Owned(access.ExportPersonal)
	e := &exporter{api: a, page: page, at: at, left: limit, bytes: bytes, staff: !limited}
	done, err := e.run(ctx, append([]exportStep{a.stepOfErasures(page.SubjectID)}, steps...))
	if err != nil {
		return nil, err
	}
	if !done {
		page.Next = e.at.text()
	}
	if first && page.holdsNothing() {
		return nil, query.ErrNotFound
	}
	return page, nil
}

// subjectStream names the stream of a customer's or a guest's erasures. It does not show the
// customer.
func subjectStream(of unit.Owner) string { return "subject-" + unit.SubjectStream.Of(string(of)).ID() }

// exportPlace is where a page begins.
type exportPlace struct {
	Step  int    `json:"step,omitzero"`
	After string `json:"after,omitempty"` // the cursor of the last thing of the step that was sent with all its events
	Thing string `json:"thing,omitempty"` // the next thing, if it was sent already
	From  int64  `json:"from,omitzero"`   // the revision of its first event that was not sent
}

func (p exportPlace) text() string {
	text, _ := json.Marshal(p) // it always has a form in JSON
	return base64.RawURLEncoding.EncodeToString(text)
}

// openPlace reads what text wrote.
func openPlace(text string) (at exportPlace, err error) {
	if text == "" {
		return at, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil || at.Step < 0 || at.From < 0 {
		return at, problem.NotValid(problem.InParameter("query", "cursor", faultCursor))
	}
	return at, nil
}

// in writes the page in a form.
func (e *Export) in(form string) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil || form == contentJSON {
		return text, err
	}
	return exportAsHTML(text)
}

// registerExports adds the routes. event is the schema of an event.
func (a *api) registerExports(event *huma.Schema) {
	schemas := a.huma.OpenAPI().Components.Schemas
	export := schemas.Schema(reflect.TypeFor[Export](), true, "")
	if whole := schemas.SchemaFromRef(export.Ref); whole != nil {
		whole.Properties["events"].Items = event
	}
	page := &huma.Schema{Type: huma.TypeString, Description: "The same as a page to read."}
	register := func(id, path, tag, summary, about string) huma.Operation {
		codes := append([]string{problem.CodeNotFound, problem.CodeNotAcceptable, problem.CodeGone}, problem.OfFreshReads...)
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{tag},
			Description: about + " `Accept: text/html` asks for a page to read, and by default the response is JSON with the same content. A page ends when it has reached 4 MiB; `next` is then the cursor of the next page. If the key of a text cannot be fetched, the response is 503; a text that was erased reads `(erased)`. The caller needs `personal.read`, too, except for their own export. Each export is noted in the program's log.",
			Responses: map[string]*huma.Response{"200": {
				Description: "A page of the export.",
				Content:     map[string]*huma.MediaType{contentJSON: {Schema: export}, contentPage: {Schema: page}},
			}},
			Metadata: problem.Listing(access.ExportPersonal, codes...), Middlewares: huma.Middlewares{noteFaults, asPrivatePage},
		}
	}
	a.registerKept()
	huma.Register(a.huma, register("export-customer", "/v1/customers/{customer_id}/export", apidoc.TagPrivacy, "Export everything about a customer",
		"Account, API keys, carts, orders, returns, documents, and the events of all of them."), a.exportCustomer)
	huma.Register(a.huma, register("export-cart", "/v1/carts/{cart_id}/export", apidoc.TagPrivacy, "Export everything about a cart",
		"The cart, the order that it became, the returns of the order, and the events of all of them. It is the export of a guest, who has one cart."), a.exportCart)
}

// exportPolicy lets a browser show the page with its own style, and do nothing else with it.
var exportPolicy = "default-src 'none'; style-src " + hashOfStyle(exportStyle) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asPrivatePage tells browsers and caches that an export is nobody else's, and that a page of it
// runs nothing.
func asPrivatePage(ctx huma.Context, next func(huma.Context)) {
	ctx.SetHeader("Cache-Control", "no-store")
	ctx.SetHeader("Content-Security-Policy", exportPolicy)
	next(ctx)
}
