package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	commandspg "daybook/commands/postgres"
	"daybook/eventstore"
)

// metric describes a metric that is read when Prometheus asks.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("daybook_"+name, help, labels, nil)
}

// The metrics of a node's state.
var (
	nodeReady        = metric("ready", "1 if the node can answer reads, as /readyz says, and 0 otherwise.")
	logDiverged      = metric("log_diverged", "1 if the log is not the one that the node has read before, and 0 otherwise.")
	keysDeaf         = metric("keys_deaf_seconds", "For how long this node has not heard of changes of API keys and roles; 0 if it hears of them. After 60 s it refuses all keys.")
	logHead          = metric("log_position", "The position of the latest event that this node has seen.")
	logAge           = metric("log_age_seconds", "Every event that was recorded at least this many seconds ago has arrived at this node.")
	viewPosition     = metric("view_position", "The position up to which a view in use has posted the log.", "view")
	viewLag          = metric("view_lag_positions", "The distance from a view in use to the end of the log: in events on PostgreSQL, in bytes on KurrentDB.", "view")
	viewAge          = metric("view_lag_seconds", "How long ago the oldest event was recorded that a view in use has not posted.", "view")
	viewLive         = metric("view_live", "1 if a view in use is complete and up to date, and 0 otherwise.", "view")
	viewFailed       = metric("view_failed", "1 if a view in use has stopped at an event that it cannot apply, and 0 otherwise.", "view")
	viewOdd          = metric("view_odd_events", "Events that a view in use has skipped, or whose values were outside the bounds.", "view")
	reactorLeads     = metric("reactor_leading", "1 if the reactor of this node leads, and 0 otherwise. Exactly one node leads.")
	reactorLag       = metric("reactor_lag_positions", "The distance from the reactor to the end of the log. Only the node that leads has it.")
	reactorAge       = metric("reactor_lag_seconds", "How long ago the oldest event was recorded that the reactor has not read. Only the node that leads has it.")
	processesOpen    = metric("processes_open", "Processes that have begun and not ended. Only the node that leads has it.")
	processesParked  = metric("processes_parked", "Pieces of work that could not be finished. An operator must look at them.")
	timersDue        = metric("timers_due", "Timers that are due and were not fired yet.")
	timersOverdue    = metric("timers_overdue_seconds", "For how long the oldest of these timers has been due; 0 if there is none.")
	poolConns        = metric("pool_connections", "Connections of a pool to PostgreSQL.", "pool", "state")
	poolMax          = metric("pool_connections_max", "How many connections a pool may have.", "pool")
	poolWaits        = metric("pool_waits_total", "How often a connection of a pool was wanted while none was free.", "pool")
	poolWaited       = metric("pool_wait_seconds_total", "How long callers have waited for connections of a pool.", "pool")
	requestsRefused  = metric("http_refused_total", "Requests that were refused because of who sent them, by reason. The reason not-owned stands for a thing of somebody else, which the client got a 404 for.", "reason")
	callersRefused   = metric("gateway_calls_refused_total", "Calls of the gateway that were refused because of who sent them, by reason.", "reason")
	gatewayConnected = metric("gateway_connections", "Connections of clients of the gateway.")
	gatewayRefused   = metric("gateway_connections_refused_total", "Connections to the gateway that were closed because there were too many.")
	gatewayFollows   = metric("gateway_subscriptions", "Clients of the gateway that follow a stream or the log.")
	gatewayConsumes  = metric("gateway_consumers", "Clients of the gateway that are consumers of a group.")
	gatewayCalls     = metric("gateway_calls_total", "Calls of the gateway.")
	backupLast       = metric("backup_last_success_timestamp_seconds", "When the newest backup of --backup-every was made; 0: there is none.")
	backupFailed     = metric("backup_failures_total", "Backups of --backup-every that failed.")
	gatewayFailed    = metric("gateway_calls_failed_total", "Calls of the gateway that ended with an error.")
)

// nodeState reads the state of a server when Prometheus asks.
type nodeState struct{ server *server }

// Describe implements prometheus.Collector.
func (nodeState) Describe(to chan<- *prometheus.Desc) {
	for _, one := range []*prometheus.Desc{
		nodeReady, logDiverged, keysDeaf, logHead, logAge, viewPosition, viewLag, viewAge, viewLive, viewFailed, viewOdd, reactorLeads, reactorLag,
		reactorAge, processesOpen, processesParked, timersDue, timersOverdue, poolConns, poolMax, poolWaits, poolWaited,
		requestsRefused, gatewayConnected, gatewayRefused, gatewayFollows, gatewayConsumes, gatewayCalls, gatewayFailed, callersRefused, backupLast, backupFailed,
	} {
		to <- one
	}
}

