package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"daybook/internal/httpapi"
)

// metricCollector receives metrics by OTLP, over HTTP and over gRPC.
type metricCollector struct {
	collector.UnimplementedMetricsServiceServer

	received chan *collector.ExportMetricsServiceRequest
}

// Export implements collector.MetricsServiceServer.
func (c *metricCollector) Export(_ context.Context, request *collector.ExportMetricsServiceRequest) (*collector.ExportMetricsServiceResponse, error) {
	c.received <- request
	return &collector.ExportMetricsServiceResponse{}, nil
}

// byHTTP serves the collector, and returns its address.
func (c *metricCollector) byHTTP(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		request := &collector.ExportMetricsServiceRequest{}
		if err = errors.Join(err, proto.Unmarshal(data, request)); err != nil || r.URL.Path != "/v1/metrics" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.received <- request
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// byGRPC serves the collector, and returns its address.
func (c *metricCollector) byGRPC(t *testing.T) string {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterMetricsServiceServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return "http://" + listener.Addr().String()
}

// Metrics are sent by OTLP to the address in OpenTelemetry's variables, over HTTP and over gRPC.
// They come again and again, and once more at the end. They are the metrics that Prometheus reads.
func TestMetricsGoWhereTheVariablesSay(t *testing.T) {
	for protocol, serve := range map[string]func(*metricCollector, *testing.T) string{
		"http/protobuf": (*metricCollector).byHTTP, "grpc": (*metricCollector).byGRPC,
	} {
		t.Run(protocol, func(t *testing.T) {
			c := &metricCollector{received: make(chan *collector.ExportMetricsServiceRequest, 1000)}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", serve(c, t))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
			m := NewMetrics("v7")
			sender, err := OpenSender(t.Context(), "v7", m, os.Getenv, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			<-c.received
			<-c.received
			observer := (&Telemetry{Metrics: m, Sender: sender}).Requests()
			ctx := observer.Begin(t.Context(), http.Header{})
			observer.End(ctx, httpapi.Exchange{Method: http.MethodGet, Route: "/livez", Status: http.StatusOK, Took: time.Second})
			if err := sender.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			var last *collector.ExportMetricsServiceRequest
			for len(c.received) > 0 {
				last = <-c.received
			}
			checkSent(t, last)
		})
	}
}

// checkSent fails unless the metrics show one request of one second.
func checkSent(t *testing.T, request *collector.ExportMetricsServiceRequest) {
	t.Helper()
	all, about := map[string]*metrics.Metric{}, map[string]string{}
	for _, of := range request.GetResourceMetrics() {
		for _, attribute := range of.GetResource().GetAttributes() {
			about[attribute.GetKey()] = attribute.GetValue().GetStringValue()
		}
		for _, scope := range of.GetScopeMetrics() {
			for _, one := range scope.GetMetrics() {
				all[one.GetName()] = one
			}
		}
	}
	if about["service.name"] != "daybook" || about["service.version"] != "v7" {
		t.Errorf("the metrics are about %v", about)
	}
	if all["daybook_build_info"] == nil || all["go_goroutines"] == nil || all["daybook_http_requests_in_flight"] == nil {
		t.Errorf("only %d metrics were sent", len(all))
	}
	points := all["daybook_http_request_duration_seconds"].GetHistogram().GetDataPoints()
	if len(points) != 1 || points[0].GetCount() != 1 || points[0].GetSum() != 1 {
		t.Fatalf("the durations of requests: %v", points)
	}
	labels := map[string]string{}
	for _, attribute := range points[0].GetAttributes() {
		labels[attribute.GetKey()] = attribute.GetValue().GetStringValue()
	}
	if labels["route"] != "/livez" || labels["status"] != "200" || labels["method"] != http.MethodGet {
		t.Errorf("labels %v", labels)
	}
}

func TestMetricsAreSentOnlyIfWanted(t *testing.T) {
	t.Parallel()
	const address = "http://127.0.0.1:4318"
	for _, c := range []struct {
		variables map[string]string
		want      bool
	}{
		{map[string]string{}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": address}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address}, false},
		{map[string]string{"OTEL_METRICS_EXPORTER": "otlp"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_METRICS_EXPORTER": "none"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_SDK_DISABLED": "true"}, false},
	} {
		got, err := MetricsWanted(func(name string) string { return c.variables[name] })
		if got != c.want || err != nil {
			t.Errorf("%v: %t, %v", c.variables, got, err)
		}
	}
	if _, err := MetricsWanted(func(name string) string { return map[string]string{"OTEL_METRICS_EXPORTER": "prometheus"}[name] }); err == nil {
		t.Error("another exporter: no error")
	}
	pigeon := func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "pigeon"}[name]
	}
	if _, err := OpenSender(t.Context(), "v7", NewMetrics("v7"), pigeon, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an unknown protocol: no error")
	}
	var none *Sender
	if err := none.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
