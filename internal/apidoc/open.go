package apidoc

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"daybook/internal/problem"
)

// openResponses lets responses gain members later (decision 46): the schema of an object that
// no request holds does not forbid other members. Bodies of requests stay closed, because a
// member that the server does not know is a mistake of the caller.
func openResponses(document *huma.OpenAPI) {
	r, ok := document.Components.Schemas.(*Registry)
	if !ok {
		return
	}
	requested := r.inRequests(document)
	for name, schema := range r.schemas {
		if !requested[name] {
			each(schema, open)
		}
	}
	for _, op := range operationsOf(document) {
		for _, response := range op.Responses {
			for _, media := range response.Content {
				each(media.Schema, open)
			}
		}
	}
}

// inRequests returns the names of all schemas that the bodies of requests have.
func (r *Registry) inRequests(document *huma.OpenAPI) map[string]bool {
	names := make(map[string]bool)
	for _, op := range operationsOf(document) {
		if op.RequestBody == nil {
			continue
		}
		for _, media := range op.RequestBody.Content {
			r.reach(media.Schema, names)
		}
	}
	return names
}

// addTextPatterns gives the texts of request bodies their patterns. A schema that only responses
// have gets none, because responses also show what other programs have written.
func addTextPatterns(document *huma.OpenAPI) {
	r, ok := document.Components.Schemas.(*Registry)
	if !ok {
		return
	}
	for name := range r.inRequests(document) {
		for member, schema := range r.schemas[name].Properties {
			pattern := problem.TextPattern(member)
			if schema.Extensions["pattern"] == decimalForm {
				pattern = givenDecimalForm
			}
			if pattern == "" || schema.Type != huma.TypeString || len(schema.Enum) > 0 {
				continue
			}
			if schema.Extensions == nil {
				schema.Extensions = make(map[string]any)
			}
			schema.Extensions["pattern"] = pattern
		}
	}
}

func operationsOf(document *huma.OpenAPI) (all []*huma.Operation) {
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	return all
}

// open makes a closed object open.
func open(s *huma.Schema) {
	if more, is := s.AdditionalProperties.(bool); is && !more {
		s.AdditionalProperties = nil
	}
}

// reach notes the names of all schemas that a schema holds.
func (r *Registry) reach(s *huma.Schema, names map[string]bool) {
	each(s, func(s *huma.Schema) {
		name, is := strings.CutPrefix(s.Ref, prefix)
		if is && !names[name] {
			names[name] = true
			r.reach(r.schemas[name], names)
		}
	})
}

// each calls do for a schema and all schemas that are written within it.
func each(s *huma.Schema, do func(*huma.Schema)) {
	if s == nil {
		return
	}
	do(s)
	each(s.Items, do)
	each(s.Not, do)
	for _, member := range s.Properties {
		each(member, do)
	}
	for _, parts := range [][]*huma.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, part := range parts {
			each(part, do)
		}
	}
	if values, is := s.AdditionalProperties.(*huma.Schema); is {
		each(values, do)
	}
}
