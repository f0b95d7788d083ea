package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/mux"

	"daybook/domain/access"
	"daybook/internal/problem"
)

type scannedInput struct {
	Body struct {
		Text   string   `json:"text" minLength:"2" maxLength:"5" pattern:"^[a-z]*$"`
		Choice string   `json:"choice,omitempty" enum:"a,b"`
		When   string   `json:"when,omitempty" format:"date-time"`
		Number int      `json:"number,omitempty" minimum:"1" maximum:"9"`
		Yes    bool     `json:"yes,omitempty"`
		Least  []string `json:"least,omitempty" minItems:"2" maxItems:"3" maxLength:"3"`
		Items  []struct {
			ID   int  `json:"id"`
			Fine bool `json:"fine,omitempty"`
		} `json:"items,omitempty" maxItems:"5"`
		Inner *struct {
			Name string `json:"na/me" maxLength:"3"`
		} `json:"inner,omitempty"`
	}
}

// scanned has the number of faults of each body.
var scanned = map[string]int{
	`{"text":"abc"}`: 0,
	`{"text":"abc","choice":"b","when":"2020-01-02T03:04:05Z","number":9,"yes":true,"least":["a","b"],"items":[{"id":1},{"id":2,"fine":false}],"inner":{"na/me":"x"}}`: 0,
	`{}`: 1, `null`: 1, `[]`: 1, `[{}]`: 1, `"x"`: 1, `1`: 1, `true`: 1,
	`{"text":null}`: 1, `{"text":1}`: 1, `{"text":[]}`: 1, `{"text":{"x":1}}`: 1, `{"text":"A"}`: 2, `{"text":"abcdeF"}`: 2, `{"Text":"abc"}`: 2,
	`{"text":"abc","choice":"c"}`: 1, `{"text":"abc","choice":1}`: 1, `{"text":"abc","when":"today"}`: 1,
	`{"text":"abc","number":0}`: 1, `{"text":"abc","number":10}`: 1, `{"text":"abc","number":1.5}`: 1, `{"text":"abc","number":"1"}`: 1,
	`{"text":"abc","yes":0}`: 1, `{"text":"abc","least":[]}`: 1, `{"text":"abc","least":["a"]}`: 1, `{"text":"abc","least":["a",null]}`: 1,
	`{"text":"abc","least":{}}`: 1, `{"text":"abc","least":["a","abcd"]}`: 1, `{"text":"abc","least":[["a"],{"a":[1]}]}`: 2,
	`{"text":"abc","items":[{},{"id":1,"x":{"y":[]}},{"id":true,"fine":1},null,[]]}`: 6,
	`{"text":"abc","inner":{}}`: 1, `{"text":"abc","inner":{"na/me":"abcd","b":1}}`: 2, `{"te\u0078t":"abc","a":1,"b":2}`: 2,
}

// asHuma says a fault of the scan in the words of huma's validation.
func asHuma(fault problem.Invalid) string {
	if fault.Detail != "required" {
		return fault.Detail
	}
	pointer := jsontext.Pointer(strings.TrimPrefix(fault.Pointer, "#"))
	return fmt.Sprintf(validation.MsgExpectedRequiredProperty, pointer.LastToken())
}

// asScan is a message of huma about the bounds of a number, in the words of the scan. The number
// has the bounds of scannedInput.
func asScan(message string) string {
	if strings.HasPrefix(message, "expected number ") {
		return "does not fit: want a whole number from 1 to 9"
	}
	return message
}

// The scan replaces huma's validation, so it must report the same faults.
func TestTheScanFindsWhatTheSchemaForbids(t *testing.T) {
	t.Parallel()
	problem.Install()
	api := humamux.New(mux.NewRouter(), config("1"))
	huma.Register(api, huma.Operation{OperationID: "scan", Method: http.MethodPost, Path: "/scan", Metadata: problem.Listing(access.Look)},
		func(context.Context, *scannedInput) (*struct{}, error) { return nil, nil })
	b := newBodies(api, 0, 0)
	if err := b.learn(api.OpenAPI()); err != nil {
		t.Fatal(err)
	}
	var route *shape
	for _, only := range b.routes {
		route = only
	}
	for body, want := range scanned {
		_, faults, err := route.check(t.Context(), []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		var value any
		if err := json.Unmarshal([]byte(body), &value); err != nil {
			t.Fatal(err)
		}
		var of huma.ValidateResult
		path := huma.NewPathBuffer(nil, 0)
		path.Push("body")
		huma.Validate(route.schemas, route.root, path, huma.ModeWriteToServer, value, &of)
		var asked []string
		for _, err := range of.Errors {
			detail, is := errors.AsType[*huma.ErrorDetail](err)
			if !is {
				t.Fatalf("huma says %v", err)
			}
			asked = append(asked, asScan(detail.Message))
		}
		var got []string
		for _, fault := range faults {
			got = append(got, asHuma(fault))
		}
		slices.Sort(asked)
		slices.Sort(got)
		if !slices.Equal(got, asked) {
			t.Errorf("%s: the scan finds %q, huma %q", body, got, asked)
		}
		if len(faults) != want {
			t.Errorf("%s: %d faults, want %d", body, len(faults), want)
		}
	}
}

// null is no value of a member, even if the member may be missing. huma would allow it, although
// the schema does not.
func TestNullIsNoValue(t *testing.T) {
	t.Parallel()
	problem.Install()
	api := humamux.New(mux.NewRouter(), config("1"))
	huma.Register(api, huma.Operation{OperationID: "scan", Method: http.MethodPost, Path: "/scan", Metadata: problem.Listing(access.Look)},
		func(context.Context, *scannedInput) (*struct{}, error) { return nil, nil })
	b := newBodies(nil, 0, 0)
	if err := b.learn(api.OpenAPI()); err != nil {
		t.Fatal(err)
	}
	for _, route := range b.routes {
		_, faults, err := route.check(t.Context(), []byte(`{"text":"abc","choice":null,"when":null,"number":null,"yes":null,"least":null,"items":null,"inner":null}`))
		if len(faults) != 7 || err != nil {
			t.Errorf("%d faults %v, %v, want one of each null", len(faults), faults, err)
		}
	}
}

func TestAWholeNumberIsWrittenInPlainDigits(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "-0e5": "0", "0e999999999999999999999": "0", "5": "5", "-5": "-5", "5.0": "5", "5.000": "5", "1e3": "1000", "1E+3": "1000",
		"1.5e1": "15", "-1.50e1": "-15", "1200e-2": "12", "120.0e-1": "12", "0.001e3": "1", "9223372036854775807": "9223372036854775807",
		"9.223372036854775807e18": "9223372036854775807", "1.5": "", "1e-1": "", "1.05e1": "", "0.1": "", "1e-99999999999999999999": "",
	} {
		got, whole := wholeNumber(raw)
		if got != want || whole != (want != "") {
			t.Errorf("%s is read as %q, %t, want %q", raw, got, whole, want)
		}
	}
	for _, raw := range []string{"1e19", "1e400", "-1e999999", "1e99999999999999999999", "99999999999999999999"} {
		digits, whole := wholeNumber(raw)
		if _, err := strconv.ParseInt(digits, 10, 64); err == nil || !whole || len(digits) > maxNumberBytes+maxDigits+1 {
			t.Errorf("%s is read as %q, %t, want more digits than fit", raw, digits, whole)
		}
	}
}
