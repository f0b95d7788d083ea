package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// What can be sent by OTLP, as OpenTelemetry's variables name it.
const (
	signalTraces  = "TRACES"
	signalMetrics = "METRICS"
)

// wanted tells whether OpenTelemetry's variables ask for traces or for metrics. They do so by an
// address for all of it, by an address for this signal, or by naming the exporter.
func wanted(getenv func(string) string, signal string) (bool, error) {
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch variable := "OTEL_" + signal + "_EXPORTER"; getenv(variable) {
	case "":
		return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != "", nil
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	default:
		return false, fmt.Errorf("%s: want otlp or none, not %q", variable, getenv(variable))
	}
}

// overGRPC tells whether a signal is sent by gRPC. Otherwise it is sent by HTTP.
func overGRPC(getenv func(string) string, signal string) (bool, error) {
	variable := "OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL"
	if getenv(variable) == "" {
		variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch getenv(variable) {
	case "", "http/protobuf":
		return false, nil
	case "grpc":
		return true, nil
	}
	return false, fmt.Errorf("%s: want http/protobuf or grpc, not %q", variable, getenv(variable))
}

// aboutNode describes this node to whoever receives its traces and metrics.
func aboutNode(ctx context.Context, version string) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "daybook"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}

// logFailures logs why something could not be sent. The SDK has one place for this in the whole
// process.
func logFailures(log *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces or metrics are not sent", "error", err) }))
}
