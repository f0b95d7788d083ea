package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"daybook/internal/problem"
)

// Observer is told of each request. Package telemetry has it.
type Observer interface {
	// Begin is called first. It returns the context of the request, and may change the header
	// Traceparent, which is recorded with events.
	Begin(ctx context.Context, header http.Header) context.Context
	// End is called when the response has ended. ctx is the context of the request.
	End(ctx context.Context, e Exchange)
}

// Exchange describes a request and its response. It names no thing and no person.
type Exchange struct {
	Method string
	Route  string // its template, such as /v1/orders/{order_id}; empty: there is no such route
	Status int
	Code   string // of the problem, such as stock-insufficient; empty: there was none
	Took   time.Duration
	Cause  error // why the status is 5xx
}

func (f *front) observe(w *response, r *http.Request, record *problem.Request, started time.Time) {
	f.observer.End(r.Context(), Exchange{
		Method: r.Method, Route: record.Route, Status: w.status, Code: record.Code(), Took: time.Since(started), Cause: record.Cause(),
	})
}

// noteRoute notes the route of requests that the router itself serves.
func noteRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route := mux.CurrentRoute(r); route != nil {
			if template, err := route.GetPathTemplate(); err == nil {
				problem.RequestOf(r.Context()).Route = template
			}
		}
		next.ServeHTTP(w, r)
	})
}
