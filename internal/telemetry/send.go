package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// MetricsWanted tells whether OpenTelemetry's variables ask for metrics by OTLP.
func MetricsWanted(getenv func(string) string) (bool, error) { return wanted(getenv, signalMetrics) }

// Sender sends the metrics of a node by OTLP, again and again. A nil Sender sends nothing.
type Sender struct{ provider *sdkmetric.MeterProvider }

// OpenSender begins to send metrics as OpenTelemetry's usual variables say. They are the metrics
// that Prometheus would read, with the same names and labels. OTEL_METRIC_EXPORT_INTERVAL is the
// pause between two times, in milliseconds; by default it is a minute. The exporter reads its
// variables from the process.
func OpenSender(ctx context.Context, version string, metrics *Metrics, getenv func(string) string, log *slog.Logger) (*Sender, error) {
	exporter, err := openMetricExporter(ctx, getenv)
	if err != nil {
		return nil, err
	}
	about, err := aboutNode(ctx, version)
	if err != nil {
		return nil, err
	}
	logFailures(log)
	registry := prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(metrics.registry))
	reader := sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithProducer(registry))
	return &Sender{sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about))}, nil
}

func openMetricExporter(ctx context.Context, getenv func(string) string) (sdkmetric.Exporter, error) {
	grpc, err := overGRPC(getenv, signalMetrics)
	if err != nil {
		return nil, err
	}
	if grpc {
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// Close sends the metrics once more, and then no more.
func (s *Sender) Close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if err := s.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last metrics: %w", err)
	}
	return nil
}
