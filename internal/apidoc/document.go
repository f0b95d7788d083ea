package apidoc

import (
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// The tags are the sections of the document, in this order. Most have routes of both APIs.
const (
	TagProducts   = "Products"
	TagPrices     = "Prices"
	TagPromotions = "Promotions"
	TagGiftCards  = "Gift cards"
	TagCarts      = "Carts"
	TagStock      = "Stock"
	TagPromises   = "Reservations and allocations"
	TagOrders     = "Orders"
	TagReturns    = "Returns"
	TagSales      = "Sales and customers"
	TagReports    = "Reports"
	TagCustomers  = "Customers"
	TagEvents     = "Events"
	TagProcesses  = "Processes"
	TagAccess     = "Access"
	TagPeople     = "People"
	TagPrivacy    = "Privacy"
	TagHealth     = "Health"
	TagAPI        = "The API itself"
)

var tags = []*huma.Tag{
	{Name: TagProducts, Description: "The catalogue: what is sold, and for how much."},
	{Name: TagPromotions, Description: "What lowers prices by rules, with the codes of coupons and with limits of their uses."},
	{Name: TagGiftCards, Description: "Gift cards, which have a code, and credit accounts of customers. Orders pay with them."},
	{Name: TagPrices, Description: "What a cart costs: price lists, shipping methods, and legal entities with their taxes."},
	{Name: TagCarts, Description: "What customers want to buy, until the checkout makes an order of it."},
	{Name: TagStock, Description: "The quantities of a product at a location, and its movements."},
	{Name: TagPromises, Description: "Stock that is set aside for orders. Reservations have a deadline; allocations have none."},
	{Name: TagOrders, Description: "Orders with their payments and parcels."},
	{Name: TagReturns, Description: "Goods that come back, the money that is given back for them, and credit notes."},
	{Name: TagCustomers, Description: "Who buys: profiles, addresses, consents, and what the staff noted."},
	{Name: TagReports, Description: "What was ordered, taxed, paid and given back, in sums that equal the orders."},
	{Name: TagSales, Description: "What was sold, in total and by customer."},
	{Name: TagEvents, Description: "The log: all events, in their order."},
	{Name: TagProcesses, Description: "Work that needs steps in several places and is not finished, such as a checkout that has to reserve stock and place an order."},
	{Name: TagPeople, Description: "People who work in the shop: who was invited, and how they sign in."},
	{Name: TagAccess, Description: "Who may do what: API keys, and roles with their permissions."},
	{Name: TagPrivacy, Description: "Personal data of customers and guests, and its end."},
	{Name: TagHealth, Description: "The state of the server, for probes."},
	{Name: TagAPI, Description: "The OpenAPI document, and the meaning of each problem."},
}

// SchemeKey names the credentials of a request in the document.
const SchemeKey = "apiKey"

// Describe sets the parts of the document that do not belong to one operation.
func Describe(document *huma.OpenAPI) {
	document.Info.Description = description
	document.Info.Contact = &huma.Contact{Name: "The operator of this server"}
	document.Servers = []*huma.Server{{URL: "/", Description: "The server that this document was read from."}}
	document.Tags = tags
	document.Components.SecuritySchemes = map[string]*huma.SecurityScheme{SchemeKey: {
		Type: "http", Scheme: "bearer", BearerFormat: "dbk_<id>_<secret>",
		Description: "An API key. x-permission of an operation names the permission that it needs.",
	}}
	document.Security = []map[string][]string{{SchemeKey: {}}}
	if r, ok := document.Components.Schemas.(*Registry); ok {
		// The type must be known here, because huma asks for it before Complete is called.
		r.types["Problem"] = reflect.TypeFor[problem.Document]()
	}
}

// OfDocument is the schema of the document itself.
func OfDocument(document *huma.OpenAPI) *huma.Schema {
	r, ok := document.Components.Schemas.(*Registry)
	if !ok {
		return &huma.Schema{Type: huma.TypeObject}
	}
	return r.Add("APIDocument", &huma.Schema{
		Type: huma.TypeObject, Description: "A document of OpenAPI 3.1.", Required: []string{"openapi", "info", "paths"}, AdditionalProperties: true,
		Properties: map[string]*huma.Schema{
			"openapi": {Type: huma.TypeString, Description: "The version of OpenAPI.", Extensions: map[string]any{"pattern": `^3[.]1[.][0-9]+$`}, Examples: []any{"3.1.0"}},
			"info":    {Type: huma.TypeObject, Description: "The API's name and version.", AdditionalProperties: true, Examples: []any{map[string]any{"title": "Daybook", "version": "1.0.0"}}},
			"paths":   {Type: huma.TypeObject, Description: "The operations, by path and method.", AdditionalProperties: true, Examples: []any{map[string]any{}}},
		},
	})
}

// Complete is called after all operations are registered. It adds the schemas of problems, the
// problems of each operation, the descriptions of parameters and headers, and the examples.
// Only readers of the document need these, so it is called when the document is first read.
func Complete(document *huma.OpenAPI) {
	addProblems(document)
	for _, op := range operationsOf(document) {
		describeOperation(document, op)
	}
	openResponses(document)
	addTextPatterns(document)
	addExamples(document)
}

// describeOperation adds the problems of an operation, and the descriptions and forms of its
// parameters and headers.
func describeOperation(document *huma.OpenAPI, op *huma.Operation) {
	addOwnProblems(document, op)
	for _, p := range op.Parameters {
		schema := p.Schema
		if schema == nil {
			continue
		}
		Say(op.OperationID, p.Name, schema)
		if p.Description == "" {
			p.Description = schema.Description
		}
		schema.Description = "" // the parameter itself has the description
	}
	for status, response := range op.Responses {
		delete(response.Headers, "Content-Type") // the keys of response.Content are the media types
		for name, header := range response.Headers {
			describeHeader(op, status, name, header)
		}
	}
}

// describeHeader gives a header of a response the meaning and form that its name has, and
// says whether the response always has it. A sign-in sets a cookie only when it is complete.
func describeHeader(op *huma.Operation, status, name string, header *huma.Header) {
	if header.Schema == nil {
		return
	}
	if slices.Contains(flags, name) {
		header.Schema.Type = huma.TypeBoolean
	}
	done := status[0] != '4' && status[0] != '5'
	header.Required = done && name != "Set-Cookie" && !slices.Contains(flags, name) && !slices.Contains(sometimes, op.OperationID+" "+name)
	Say("header", name, header.Schema)
	if header.Description == "" {
		header.Description = header.Schema.Description
	}
	header.Schema.Description = ""
}

// flags are the headers that are `true` or missing. Their schema is a boolean and not an
// enumeration of one value, because ogen makes a type of each such enumeration and then confuses
// the types.
var flags = []string{"Idempotency-Replayed", "Daybook-More"}

// sometimes are other headers that an operation's responses do not always have when it was carried
// out. The cart of a customer has no token of a guest. A page of a stream without events has no
// position. A page of the log always has one, but ogen makes one type for the pages of both, so
// both say the same.
var sometimes = []string{"read-stream Daybook-Position", "list-events Daybook-Position", "open-cart Daybook-Guest-Token"}

const description = `Daybook is the order and inventory core of a shop. Every write appends events to a log. An event in the log never changes. Reads come from read models, which follow the log.

**Writing.** The response to a write has the aggregate after the change, an ` + "`ETag`" + ` that begins with its revision, and the log's position in ` + "`Daybook-Position`" + `. If a checkout is refused after it has begun, the response has a position, too. A read that waits for this position shows the cart open again.
- ` + "`Idempotency-Key`" + `: a request with the same key and the same content gets the first response again, marked ` + "`Idempotency-Replayed: true`" + `. A request with the same key and other content is refused (422). The key is required where stock or money moves. It is kept for 48 hours, separately for each caller (` + "`Daybook-Actor`" + `).
- ` + "`If-Match`" + `: the write happens only at the revision of one of these ETags; otherwise the response is 412. ` + "`If-None-Match: *`" + `: the write happens only if there is nothing yet.
- A retry or a dismissal of a process is not a write to the log. It takes no key, because it can be repeated. A process has no revision, so a request with a condition on a revision gets 412.

**Reading.** The header ` + "`Daybook-Position`" + ` says which position of the log the response reflects. A read can name a position in ` + "`Daybook-Min-Position`" + `, such as the position that a write returned. It then waits until the read model has reached this position: for 2 seconds, or for as long as ` + "`Prefer: wait=n`" + ` says (at most 10). Each response has an ` + "`ETag`" + `, and no other body has the same one. A read whose ` + "`If-None-Match`" + ` names this ETag is answered with 304. A read whose ` + "`If-Match`" + ` does not name it is answered with 412.

A query parameter that is empty, unknown or given twice is refused (422).

**Errors** are problems of RFC 9457. The type of a problem is ` + "`/problems/`" + ` and a code that never changes, such as ` + "`/problems/stock-insufficient`" + `. The type of a fault of the server is ` + "`about:blank`" + `. Further members tell a program more about the case, such as ` + "`shortages`" + `. ` + "`GET /problems`" + ` lists all codes.

**Access.** Each request needs an API key: ` + "`Authorization: Bearer dbk_...`" + `. People sign in instead (sign-in), and a cookie stands for their session. Without either the response is 401, and without the permission that ` + "`x-permission`" + ` of the operation names it is 403. What belongs to another customer is 404. Without the permission ` + "`personal.read`" + `, ids of customers are pseudonyms and other personal texts are ` + "`withheld`" + `, except in what belongs to the caller. The actor of an event is then the key, and ` + "`Daybook-Actor`" + ` is refused. Only a server that runs with ` + "`--access off`" + ` asks for no key and believes ` + "`Daybook-Actor`" + `. The server answers only requests for its own names (otherwise 421), and refuses requests from pages of other sites (403).

**Growth.** Responses may get more members, so clients have to ignore members that they do not know. A request with a member that the server does not know is refused (422).

**Forms**: this document gives many values a form, such as a pattern or a list of values. All values that this program writes have their form. Events that another program wrote under the shop's types are shown as they are, so their values may have other forms.

**Money** is a decimal in a string and an ISO 4217 code. It has the digits of its currency (` + "`7.50`" + `), and more where the amount is finer. Only the data of events shows amounts with the digits that they were recorded with (` + "`7.5`" + `), because an event is shown as it was recorded. **SKUs** are turned to upper case. In a path they are percent-encoded (` + "`A%2FB`" + `).`
