package telemetry

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"daybook/eventstore"
	"daybook/internal/httpapi"
	"daybook/projections"
)

// Metrics are what Prometheus reads from a node. A nil Metrics measures nothing.
type Metrics struct {
	registry *prometheus.Registry

	inFlight  prometheus.Gauge
	requests  *prometheus.HistogramVec
	problems  *prometheus.CounterVec
	commands  *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	appends   *prometheus.HistogramVec
	events    *prometheus.CounterVec
	postings  *prometheus.HistogramVec
	delays    *prometheus.HistogramVec
	postedAll *prometheus.CounterVec
}

// Upper bounds of the histograms, in seconds.
var (
	requestBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	storeBounds   = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// NewMetrics makes the metrics of a node. state collects what is read only when Prometheus asks.
func NewMetrics(version string, state ...prometheus.Collector) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "daybook_http_requests_in_flight", Help: "Requests of the HTTP API that have no whole response yet, with live streams."}),
		requests: histogram("daybook_http_request_duration_seconds", "Duration of requests, by the template of their route. A live stream counts with its whole life.", requestBounds, "method", "route", "status"),
		problems: counter("daybook_http_problems_total", "Responses that are problems, by their code.", "code", "status"),
		commands: histogram("daybook_command_duration_seconds", "Duration of commands, with the wait in the queue of their stream.", storeBounds, "kind", "outcome"),
		refusals: counter("daybook_command_refusals_total", "Commands that a rule refused, by the code of the refusal.", "kind", "code"),
		appends:  histogram("daybook_append_duration_seconds", "Duration of appends to the log.", storeBounds, "outcome"),
		events:   counter("daybook_events_appended_total", "Events that this node has appended. An event of a client of the gateway has the type foreign.", "type"),
		postings: histogram("daybook_view_batch_duration_seconds", "Duration of one transaction of a view.", storeBounds, "view"),
		delays:   histogram("daybook_view_delay_seconds", "Time from the recording of an event until the view shows it. Each batch counts once, with its oldest event.", requestBounds, "view"),

		postedAll: counter("daybook_view_events_total", "Events that this node has posted to a view.", "view"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "daybook_build_info", Help: "Always 1. The label has the version of the program.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.inFlight, m.requests, m.problems, m.commands, m.refusals, m.appends, m.events, m.postings, m.delays, m.postedAll, build)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(state...)
	return m
}

func histogram(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// Register adds metrics whose values are read when Prometheus asks. It panics if a name is taken.
func (m *Metrics) Register(state ...prometheus.Collector) { m.registry.MustRegister(state...) }

// Handler responds to Prometheus. If one metric cannot be read, the others are still there.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: m.registry})
}

func (m *Metrics) requestBegins() {
	if m != nil {
		m.inFlight.Inc()
	}
}

func (m *Metrics) requestEnds(e httpapi.Exchange) {
	if m == nil {
		return
	}
	m.inFlight.Dec()
	status := strconv.Itoa(e.Status)
	m.requests.WithLabelValues(e.Method, e.Route, status).Observe(e.Took.Seconds())
	if e.Status >= http.StatusBadRequest {
		m.problems.WithLabelValues(e.Code, status).Inc()
	}
}

func (m *Metrics) command(c command) {
	if m == nil {
		return
	}
	m.commands.WithLabelValues(c.kind, c.outcome).Observe(time.Since(c.Began).Seconds())
	if c.code != "" {
		m.refusals.WithLabelValues(c.kind, c.code).Inc()
	}
}

func (m *Metrics) appended(writes []eventstore.Write, began time.Time, err error, own func(string, uuid.UUID) bool) {
	if m == nil {
		return
	}
	m.appends.WithLabelValues(appendOutcome(err)).Observe(time.Since(began).Seconds())
	if err != nil {
		return
	}
	for _, w := range writes {
		for i := range w.Events {
			kind := "foreign"
			if own(w.Stream, w.Events[i].ID) {
				kind = w.Events[i].Type
			}
			m.events.WithLabelValues(kind).Inc()
		}
	}
}

func (m *Metrics) posted(view string, posted []projections.Event, began time.Time) {
	if m == nil {
		return
	}
	m.postings.WithLabelValues(view).Observe(time.Since(began).Seconds())
	m.postedAll.WithLabelValues(view).Add(float64(len(posted)))
	m.delays.WithLabelValues(view).Observe(max(0, time.Since(posted[0].RecordedAt).Seconds()))
}

var kinds sync.Map // of reflect.Type to string

// kindOf names a command: order.AddHold is order.add_hold.
func kindOf(command any) string {
	t := reflect.TypeOf(command)
	if kind, known := kinds.Load(t); known {
		return kind.(string) //nolint:forcetypeassert // only texts are stored
	}
	room, name, _ := strings.Cut(strings.TrimPrefix(t.String(), "*"), ".")
	var kind strings.Builder
	kind.WriteString(room + ".")
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			kind.WriteByte('_')
		}
		kind.WriteRune(unicode.ToLower(r))
	}
	kinds.Store(t, kind.String())
	return kind.String()
}
