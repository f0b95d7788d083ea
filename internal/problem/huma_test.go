package problem

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

func TestHumasFindingsPointAtTheirPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		found huma.ErrorDetail
		want  Invalid
	}{
		"a member of a list": {
			huma.ErrorDetail{Location: "body.lines[0].sku", Message: "expected string", Value: 7},
			Invalid{Pointer: "#/lines/0/sku", Detail: "expected string"},
		},
		"a member that is missing": {
			huma.ErrorDetail{Location: "body.lines[1]", Message: "expected required property sku to be present"},
			Invalid{Pointer: "#/lines/1/sku", Detail: "required"},
		},
		"the body itself": {
			huma.ErrorDetail{Location: "body", Message: "expected object"},
			Invalid{Pointer: "#", Detail: "expected object"},
		},
		"a query parameter": {
			huma.ErrorDetail{Location: "query.q", Message: "expected length <= 200"},
			Invalid{In: "query", Parameter: "q", Detail: "expected length <= 200"},
		},
		"a value of a list in a query": {
			huma.ErrorDetail{Location: "query.status[1]", Message: "expected value to be one of open"},
			Invalid{In: "query", Parameter: "status", Detail: "value 2: expected value to be one of open"},
		},
		"a name that needs escaping": {
			huma.ErrorDetail{Location: "body.a/b", Message: "unexpected property"},
			Invalid{Pointer: "#/a~1b", Detail: "unexpected property"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := invalid(&test.found); got != test.want {
				t.Errorf("invalid(%+v) = %+v, want %+v", test.found, got, test.want)
			}
		})
	}
}

func TestHumasUnknownErrorsDoNotLeak(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	for _, status := range []int{500, 501, 502} {
		d := fromHuma(context.Background(), status, "unexpected error occurred", []error{secret})
		if d.Status != 500 || strings.Contains(d.Detail+d.Title, "hunter2") || len(d.Errors) != 0 {
			t.Errorf("status %d: %+v, want a bare 500", status, d)
		}
		if !errors.Is(d, secret) {
			t.Errorf("status %d: the cause is lost to the log", status)
		}
	}
	if d := fromHuma(context.Background(), 422, "validation failed", []error{secret}); strings.Contains(d.Errors[0].Detail, "hunter2") {
		t.Errorf("an error that is not a finding shows: %+v", d)
	}
}

// A fault of a parameter must not be reported as a fault of the body.
func TestABodyThatIsMissingIsSaidToBe(t *testing.T) {
	t.Parallel()
	wrong := &huma.ErrorDetail{Location: "header.Daybook-Occurred-At", Message: "expected string"}
	if d := fromHuma(context.Background(), 400, "request body is required", []error{wrong}); d.Detail != "A body is required." {
		t.Errorf("%+v", d)
	}
	if d := fromHuma(context.Background(), 400, "validation failed", []error{wrong}); d.Detail != "The body is not valid JSON." {
		t.Errorf("%+v", d)
	}
}

// The decoder's own text must not be shown, because it names types of Go.
func TestAValueThatDoesNotFitHasItsPointer(t *testing.T) {
	t.Parallel()
	for _, misfit := range []*Misfit{{Pointer: "/lines/0/n"}, {Pointer: "/until", Time: true}, {Pointer: ""}} {
		d := fromHuma(context.Background(), 422, "validation failed", []error{&huma.ErrorDetail{Location: "body", Message: misfit.Error()}})
		if len(d.Errors) != 1 || d.Errors[0].Pointer != "#"+misfit.Pointer || strings.Contains(d.Errors[0].Detail, "2026-01-31T12:00:00Z") != misfit.Time {
			t.Errorf("%+v is reported as %+v", misfit, d.Errors)
		}
	}
}
