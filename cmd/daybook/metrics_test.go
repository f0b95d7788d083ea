package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"daybook/cmd/daybook/shoppers"
	"daybook/commands"
	"daybook/commands/streams"
	"daybook/internal/pgtest"
	"daybook/internal/telemetry"
)

const metricsFile = "testdata/metrics.txt"

var (
	metricType = regexp.MustCompile(`(?m)^# TYPE (daybook_\S+) (\S+)$`)
	sample     = regexp.MustCompile(`(?m)^(daybook_[a-z_]+)(\{.*\})? (\S+)$`)
	labelName  = regexp.MustCompile(`([a-z_]+)="`)
)

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, admin string) string {
	t.Helper()
	response, text := fetch(t, admin+"/metrics")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", response.Status, text)
	}
	return text
}

// valueOf is the value of a sample, such as `daybook_ready`. It is empty if there is none.
func valueOf(metrics, name string) string {
	for line := range strings.Lines(metrics) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// metricTable lists each metric of a scrape with its type and its labels.
func metricTable(metrics string) string {
	labels := map[string]map[string]bool{}
	for _, line := range sample.FindAllStringSubmatch(metrics, -1) {
		name := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(line[1], "")
		if labels[name] == nil {
			labels[name] = map[string]bool{}
		}
		for _, label := range labelName.FindAllStringSubmatch(line[2], -1) {
			labels[name][label[1]] = true
		}
	}
	var table strings.Builder
	for _, line := range metricType.FindAllStringSubmatch(metrics, -1) {
		names := slices.Sorted(maps.Keys(labels[line[1]]))
		table.WriteString(strings.TrimRight(line[1]+" "+line[2]+" "+strings.Join(names, ","), " ") + "\n")
	}
	return table.String()
}

// A server has exactly the metrics of testdata/metrics.txt after a sale, a refused checkout and a
// client of the gateway. None of them names a customer, a cart or an order.
func TestMetricsAreScraped(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for day := range 9 {
		old := filepath.Join(folder, fmt.Sprintf("daybook-2026010%dT000000Z-5.backup", day+1))
		if err := os.WriteFile(old, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(old, time.Time{}, time.Now().Add(-24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	server, announced := launch(t, "--database-url", pgtest.URL(t), "--admin-address", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--gateway-open", "--access", accessOff, "--backup-every", "1h", "--backup-dir", folder)
	said := <-announced
	if said.Admin == "" {
		t.Fatalf("no admin port was announced:\n%s", server.log.String())
	}
	sellOnce(t, said.URL)
	client := dialGateway(t, said.Gateway)
	if _, err := client.AppendToStream(t.Context(), "notes-1", esdb.AppendToStreamOptions{}, note(1)); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(metricsFile)
	if err != nil && !*updateAccess {
		t.Fatal(err)
	}
	var metrics string
	eventually(t, patience, "all metrics", func() bool {
		metrics = scrape(t, said.Admin)
		return (*updateAccess || metricTable(metrics) == string(want)) && valueOf(metrics, `daybook_view_lag_positions{view="orders"}`) == "0" &&
			valueOf(metrics, "daybook_reactor_lag_positions") == "0" &&
			strings.HasPrefix(valueOf(metrics, "daybook_backup_last_success_timestamp_seconds"), "1.")
	})
	if *updateAccess {
		if err := os.WriteFile(metricsFile, []byte(metricTable(metrics)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		`daybook_command_refusals_total{code="payment-mismatch",kind="order.confirm"}`:                                 "",
		`daybook_http_problems_total{code="stock-insufficient",status="409"}`:                                          "1",
		`daybook_events_appended_total{type="order.placed.v1"}`:                                                        "1",
		`daybook_events_appended_total{type="foreign"}`:                                                                "1",
		`daybook_http_request_duration_seconds_count{method="POST",route="/v1/carts/{cart_id}/checkout",status="201"}`: "1",
		`daybook_http_request_duration_seconds_count{method="GET",route="none",status="404"}`:                          "1",
		`daybook_ready`: "1", `daybook_log_diverged`: "0", `daybook_keys_deaf_seconds`: "0", `daybook_reactor_leading`: "1", `daybook_processes_parked`: "0", `daybook_timers_due`: "0", `daybook_gateway_subscriptions`: "0",
	} {
		if got := valueOf(metrics, name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if named := regexp.MustCompile(`(?i)"ann"|"mug"|\bann/|[0-9a-f]{8}-`).FindString(metrics); named != "" {
		t.Errorf("the metrics name %s", named)
	}
	// The first backup was made at once. Six of the older backups are left.
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 7 || filepath.Base(files[0]) != "daybook-20260104T000000Z-5.backup" {
		t.Errorf("backups %q, %v", files, err)
	}
	if got := call(t, nil, "restore", files[len(files)-1], "--check"); got.code != exitOK {
		t.Errorf("the server's backup: %s", got.stderr)
	}
	if _, text := fetch(t, said.Admin+"/readyz"); !strings.Contains(text, `"projections"`) {
		t.Errorf("/readyz of the admin port lacks the details: %s", text)
	}
	if response, _ := fetch(t, said.Admin+"/debug/pprof/goroutine?debug=1"); response.StatusCode != http.StatusOK {
		t.Errorf("a profile: %s", response.Status)
	}
	if response, _ := fetch(t, said.URL+"/metrics"); response.StatusCode != http.StatusNotFound {
		t.Errorf("the API's own address has metrics: %s", response.Status)
	}
	if log := server.log.String(); !strings.Contains(log, "path=/v1/customers/-/orders") || strings.Contains(log, "customers/ann") {
		t.Error("the log names a customer")
	}
}

// sellOnce sells the only unit of a product. Then it is refused another unit, and asks for
// something that does not exist.
func sellOnce(t *testing.T, url string) {
	t.Helper()
	client := newShopper(url, 2)
	defer client.Close()
	price := shoppers.Money{Amount: "1.00", Currency: "GBP"}
	if _, err := shoppers.Open(t.Context(), client, []shoppers.Product{{SKU: "MUG", Title: "A mug", Price: price, Opening: 1}}); err != nil {
		t.Fatal(err)
	}
	for i, paid := range []bool{true, false} {
		cart, err := client.OpenCart(t.Context(), "ann", "GBP", "", []shoppers.Line{{SKU: "MUG", Quantity: 1}})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = client.Checkout(t.Context(), fmt.Sprintf("buy-%d", i), cart, paid)
		if refused := err != nil; refused != (i == 1) {
			t.Fatalf("checkout %d: %v", i, err)
		}
	}
	fetch(t, url+"/v1/nowhere")
	fetch(t, url+"/v1/customers/ann/orders")
}

// The admin port refuses requests without the token, and requests under the names of other sites.
func TestTheAdminPortIsGuarded(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	metrics := telemetry.NewMetrics("test")
	ask := func(c adminConfig, host, authorization, path string) int {
		a, err := c.listen(t.Context(), metrics, log)
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		a.setHealth((&start{log: log}).health)
		go func() { _ = a.way().run(t.Context()) }()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host, request.Header = host, http.Header{"Authorization": {authorization}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		if path == "/readyz" && strings.Contains(string(text), "reason") != (authorization == "Bearer a-token-of-its-own" || c.token == "") {
			t.Errorf("/readyz with %q says %s", authorization, text)
		}
		return response.StatusCode
	}
	open := adminConfig{address: "127.0.0.1:0"}
	guarded := adminConfig{address: "127.0.0.1:0", token: "a-token-of-its-own"}
	for _, c := range []struct {
		config                    adminConfig
		host, authorization, path string
		want                      int
	}{
		{open, "", "", "/metrics", 200},
		{open, "localhost:9", "", "/metrics", 200},
		{open, "evil.example", "", "/metrics", 421},
		{open, "evil.example", "", "/debug/pprof/heap", 421},
		{open, "", "", "/readyz", 503},
		{open, "", "", "/v1/orders", 404},
		{guarded, "", "", "/metrics", 401},
		{guarded, "", "Bearer a-token-of-its-owm", "/debug/pprof/", 401},
		{guarded, "", "Basic a-token-of-its-own", "/metrics", 401},
		{guarded, "", "", "/", 401},
		{guarded, "", "", "/livez", 200},
		{guarded, "", "", "/readyz", 503},
		{guarded, "", "Bearer a-token-of-its-own", "/readyz", 503},
		{guarded, "shop.example", "bearer a-token-of-its-own", "/metrics", 200},
	} {
		if got := ask(c.config, c.host, c.authorization, c.path); got != c.want {
			t.Errorf("%s for %q with %q: %d, want %d", c.path, c.host, c.authorization, got, c.want)
		}
	}
}

// One trace shows a checkout: the request is the parent of its commands, of the append, and of the
// work of each view. The log's line about a request has the same id.
func TestATraceShowsACheckout(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	traces, err := telemetry.NewTraces(t.Context(), "test", sdktrace.WithSyncer(spans))
	if err != nil {
		t.Fatal(err)
	}
	lines := &logBuffer{}
	log := traces.WithTraceIDs(slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	p := &program{options: options{DatabaseURL: pgtest.URL(t), Store: storePostgres}, environment: testEnvironment(nil, nil, io.Discard, io.Discard), log: log}
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Telemetry = &telemetry.Telemetry{Traces: traces, Own: streams.Wrote}
	cfg.Web.Access = accessOff
	s, err := p.openServer(t.Context(), "127.0.0.1:0", gatewayConfig{}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	sellOnce(t, s.url)
	const checkout = "POST /v1/carts/{cart_id}/checkout"
	wanted := []string{checkout, "append", "cart.complete_checkout", "cart.start_checkout", "order.place", "order.record_transaction", "stock.reserve", "view carts", "view orders", "view stock"}
	var shown []string
	defer func() { t.Logf("shown: %q", shown) }()
	eventually(t, patience, "all spans of the checkout", func() bool {
		shown = nil
		all := spans.GetSpans()
		i := slices.IndexFunc(all, func(span tracetest.SpanStub) bool { return span.Name == checkout })
		if i < 0 {
			return false
		}
		for _, span := range all {
			linked := span.Parent.SpanID() == all[i].SpanContext.SpanID() || slices.ContainsFunc(span.Links, func(l sdktrace.Link) bool {
				return l.SpanContext.SpanID() == all[i].SpanContext.SpanID()
			})
			if span.Name == checkout && span.SpanContext.Equal(all[i].SpanContext) || linked {
				shown = append(shown, span.Name)
			}
		}
		if !strings.Contains(lines.String(), "trace_id="+all[i].SpanContext.TraceID().String()) {
			return false
		}
		slices.Sort(shown)
		shown = slices.Compact(shown)
		for _, name := range wanted {
			if !slices.Contains(shown, name) {
				return false
			}
		}
		return true
	})
}
