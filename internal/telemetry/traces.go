package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"daybook/eventstore"
	"daybook/internal/httpapi"
	"daybook/projections"
)

// Traces shows how a request becomes commands, appends and rows. A nil Traces shows nothing.
//
// The span of a request is the parent of the others. Its id is recorded with each event (member
// trace of the metadata), so that an append, a view and the reactor find their parent, on any node.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

var w3c propagation.TraceContext

// OpenTraces makes a Traces that follows OpenTelemetry's usual variables, such as
// OTEL_EXPORTER_OTLP_ENDPOINT. It returns nil if they ask for no traces. The exporter and the
// sampler read their variables from the process.
func OpenTraces(ctx context.Context, version string, getenv func(string) string, log *slog.Logger) (*Traces, error) {
	if asked, err := wanted(getenv, signalTraces); err != nil || !asked {
		return nil, err
	}
	exporter, err := openExporter(ctx, getenv)
	if err != nil {
		return nil, err
	}
	logFailures(log)
	return NewTraces(ctx, version, sdktrace.WithBatcher(exporter))
}

func openExporter(ctx context.Context, getenv func(string) string) (sdktrace.SpanExporter, error) {
	grpc, err := overGRPC(getenv, signalTraces)
	if err != nil {
		return nil, err
	}
	if grpc {
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

// NewTraces makes a Traces that sends its spans where the option says.
func NewTraces(ctx context.Context, version string, to sdktrace.TracerProviderOption) (*Traces, error) {
	about, err := aboutNode(ctx, version)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(to, sdktrace.WithResource(about))
	return &Traces{provider: provider, tracer: provider.Tracer("daybook")}, nil
}

// Close sends the spans that are not sent yet.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// requestBegins begins the span of a request. If the span is wanted, the header Traceparent names
// it from now on, so that it is recorded with events.
func (t *Traces) requestBegins(ctx context.Context, header http.Header) context.Context {
	if t == nil {
		return ctx
	}
	ctx = w3c.Extract(ctx, propagation.HeaderCarrier(header))
	ctx, span := t.tracer.Start(ctx, "HTTP request", trace.WithSpanKind(trace.SpanKindServer))
	if span.SpanContext().IsSampled() {
		w3c.Inject(ctx, propagation.HeaderCarrier(header))
	}
	return ctx
}

func (t *Traces) requestEnds(ctx context.Context, e httpapi.Exchange) {
	if t == nil {
		return
	}
	span := trace.SpanFromContext(ctx)
	span.SetName(e.Method + " " + e.Route)
	span.SetAttributes(attribute.String("http.request.method", e.Method), attribute.String("http.route", e.Route), attribute.Int("http.response.status_code", e.Status))
	if e.Code != "" {
		span.SetAttributes(attribute.String("error.type", e.Code))
	}
	if e.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, e.Code)
	}
	span.End()
}

// command shows a command that was carried out. The command has ended already, so the beginning of
// its span is in the past.
func (t *Traces) command(c command) {
	if t == nil {
		return
	}
	span := t.start(c.kind, c.Began, parentOf(c.Meta.Trace), nil,
		attribute.String("daybook.outcome", c.outcome), attribute.Int("daybook.events", c.Events),
		attribute.String("daybook.correlation_id", c.Meta.CorrelationID))
	if span == nil {
		return
	}
	if c.code != "" {
		span.SetAttributes(attribute.String("error.type", c.code))
	}
	if c.outcome == failed {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func (t *Traces) appended(writes []eventstore.Write, began time.Time, err error) {
	if t == nil {
		return
	}
	var from origins
	events := 0
	for _, w := range writes {
		events += len(w.Events)
		for i := range w.Events {
			from.add(w.Events[i].Meta)
		}
	}
	span := t.start("append", began, from.first(), from.others(), attribute.String("daybook.outcome", appendOutcome(err)),
		attribute.Int("daybook.streams", len(writes)), attribute.Int("daybook.events", events))
	if span == nil {
		return
	}
	if _, conflict := errors.AsType[*eventstore.ConflictError](err); err != nil && !conflict {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func (t *Traces) posted(view string, posted []projections.Event, began time.Time) {
	if t == nil {
		return
	}
	var from origins
	for i := range posted {
		from.add(posted[i].Event.Meta)
	}
	if span := t.start("view "+view, began, from.first(), from.others(), attribute.Int("daybook.events", len(posted))); span != nil {
		span.End()
	}
}

// start begins a span under a parent. It returns nil if the parent is not sampled, because the span
// would then be a trace of its own.
func (t *Traces) start(name string, began time.Time, parent trace.SpanContext, links []trace.Link, facts ...attribute.KeyValue) trace.Span {
	if !parent.IsSampled() {
		return nil
	}
	ctx := trace.ContextWithRemoteSpanContext(context.Background(), parent)
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithLinks(links...), trace.WithAttributes(facts...))
	return span
}

// parentOf reads a W3C traceparent. The result is not valid if the text is not a traceparent.
func parentOf(traceparent string) trace.SpanContext {
	if traceparent == "" {
		return trace.SpanContext{}
	}
	ctx := w3c.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}

// maxOrigins bounds the links of a span, because a batch may have thousands of events.
const maxOrigins = 32

// origins collects the spans of the requests that caused a batch of events. Each span is in it
// once.
type origins struct {
	all  []trace.SpanContext
	last []byte // the metadata that was added last; the events of a request often have the same
}

func (o *origins) add(meta []byte) {
	if len(o.all) >= maxOrigins || !bytes.Contains(meta, []byte(`"trace"`)) || bytes.Equal(meta, o.last) {
		return
	}
	o.last = meta
	found := parentOf(eventstore.MetadataOrNone(meta).Trace)
	if !found.IsSampled() {
		return
	}
	for _, earlier := range o.all {
		if earlier.Equal(found) {
			return
		}
	}
	o.all = append(o.all, found)
}

func (o *origins) first() trace.SpanContext {
	if len(o.all) == 0 {
		return trace.SpanContext{}
	}
	return o.all[0]
}

func (o *origins) others() (links []trace.Link) {
	for _, other := range o.all[min(1, len(o.all)):] {
		links = append(links, trace.Link{SpanContext: other})
	}
	return links
}

// WithTraceIDs returns a logger whose lines have the ids of the trace and the span of their
// request.
func (t *Traces) WithTraceIDs(log *slog.Logger) *slog.Logger {
	if t == nil {
		return log
	}
	return slog.New(idsHandler{log.Handler()})
}

type idsHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h idsHandler) Handle(ctx context.Context, line slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line = line.Clone()
		line.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h idsHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return idsHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h idsHandler) WithGroup(name string) slog.Handler { return idsHandler{h.Handler.WithGroup(name)} }
