package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
)

// serveDocs adds the routes of the OpenAPI document, its page and the catalogue of problems.
func serveDocs(router *mux.Router, api huma.API) {
	document := api.OpenAPI()
	complete := sync.OnceFunc(func() { apidoc.Complete(document) })
	registerDocument(api, complete)
	registerProblems(api)
	serveDocsPage(router, document, complete)
}

// hiddenDocument is the address of the document's YAML form. The document does not list it.
const hiddenDocument = "/openapi.yaml"

// documentOutput is the document in one of its forms.
type documentOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// registerDocument adds the routes of the document. It is made when it is first read. The document
// does not list its YAML form, because generators of clients cannot read YAML. complete completes
// it.
func registerDocument(api huma.API, complete func()) {
	document := api.OpenAPI()
	serve := func(op huma.Operation, contentType string, generate func() ([]byte, error)) {
		op.Method, op.Tags, op.Metadata = http.MethodGet, []string{apidoc.TagAPI}, problem.Listing(access.Look, problem.CodeInvalid)
		op.Responses = map[string]*huma.Response{"200": {Description: "The document.", Content: map[string]*huma.MediaType{
			contentType: {Schema: apidoc.OfDocument(document)},
		}}}
		once := sync.OnceValues(generate)
		huma.Register(api, op, func(ctx context.Context, _ *struct{}) (*documentOutput, error) {
			body, err := once()
			if err != nil {
				return nil, problem.From(ctx, fmt.Errorf("OpenAPI document: %w", err))
			}
			return &documentOutput{ContentType: contentType, Body: body}, nil
		})
	}
	serve(huma.Operation{
		OperationID: "get-document", Path: "/openapi.json", Summary: "Show this document",
		Description: "The OpenAPI document of the API. `/openapi.yaml` has it in YAML, and `/docs` shows it to people.",
	}, "application/openapi+json", func() ([]byte, error) {
		complete()
		return json.Marshal(document)
	})
	serve(huma.Operation{OperationID: "get-document-in-yaml", Path: hiddenDocument, Hidden: true}, "application/openapi+yaml", func() ([]byte, error) {
		complete()
		return document.YAML()
	})
}

// ProblemType explains a type of problems.
type ProblemType struct {
	Code   string `json:"code" pattern:"^[a-z]+(-[a-z]+)*$" example:"stock-insufficient" doc:"The code. It never changes."`
	Type   string `json:"type" pattern:"^/problems/[a-z-]+$" example:"/problems/stock-insufficient" doc:"The type of its problems. It is the address of this explanation."`
	Title  string `json:"title" example:"Stock insufficient" doc:"The code in words."`
	Status int    `json:"status" minimum:"400" maximum:"599" example:"409" doc:"The HTTP status of its problems."`
	Detail string `json:"detail" example:"There is not enough of it." doc:"When it is returned, and what helps."`
}

// ProblemTypes are all types of problems.
type ProblemTypes struct {
	Problems []ProblemType `json:"problems" doc:"All types, sorted by status and then by code."`
}

type (
	problemTypesOutput struct{ Body ProblemTypes }
	problemTypeOutput  struct{ Body ProblemType }
	problemTypeInput   struct {
		Code string `path:"code" maxLength:"64" example:"stock-insufficient" doc:"The last part of the problem's type."`
	}
)

// registerProblems adds routes that explain the problem types, because the type of a problem is an
// address.
func registerProblems(api huma.API) {
	var all ProblemTypes
	for _, entry := range problem.Catalogue() {
		all.Problems = append(all.Problems, ProblemType{Code: entry.Code, Type: entry.Type, Title: entry.Title, Status: entry.Status, Detail: entry.Detail})
	}
	huma.Register(api, huma.Operation{
		OperationID: "list-problem-types", Method: http.MethodGet, Path: "/problems", Summary: "List the types of problems", Tags: []string{apidoc.TagAPI},
		Description: "Every type of problem that a response can have.", Metadata: problem.Listing(access.Look, problem.CodeInvalid),
	}, func(context.Context, *struct{}) (*problemTypesOutput, error) { return &problemTypesOutput{all}, nil })
	huma.Register(api, huma.Operation{
		OperationID: "get-problem-type", Method: http.MethodGet, Path: "/problems/{code}", Summary: "Explain a type of problems", Tags: []string{apidoc.TagAPI},
		Description: "The type of a problem is an address of this form. For example, GET /problems/stock-insufficient explains the type /problems/stock-insufficient.", Metadata: problem.Listing(access.Look, problem.CodeInvalid, problem.CodeNotFound),
	}, func(ctx context.Context, in *problemTypeInput) (*problemTypeOutput, error) {
		at := slices.IndexFunc(all.Problems, func(p ProblemType) bool { return p.Code == in.Code })
		if at < 0 {
			return nil, problem.From(ctx, problem.NotFound("There is no problem with this code."))
		}
		return &problemTypeOutput{all.Problems[at]}, nil
	})
}
