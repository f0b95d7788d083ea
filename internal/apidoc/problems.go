package apidoc

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"daybook/domain/access"
	"daybook/internal/problem"
)

// internalCode is the type of a problem that is a fault of the server, and has no code.
const internalCode = "about:blank"

// addProblems adds a schema for each problem code, and the union of all. A client tells the parts
// of the union apart by the member type.
func addProblems(document *huma.OpenAPI) {
	r, ok := document.Components.Schemas.(*Registry)
	if !ok {
		return
	}
	all := make([]string, 0, len(catalogue()))
	for code, entry := range catalogue() {
		r.Add(schemaOfProblem(code), problemSchema(r, entry))
		all = append(all, code)
	}
	union := unionOf(all)
	union.Description = "The response to a request that is not carried out (RFC 9457). The type says what kind of problem it is and which members it has."
	document.Extensions = map[string]any{"x-problem": r.Add("Problem", union)} // each operation lists only its own problems
	r.types["Problem"] = reflect.TypeFor[problem.Document]()                   // huma asks for it
}

// catalogue is every problem by its code.
var catalogue = sync.OnceValue(func() map[string]problem.Entry {
	all := map[string]problem.Entry{internalCode: {
		Code: internalCode, Type: internalCode, Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
		Detail: "A fault of the server. The server's log says more, with the request's id.", Facts: reflect.TypeFor[struct{}](),
	}}
	for _, entry := range problem.Catalogue() {
		all[entry.Code] = entry
	}
	return all
})

// schemaOfProblem makes "StockInsufficientProblem" from "stock-insufficient".
func schemaOfProblem(code string) string {
	if code == internalCode {
		return "InternalProblem"
	}
	var name strings.Builder
	for word := range strings.SplitSeq(code, "-") {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String() + "Problem"
}

func problemSchema(r *Registry, entry problem.Entry) *huma.Schema {
	name := schemaOfProblem(entry.Code)
	if entry.Facts == nil {
		panic(fmt.Errorf("the problem %s has no row in problem.facts", entry.Code))
	}
	s := huma.SchemaFromType(r, reflect.TypeFor[problem.Common]())
	own := huma.SchemaFromType(r, entry.Facts)
	if entry.Code == internalCode && problem.MayNameOrder("") || problem.MayNameOrder(entry.Code) {
		maps.Copy(s.Properties, huma.SchemaFromType(r, reflect.TypeFor[problem.AboutOrder]()).Properties)
	}
	for member, schema := range own.Properties {
		s.Properties[member] = schema
	}
	status := float64(entry.Status)
	s.Properties["type"] = constant(entry.Type, "What kind of problem it is. It is also an address: a GET there explains the problem.")
	s.Properties["title"] = constant(entry.Title, "The kind of problem, for a person.")
	s.Properties["status"] = &huma.Schema{Type: huma.TypeInteger, Description: "The HTTP status.", Extensions: map[string]any{"const": status}}
	s.Required = append([]string{"type", "title", "status"}, own.Required...)
	s.Description = entry.Detail
	describe(name, s)
	return s
}

// unionOf is the schema of any problem of these codes. The member type tells them apart.
func unionOf(codes []string) *huma.Schema {
	slices.Sort(codes)
	if len(codes) == 1 {
		return &huma.Schema{Ref: prefix + schemaOfProblem(codes[0])}
	}
	all := catalogue()
	union := &huma.Schema{Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: make(map[string]string, len(codes))}}
	for _, code := range codes {
		ref := prefix + schemaOfProblem(code)
		union.OneOf = append(union.OneOf, &huma.Schema{Ref: ref})
		union.Discriminator.Mapping[all[code].Type] = ref
	}
	return union
}

