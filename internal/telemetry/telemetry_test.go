package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"daybook/commands/aggregate"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/eventstore"
	"daybook/internal/httpapi"
)

// Traces are sent by OTLP to the address in OpenTelemetry's variables. Without these variables they
// are not sent.
func TestTracesGoWhereTheVariablesSay(t *testing.T) {
	received := make(chan []string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(data, &request)); err != nil {
			t.Error(err)
		}
		names := []string{r.URL.Path}
		for _, of := range request.GetResourceSpans() {
			for _, attribute := range of.GetResource().GetAttributes() {
				if attribute.GetKey() == "service.name" {
					names = append(names, attribute.GetValue().GetStringValue())
				}
			}
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					names = append(names, span.GetName())
				}
			}
		}
		received <- names
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	traces, err := OpenTraces(t.Context(), "test", os.Getenv, slog.New(slog.DiscardHandler))
	if err != nil || traces == nil {
		t.Fatalf("traces %v, %v", traces, err)
	}
	observer := (&Telemetry{Traces: traces}).Requests()
	ctx := observer.Begin(t.Context(), http.Header{})
	observer.End(ctx, httpapi.Exchange{Method: http.MethodGet, Route: "/livez", Status: http.StatusOK})
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := <-received, []string{"/v1/traces", "daybook", "GET /livez"}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

func TestTracesAreOffUnlessWanted(t *testing.T) {
	t.Parallel()
	for _, variables := range []map[string]string{
		{},
		{"OTEL_SERVICE_NAME": "shop"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
	} {
		traces, err := OpenTraces(t.Context(), "test", func(name string) string { return variables[name] }, slog.New(slog.DiscardHandler))
		if traces != nil || err != nil {
			t.Errorf("%v: %v, %v", variables, traces, err)
		}
	}
	for _, variables := range []map[string]string{
		{"OTEL_TRACES_EXPORTER": "zipkin"},
		{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"},
	} {
		if _, err := OpenTraces(t.Context(), "test", func(name string) string { return variables[name] }, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%v: no error", variables)
		}
	}
}

// While nothing is measured, no part of the node calls this package.
func TestNothingIsCalledWhileOff(t *testing.T) {
	t.Parallel()
	for _, off := range []*Telemetry{nil, {}} {
		if off.Requests() != nil || off.Commands() != nil || off.Appends() != nil || off.Posted() != nil {
			t.Errorf("%v has hooks", off)
		}
	}
}

func TestOutcomesOfCommands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		handled aggregate.Handled
		want    string
	}{
		{aggregate.Handled{Events: 2}, "recorded"},
		{aggregate.Handled{}, "unchanged"},
		{aggregate.Handled{Replayed: true, Events: 1}, "replayed"},
		{aggregate.Handled{Err: fmt.Errorf("wrapped: %w", &rule.Rejection{Code: "x"})}, "refused"},
		{aggregate.Handled{Err: &aggregate.StaleError{}}, "stale"},
		{aggregate.Handled{Err: aggregate.ErrCommandReused}, "reused"},
		{aggregate.Handled{Err: errors.New("down")}, "failed"},
	} {
		if got := outcomeOf(c.handled); got != c.want {
			t.Errorf("%+v: %s, want %s", c.handled, got, c.want)
		}
	}
	if got := kindOf(order.RecordTransaction{}); got != "order.record_transaction" {
		t.Errorf("kind %q", got)
	}
	for err, want := range map[error]string{
		nil: "recorded", &eventstore.ConflictError{}: "conflict", &eventstore.DuplicateEventError{ID: uuid.Nil}: "duplicate",
		&eventstore.OutcomeUnknownError{Cause: &eventstore.ConflictError{}}: "unknown", errors.New("down"): "failed",
	} {
		if got := appendOutcome(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// An append of events of several requests is a child of the first, and has links to the others. An
// event without a trace is not shown.
func TestABatchIsLinkedToEachRequest(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	traces, err := NewTraces(t.Context(), "test", sdktrace.WithSyncer(spans))
	if err != nil {
		t.Fatal(err)
	}
	events := func(parents ...string) (all []eventstore.Write) {
		w := eventstore.Write{Stream: "order-o"}
		for _, parent := range parents {
			meta, err := eventstore.Metadata{Trace: parent}.Encode()
			if err != nil {
				t.Fatal(err)
			}
			w.Events = append(w.Events, eventstore.Event{Meta: meta})
		}
		return []eventstore.Write{w}
	}
	appended := (&Telemetry{Traces: traces}).Appends()
	const first, second = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"
	appended(events(""), time.Now(), nil)
	appended(events("nonsense"), time.Now(), nil)
	appended(events("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), time.Now(), nil) // not sampled
	if got := spans.GetSpans(); len(got) != 0 {
		t.Errorf("spans without a parent: %v", got)
	}
	appended(events(first, first, "", second, first), time.Now(), nil)
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Parent.SpanID().String() != "b7ad6b7169203331" || len(got[0].Links) != 1 ||
		got[0].Links[0].SpanContext.SpanID().String() != "c7ad6b7169203331" {
		t.Errorf("spans %+v", got)
	}
}
