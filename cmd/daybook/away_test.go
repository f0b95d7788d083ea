package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"daybook/commands"
	"daybook/commands/importer"
	"daybook/internal/onlineretail"
	"daybook/internal/pgtest"
	"daybook/internal/proxytest"
	"daybook/projections"
)

// If the log or the database hangs, a command that needs it does not wait for ever. It ends and
// says which of them does not answer.
func TestACommandEndsWhenWhatItNeedsHangs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		open func(t *testing.T) (*proxytest.Proxy, nodeConfig)
		want []string // the error has one of these texts
	}{
		"the log in KurrentDB": {func(t *testing.T) (*proxytest.Proxy, nodeConfig) {
			proxy := proxytest.New(t, "tcp", openServedLog(t, pgtest.URL(t)).address)
			return proxy, nodeConfig{Database: databaseConfig{URL: pgtest.URL(t)}, KurrentDB: "esdb://" + proxy.Address() + "?tls=false"}
		}, []string{"the log has been away", "event store unavailable"}},
		"the database beside it": {func(t *testing.T) (*proxytest.Proxy, nodeConfig) {
			proxy, over := proxytest.ToPostgres(t, pgtest.URL(t))
			return proxy, nodeConfig{Database: databaseConfig{URL: over}, KurrentDB: "esdb://" + openServedLog(t, pgtest.URL(t)).address + "?tls=false"}
		}, []string{"the database has been away", "ask the database", "projections", "hold the import"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, cfg := c.open(t)
			cfg.Policy, cfg.Views, cfg.Now = commands.DefaultPolicy(), options{}.views(), time.Now
			open := func() *node {
				n, err := openNode(t.Context(), cfg, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				// It cannot leave the cluster in order, so the error is not checked.
				t.Cleanup(func() { _ = n.closeInTime(context.WithoutCancel(t.Context())) })
				n.awayMax = 2 * time.Second
				return n
			}
			n, imports := open(), open()
			n.parts.begin(t.Context(), partProjections)
			eventually(t, patience, "all views have their builds", func() bool {
				all, err := n.projections.Status(t.Context())
				return err == nil && len(all) == len(cfg.Views) && all[0].State == projections.Live
			})
			file, err := onlineretail.Read(strings.NewReader(someInvoices), onlineretail.Strict)
			if err != nil {
				t.Fatal(err)
			}
			proxy.SilenceAll()
			began := time.Now()
			ended := make(map[string]chan error)
			for command, run := range map[string]func() error{
				"rebuild": func() error { return n.switchBuild(t.Context(), "orders", n.projections.Rebuild, io.Discard) },
				"import": func() error {
					_, err := imports.importFile(t.Context(), file, importer.Options{Opening: importer.OpeningExact, Workers: 1}, io.Discard)
					return err
				},
				"verify":     func() error { _, err := n.verify(t.Context(), options{}.verification(), io.Discard); return err },
				"accept-log": func() error { return n.finishWork(t.Context(), io.Discard) },
			} {
				end := make(chan error, 1)
				ended[command] = end
				go func() { end <- run() }()
			}
			for command, end := range ended {
				select {
				case err := <-end:
					if err == nil || !containsOne(err.Error(), c.want) {
						t.Errorf("%s: error %v", command, err)
					}
					t.Logf("%s: after %s: %v", command, time.Since(began), err)
				case <-time.After(30*time.Second + slack):
					t.Errorf("%s has not ended", command)
				}
			}
		})
	}
}

func containsOne(text string, any []string) bool {
	for _, one := range any {
		if strings.Contains(text, one) {
			return true
		}
	}
	return false
}
