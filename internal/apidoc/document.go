package apidoc

import (
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// The tags are the sections of the document, in this order. Most have routes of both APIs.
const (
	TagProducts  = "Products"
	TagCarts     = "Carts"
	TagStock     = "Stock"
	TagPromises  = "Reservations and allocations"
	TagOrders    = "Orders"
	TagReturns   = "Returns"
	TagSales     = "Sales and customers"
	TagEvents    = "Events"
	TagProcesses = "Processes"
	TagHealth    = "Health"
	TagProblems  = "Problems"
)

var tags = []*huma.Tag{
	{Name: TagProducts, Description: "The catalogue: what is sold, and for how much."},
	{Name: TagCarts, Description: "What customers mean to buy, up to the checkout that makes an order of it."},
	{Name: TagStock, Description: "How much of a product is at a location, and what moved."},
	{Name: TagPromises, Description: "What stock has promised: reservations have a deadline, allocations have none."},
	{Name: TagOrders, Description: "Orders with their payments and parcels."},
	{Name: TagReturns, Description: "What comes back, and money given back; credit notes."},
	{Name: TagSales, Description: "What was sold, in all and by customer."},
	{Name: TagEvents, Description: "The log itself: every event, in its order."},
	{Name: TagProcesses, Description: "Work that spans several things and is not finished."},
	{Name: TagHealth, Description: "What probes ask."},
	{Name: TagProblems, Description: "What the problems mean that requests are answered with."},
}

// Describe sets the parts of the document that do not belong to one operation.
func Describe(document *huma.OpenAPI) {
	document.Info.Description = description
	document.Info.Contact = &huma.Contact{Name: "The operator of this server"}
	document.Servers = []*huma.Server{{URL: "/", Description: "The server that this document was read from."}}
	document.Tags = tags
	// There is no access control, so no request needs a security scheme. A scheme that the server
	// does not check would be a false promise.
	document.Security = []map[string][]string{}
	if r, ok := document.Components.Schemas.(*Registry); ok {
		// The type must be known here, because huma asks for it before Complete is called.
		r.types["Problem"] = reflect.TypeFor[problem.Document]()
	}
}

// Complete is called after all operations are registered. It adds the schemas of problems, the
// problems of each operation, and the descriptions of parameters and headers. Only readers of the
// document need these, so it is called when the document is first read.
func Complete(document *huma.OpenAPI) {
	addProblems(document)
	for _, op := range operationsOf(document) {
		describeOperation(document, op)
	}
	openAnswers(document)
}

// describeOperation adds the problems of an operation, and the descriptions and forms of its
// parameters and headers.
func describeOperation(document *huma.OpenAPI, op *huma.Operation) {
	answerProblems(document, op)
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
		delete(response.Headers, "Content-Type") // it is said by content
		for name, header := range response.Headers {
			describeHeader(op, status, name, header)
		}
	}
}

// describeHeader gives a header of an answer the meaning and form that its name has, and
// says whether the answer always has it.
func describeHeader(op *huma.Operation, status, name string, header *huma.Header) {
	if header.Schema == nil {
		return
	}
	if slices.Contains(flags, name) {
		header.Schema.Type = huma.TypeBoolean
	}
	done := status[0] != '4' && status[0] != '5'
	header.Required = done && !slices.Contains(flags, name) && !slices.Contains(sometimes, op.OperationID+" "+name)
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

// sometimes are other headers that an operation's answers do not always have when it was
// carried out: a page of a stream without events has no position. A page of the log always
// has one, but ogen makes one type for the pages of both, so both say the same.
var sometimes = []string{"read-stream Daybook-Position", "list-events Daybook-Position"}

const description = `Daybook is the order and inventory core of a shop. Every write appends to a log that is never altered; reads come from read models that follow it.

**Writing.** Each write answers with the aggregate as it then stands, an ` + "`ETag`" + ` that begins with its revision, and the log's ` + "`Daybook-Position`" + `. A refused checkout that had begun answers with a position, too: from there on the cart is open again.
- ` + "`Idempotency-Key`" + `: the same key with the same request gets the first answer again, marked ` + "`Idempotency-Replayed: true`" + `; with another request it is refused (422). Needed where stock or money moves. Keys are good for 48 hours and are the caller's own (` + "`Daybook-Actor`" + `).
- ` + "`If-Match`" + `: the write happens only at the revision of one of these ETags, otherwise 412. ` + "`If-None-Match: *`" + `: only if there is nothing yet.
- Retrying or dismissing a process is no write to the log. It takes no key, because it can be repeated, and answers 412 to a condition on a revision, because a process has none.

**Reading.** Each answer says in ` + "`Daybook-Position`" + ` which position of the log it reflects. A read with ` + "`Daybook-Min-Position`" + `, such as the position a write returned, waits for it for 2 seconds, or as long as ` + "`Prefer: wait=n`" + ` says (10 at most). Each answer has an ` + "`ETag`" + ` that no other body has; a read whose ` + "`If-None-Match`" + ` names it is answered with 304, and one whose ` + "`If-Match`" + ` does not with 412.

A query parameter that is empty, unknown or given twice is refused (422).

**Errors** are RFC 9457 problems. The type of a refusal is ` + "`/problems/`" + ` and the rule's stable code; its facts are members of the document. ` + "`GET /problems`" + ` lists all codes.

**Access.** There is no access control yet: whoever reaches the server may do everything, and ` + "`Daybook-Actor`" + ` is believed. The server answers only to its own names (421 otherwise) and refuses what pages of other sites send (403).

**Growth.** Answers may gain members, and clients have to ignore those that they do not know. A request with a member that the server does not know is refused (422).

**Forms**, such as patterns and lists of values, hold for what this program writes. What another program wrote under the shop's types is shown as it is.

**Money** is a decimal in a string and an ISO 4217 code. **SKUs** are folded to upper case; in a path they are percent-encoded (` + "`A%2FB`" + `).`
