package problem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"daybook/domain/order"
	"daybook/domain/returns"
	"daybook/domain/rule"
	"daybook/eventstore"
	"daybook/internal/problem"
)

var errDown = errors.New("dial tcp 10.0.0.7: connection refused")

func TestErrorsHaveTheirStatus(t *testing.T) {
	t.Parallel()
	short := (&rule.Rejection{Code: "stock-insufficient"}).With("MUG: 3 asked for, 1 left.", map[string]any{"available": 1})
	for name, test := range map[string]struct {
		err        error
		status     int
		code       string
		retryAfter string
	}{
		"a rule's refusal":              {short, 409, "stock-insufficient", ""},
		"a refusal, wrapped":            {fmt.Errorf("checkout: %w", short), 409, "stock-insufficient", ""},
		"a refusal, joined":             {errors.Join(nil, short), 409, "stock-insufficient", ""},
		"stock that has yet to follow":  {order.ErrStockUnsettled.With("Wait.", nil), 409, "order-stock-unsettled", "1"},
		"orders that have yet to say":   {fmt.Errorf("approve: %w", returns.ErrNotAdmitted), 409, "return-not-admitted", "1"},
		"a missing thing":               {&rule.Rejection{Code: "cart-not-found"}, 404, "cart-not-found", ""},
		"a missing part":                {&rule.Rejection{Code: "line-unknown"}, 404, "line-unknown", ""},
		"a stale If-Match":              {problem.Stale([]int64{3}, 5), 412, problem.CodeStale, ""},
		"a conflict to the end":         {&eventstore.ConflictError{Stream: "cart-1"}, 409, problem.CodeConflict, "1"},
		"a key that names another":      {&eventstore.DuplicateEventError{ID: uuid.New()}, 422, problem.CodeKeyReused, ""},
		"an append over the limit":      {&eventstore.TooLargeError{What: "bytes", Size: 9, Limit: 8}, 413, problem.CodeTooLarge, ""},
		"an empty stream":               {&eventstore.NotFoundError{Stream: "cart-1"}, 404, problem.CodeNotFound, ""},
		"a deleted stream":              {&eventstore.DeletedError{Stream: "cart-1"}, 409, problem.CodeGone, ""},
		"a store that says no":          {&eventstore.DeniedError{Cause: errDown}, 503, problem.CodeUnavailable, "2"},
		"a store that is away":          {&eventstore.UnavailableError{Cause: errDown}, 503, problem.CodeUnavailable, "2"},
		"a log that has diverged":       {fmt.Errorf("read: %w", &eventstore.DivergedError{Keeper: "this node"}), 503, problem.CodeDiverged, ""},
		"a difference that may pass":    {&eventstore.DivergedError{Keeper: "this node", MayPass: true}, 503, problem.CodeDiverged, "2"},
		"an append to a log since gone": {&eventstore.OutcomeUnknownError{Cause: &eventstore.DivergedError{}}, 503, problem.CodeOutcomeUnknown, ""},
		"an append, the stream gone":    {&eventstore.OutcomeUnknownError{Cause: &eventstore.DeletedError{}}, 503, problem.CodeOutcomeUnknown, "1"},
		"an unknown outcome":            {&eventstore.OutcomeUnknownError{Cause: context.DeadlineExceeded}, 503, problem.CodeOutcomeUnknown, "1"},
		"too much waiting":              {problem.Overloaded(errDown), 503, problem.CodeOverloaded, "1"},
		"time was up":                   {fmt.Errorf("read: %w", context.DeadlineExceeded), 503, problem.CodeTimeout, "1"},
		"a read model that is behind":   {problem.PositionNotReached("9", "7", time.Second), 503, problem.CodePositionNotYet, "1"},
		"a write without a key":         {problem.KeyRequired(), 400, problem.CodeKeyRequired, ""},
		"an append that can never be":   {&eventstore.InvalidError{Reason: "no events"}, 500, "", ""},
		"anything else":                 {errDown, 500, "", ""},
		"a fault without a refusal":     {errors.Join(errDown, nil), 500, "", ""},
		"an invalid parameter":          {problem.NotValid(problem.InParameter("path", "sku", "too long")), 422, problem.CodeInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := problem.From(t.Context(), test.err)
			if d.Status != test.status || d.Code() != test.code {
				t.Errorf("From(%v) = %d %q, want %d %q", test.err, d.Status, d.Code(), test.status, test.code)
			}
			if got := d.GetHeaders().Get("Retry-After"); got != test.retryAfter {
				t.Errorf("Retry-After %q, want %q", got, test.retryAfter)
			}
		})
	}
}

func TestAFaultIsForTheLogOnly(t *testing.T) {
	t.Parallel()
	record := &problem.Request{ID: "req-1"}
	r := httptest.NewRequestWithContext(problem.NewContext(t.Context(), record), http.MethodGet, "/v1/orders/1", nil)
	w := httptest.NewRecorder()
	problem.Write(w, r, fmt.Errorf("read order: %w", errDown))

	if w.Code != 500 || w.Header().Get("Content-Type") != problem.ContentType {
		t.Errorf("answer %d %s, want a 500 problem", w.Code, w.Header().Get("Content-Type"))
	}
	if body := w.Body.String(); strings.Contains(body, "10.0.0.7") || !strings.Contains(body, `"request_id":"req-1"`) || !strings.Contains(body, "about:blank") {
		t.Errorf("body %s, want about:blank with the request id and without the cause", body)
	}
	if record.Cause() == nil || !strings.Contains(record.Cause().Error(), "10.0.0.7") {
		t.Errorf("the log gets %v, want the cause", record.Cause())
	}
}

func TestFactsAreMembersOfTheDocument(t *testing.T) {
	t.Parallel()
	refusal := (&rule.Rejection{Code: "stock-insufficient"}).With("Short.", map[string]any{"available": 2, "status": "pending"})
	body, err := json.Marshal(problem.From(t.Context(), refusal))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"type": "/problems/stock-insufficient", "title": "Stock insufficient", "status": 409.0, "detail": "Short.",
		"available": 2.0, "fact_status": "pending",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v in %s", member, got[member], want, body)
		}
	}
	if len(refusal.Facts) != 2 {
		t.Errorf("the refusal's own facts were changed: %v", refusal.Facts)
	}
}

func TestASharedDocumentIsNotChanged(t *testing.T) {
	t.Parallel()
	shared := problem.KeyReused()
	ctx := problem.NewContext(t.Context(), &problem.Request{ID: "one"})
	if got := problem.From(ctx, shared).RequestID; got != "one" {
		t.Errorf("request id %q, want one", got)
	}
	if shared.RequestID != "" {
		t.Errorf("the shared document took the request id %q", shared.RequestID)
	}
}