// addOwnProblems documents the problems that an operation may respond with, by status.
func addOwnProblems(document *huma.OpenAPI, op *huma.Operation) {
	all := catalogue()
	byStatus := make(map[int][]string)
	for _, code := range codesOf(op) {
		entry, known := all[code]
		if !known {
			panic(fmt.Errorf("%s: there is no problem %s", op.OperationID, code))
		}
		byStatus[entry.Status] = append(byStatus[entry.Status], code)
	}
	delete(op.Responses, "default") // huma adds it, and it does not say which problems it stands for
	for status, codes := range byStatus {
		key := strconv.Itoa(status)
		response := op.Responses[key]
		if response == nil {
			response = &huma.Response{Description: describeStatus(all, status, codes), Content: make(map[string]*huma.MediaType)}
			op.Responses[key] = response
		}
		response.Content[problem.ContentType] = &huma.MediaType{Schema: unionOf(codes)}
		if response.Headers == nil {
			response.Headers = make(map[string]*huma.Header)
		}
		if status == http.StatusUnauthorized {
			response.Headers["WWW-Authenticate"] = &huma.Header{Description: "Which credentials are wanted.", Required: true, Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{`Bearer realm="daybook"`}}}
		}
		if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusConflict {
			about := "How many seconds the client should wait before it tries again. Left out if it does not help to wait."
			always := status == http.StatusTooManyRequests
			if always {
				about = "How many seconds the client should wait before it tries again."
			}
			response.Headers["Retry-After"] = &huma.Header{Description: about, Required: always, Schema: &huma.Schema{Type: huma.TypeInteger, Examples: []any{1}}}
		}
		if status == http.StatusConflict && op.OperationID == "checkout-cart" {
			response.Headers["Daybook-Position"] = &huma.Header{Description: "The log position at which the cart is open again. A read can wait for it. Left out if the checkout did not begin.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if status == http.StatusConflict && op.OperationID == "merge-cart" {
			response.Headers["Daybook-Position"] = &huma.Header{Description: "The log position at which the other cart is open again. A read can wait for it. Left out if that cart was open all the time.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	shareResponses(document, op)
}

// describeStatus describes a status of an operation in one line.
func describeStatus(all map[string]problem.Entry, status int, codes []string) string {
	if len(codes) == 1 {
		return all[codes[0]].Detail
	}
	return fmt.Sprintf("%s: one of %d problems. The problem's member type says which one.", http.StatusText(status), len(codes))
}

// shareResponses moves a response with one problem to the document's components, if many operations
// have it.
func shareResponses(document *huma.OpenAPI, op *huma.Operation) {
	if document.Components.Responses == nil {
		document.Components.Responses = make(map[string]*huma.Response)
	}
	for key, response := range op.Responses {
		media := response.Content[problem.ContentType]
		if media == nil || len(response.Content) > 1 || media.Schema.Ref == "" {
			continue
		}
		schema := strings.TrimPrefix(media.Schema.Ref, prefix)
		if !slices.Contains(shared, schema) {
			continue
		}
		name := strings.TrimSuffix(schema, "Problem")
		document.Components.Responses[name] = response
		op.Responses[key] = &huma.Response{Ref: "#/components/responses/" + name}
	}
}

// shared are the schemas of the problems that many operations have.
var shared = func() []string {
	codes := slices.Concat([]string{internalCode, problem.CodeDiverged, problem.CodeMediaType, problem.CodeTooManyHere}, problem.OfAll, problem.OfBodies)
	names := make([]string, 0, len(codes))
	for _, code := range codes {
		names = append(names, schemaOfProblem(code))
	}
	return names
}()

// codesOf returns the codes of the problems of an operation: its own, and those that every request
// of its kind may get.
func codesOf(op *huma.Operation) []string {
	codes := append([]string{internalCode}, problem.OfAll...)
	codes = append(codes, problem.Listed(op.Metadata)...)
	if problem.Needs(op.Metadata) != access.Open {
		// Any request may name another actor in Daybook-Actor, and is then refused.
		codes = append(codes, problem.CodeForbidden, problem.CodeFieldForbidden, problem.CodeOutsideScope)
	}
	if strings.HasPrefix(op.Path, "/v1/") {
		codes = append(codes, problem.CodeDiverged)
	}
	if op.Method != http.MethodGet {
		codes = append(codes, problem.OfBodies...)
	}
	if op.RequestBody != nil {
		codes = append(codes, problem.CodeMediaType)
	}
	for _, p := range op.Parameters {
		switch {
		case p.Name == "Idempotency-Key" && p.Required:
			codes = append(codes, problem.CodeKeyRequired)
		case p.Name == "If-Match":
			codes = append(codes, problem.CodeStale)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
