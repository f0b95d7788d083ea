package apidoc

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// internalCode stands for the problem of a fault of the server, which has no code.
const internalCode = "about:blank"

// addProblems gives each problem code a schema, and the union of all, whose members are
// told apart by their type.
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
	union.Description = "What is answered where a request is not carried out (RFC 9457). The type says what kind of problem it is, and which members it has."
	document.Extensions = map[string]any{"x-problem": r.Add("Problem", union)} // operations name the parts that they need
	r.types["Problem"] = reflect.TypeFor[problem.Document]()                   // which huma asks for
}

// catalogue is every problem by its code.
var catalogue = sync.OnceValue(func() map[string]problem.Entry {
	all := map[string]problem.Entry{internalCode: {
		Code: internalCode, Type: internalCode, Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
		Detail: "A fault of the server. Its log tells more, under the request's id.", Facts: reflect.TypeFor[struct{}](),
	}}
	for _, entry := range problem.Catalogue() {
		all[entry.Code] = entry
	}
	return all
})

// schemaOfProblem makes "StockInsufficientProblem" of "stock-insufficient".
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
	for member, schema := range own.Properties {
		s.Properties[member] = schema
	}
	status := float64(entry.Status)
	s.Properties["type"] = constant(entry.Type, "What kind of problem it is. GET on it explains it.")
	s.Properties["title"] = constant(entry.Title, "The kind of problem, for a person.")
	s.Properties["status"] = &huma.Schema{Type: huma.TypeInteger, Description: "The HTTP status.", Extensions: map[string]any{"const": status}}
	s.Required = append([]string{"type", "title", "status"}, own.Required...)
	s.Description = entry.Detail
	describe(name, s)
	return s
}

// unionOf is any of the problems of some codes, told apart by type.
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

// answerProblems documents the problems that an operation may answer with, by status.
func answerProblems(document *huma.OpenAPI, op *huma.Operation) {
	all := catalogue()
	byStatus := make(map[int][]string)
	for _, code := range codesOf(op) {
		entry, known := all[code]
		if !known {
			panic(fmt.Errorf("%s: there is no problem %s", op.OperationID, code))
		}
		byStatus[entry.Status] = append(byStatus[entry.Status], code)
	}
	delete(op.Responses, "default") // huma's, which says nothing of its kind
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
		if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusConflict {
			about := "In how many seconds it is worth asking again; left out where waiting does not help."
			always := status == http.StatusTooManyRequests
			if always {
				about = "In how many seconds it is worth asking again."
			}
			response.Headers["Retry-After"] = &huma.Header{Description: about, Required: always, Schema: &huma.Schema{Type: huma.TypeInteger, Examples: []any{1}}}
		}
		if status == http.StatusConflict && op.OperationID == "checkout-cart" {
			response.Headers["Daybook-Position"] = &huma.Header{Description: "From where on the cart is open again; left out where the checkout did not begin.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if status == http.StatusConflict && op.OperationID == "merge-cart" {
			response.Headers["Daybook-Position"] = &huma.Header{Description: "From where on the other cart is open again; left out where it was open all the time.", Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	shareAnswers(document, op)
}

// describeStatus says in a line what a status means here.
func describeStatus(all map[string]problem.Entry, status int, codes []string) string {
	if len(codes) == 1 {
		return all[codes[0]].Detail
	}
	return fmt.Sprintf("%s: one of %d problems, told apart by their type.", http.StatusText(status), len(codes))
}

// shareAnswers keeps an answer that is one problem, and that many operations have, in one
// place.
func shareAnswers(document *huma.OpenAPI, op *huma.Operation) {
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

// shared are the schemas of the problems that requests of many kinds are answered with.
var shared = func() []string {
	codes := slices.Concat([]string{internalCode, problem.CodeDiverged, problem.CodeMediaType, problem.CodeTooManyHere}, problem.OfAll, problem.OfBodies)
	names := make([]string, 0, len(codes))
	for _, code := range codes {
		names = append(names, schemaOfProblem(code))
	}
	return names
}()

// codesOf are the problems that an operation may answer with: its own, and those of what
// every request of its kind passes.
func codesOf(op *huma.Operation) []string {
	codes := append([]string{internalCode}, problem.OfAll...)
	codes = append(codes, problem.Listed(op.Metadata)...)
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