// stateMax bounds each question that a scrape asks the log or the database.
const stateMax = 2 * time.Second

// Collect implements prometheus.Collector. It leaves out what it cannot read in time.
func (s nodeState) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	count := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	n := s.server.node
	s.collectViews(gauge)
	s.collectReactor(gauge)
	ctx, cancel := context.WithTimeout(context.Background(), stateMax)
	defer cancel()
	if due, oldest, err := (commandspg.Timers{Pool: n.commandPool}).Due(ctx); err == nil {
		gauge(timersDue, float64(due))
		gauge(timersOverdue, oldest.Seconds())
	}
	if n.backups != nil {
		last, failures := n.backups.state()
		gauge(backupLast, float64(max(0, last.Unix())))
		count(backupFailed, float64(failures))
	}
	pools := map[string]*pgxpool.Pool{"log": n.logPool, "commands": n.commandPool, "projections": n.viewPool, "reads": n.readPool}
	if g := s.server.gateway; g != nil {
		pools["gateway"] = g.pool
		stats := g.server.Stats()
		gauge(gatewayConnected, float64(stats.Connections))
		gauge(gatewayFollows, float64(stats.Subscriptions))
		gauge(gatewayConsumes, float64(stats.Consumers))
		count(gatewayRefused, float64(stats.Refused))
		count(gatewayCalls, float64(stats.Calls))
		count(gatewayFailed, float64(stats.Failed))
		for reason, times := range n.callers.Counts() {
			count(callersRefused, float64(times), reason)
		}
	}
	for reason, times := range n.refusals.Counts() {
		count(requestsRefused, float64(times), reason)
	}
	for name, pool := range pools {
		stat := pool.Stat()
		gauge(poolConns, float64(stat.AcquiredConns()), name, "in_use")
		gauge(poolConns, float64(stat.IdleConns()), name, "idle")
		gauge(poolMax, float64(stat.MaxConns()), name)
		count(poolWaits, float64(stat.EmptyAcquireCount()), name)
		count(poolWaited, stat.EmptyAcquireWaitTime().Seconds(), name)
	}
}

func (s nodeState) collectViews(gauge func(*prometheus.Desc, float64, ...string)) {
	n := s.server.node
	health := n.watch.Health()
	gauge(nodeReady, oneIf(health.Status == "ready"))
	gauge(logDiverged, oneIf(n.store.Diverged() != nil))
	gauge(keysDeaf, n.keys.Deaf().Seconds())
	head, _ := n.store.Latest().Position.Pair()
	gauge(logHead, float64(head))
	for _, part := range health.Components {
		if part.AgeSeconds >= 0 {
			gauge(logAge, part.AgeSeconds)
		}
	}
	views, parked, known := n.watch.Last()
	if !known {
		return
	}
	gauge(processesParked, float64(parked))
	for _, v := range views {
		if !v.InUse {
			continue
		}
		gauge(viewLag, float64(v.Lag), v.View)
		gauge(viewAge, v.AgeSeconds, v.View)
		gauge(viewLive, oneIf(v.State == "live"), v.View)
		gauge(viewFailed, oneIf(v.State == "failed"), v.View)
		gauge(viewOdd, float64(v.Odd), v.View)
		if at, err := eventstore.ParsePosition(v.Position); err == nil {
			reached, _ := at.Pair()
			gauge(viewPosition, float64(reached), v.View)
		}
	}
}

func (s nodeState) collectReactor(gauge func(*prometheus.Desc, float64, ...string)) {
	n := s.server.node
	at, leading := n.reactor.Position()
	gauge(reactorLeads, oneIf(leading))
	if !leading {
		return
	}
	open, _ := n.reactor.Open()
	gauge(processesOpen, float64(len(open)))
	here, _ := at.Pair()
	head, _ := n.store.Latest().Position.Pair()
	if head <= here {
		gauge(reactorLag, 0)
		gauge(reactorAge, 0)
		return
	}
	gauge(reactorLag, float64(head-here))
	ctx, cancel := context.WithTimeout(context.Background(), stateMax)
	defer cancel()
	for event, err := range n.store.ReadAll(ctx, at, eventstore.Filter{}, 1) {
		if err == nil {
			gauge(reactorAge, max(0, time.Since(event.RecordedAt).Seconds()))
		}
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
