package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/internal/pgtest"
)

// downOrder is the order in which the parts of a node are closed. A part is closed before the parts
// that it needs.
var downOrder = []string{
	"people who sign in",         // they need the commands, which record failed tries
	"commands",                   // they need the log, and the connections for commands (snapshots)
	"answers",                    // they need the connections for commands
	"the keys of personal texts", // they need the connections for commands, and the log needs them
	"the log",                    // it needs the connections for log
	"connections for reads",      // these and the ones below need the database
	"connections for projections",
	"connections for commands",
	"connections for log",
	"the database",
}

// partOf names the part to which each field of a node belongs. A new field that must be run or
// closed needs a part and a line here.
var partOf = map[string]string{
	"database": "the database", "logPool": "connections for log", "commandPool": "connections for commands",
	"viewPool": "connections for projections", "readPool": "connections for reads", "store": "the log",
	"answers": "answers", "service": "commands", "keys": "API keys", "keyUses": "uses of API keys", "desk": "people who sign in", "reactor": partReactor, "clockwork": "timers",
	"projections": partProjections, "watch": "the watch over the node", "backups": "backups", "keysOfPeople": "the keys of personal texts",
	"erasing": partErasing, "book": partPrices,
}

// A node is closed from the last part to the first, after all work has ended, and nothing of it
// stays open.
func TestANodeIsTakenDownInOneOrder(t *testing.T) {
	t.Parallel()
	n := openTestNode(t)
	began, working, down := make(chan string, 100), make(map[string]bool), []string(nil)
	for _, one := range n.parts.opened {
		if run := one.run; run != nil {
			one.run = func(ctx context.Context) error {
				began <- one.name
				return run(ctx)
			}
			working[one.name] = true
		}
		if stop := one.stop; stop != nil {
			one.stop = func(ctx context.Context) error {
				if needed := n.broken(ctx, one.name); needed != "" {
					t.Errorf("%s is taken down after %s", one.name, needed)
				}
				down = append(down, one.name)
				return stop(ctx)
			}
		}
	}
	n.start(t.Context())
	for range working {
		delete(working, <-began)
	}
	if err := n.closeInTime(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(down, downOrder) {
		t.Errorf("taken down in the order\n%s\nwant\n%s", strings.Join(down, "\n"), strings.Join(downOrder, "\n"))
	}
	for _, pool := range n.pools() {
		if !closed(t.Context(), pool) {
			t.Errorf("a pool is left open: %+v", pool.Config().ConnConfig.RuntimeParams)
		}
	}
	if _, err := n.store.Head(t.Context()); err == nil {
		t.Error("the log is left open")
	}
	n.parts.opened = nil // the test has closed them
}

// broken checks a part that is about to be closed. It names a part that this one needs and that is
// closed already.
func (n *node) broken(ctx context.Context, name string) string {
	_, logErr := n.store.Head(ctx)
	for _, needed := range []struct {
		name string
		down bool
		by   []string
	}{
		{"the log", logErr != nil, []string{"people who sign in", "commands", "answers", "the log"}},
		{"connections for commands", closed(ctx, n.commandPool), []string{"people who sign in", "commands", "answers", "the log"}},
		{"connections for log", closed(ctx, n.logPool), []string{"people who sign in", "commands", "answers", "the log"}},
	} {
		if needed.down && slices.Contains(needed.by, name) {
			return needed.name
		}
	}
	return ""
}

func closed(ctx context.Context, pool *pgxpool.Pool) bool {
	err := pool.Ping(ctx)
	return err != nil && strings.Contains(err.Error(), "closed pool")
}

// Everything in a node that works by itself, or that must be closed, belongs to a part.
func TestNothingOfANodeIsLeftOut(t *testing.T) {
	t.Parallel()
	n := openTestNodeWith(t, backupPlan{every: time.Hour, dir: t.TempDir(), keep: 1})
	parts := map[string]*workingPart{}
	for _, one := range n.parts.opened {
		if parts[one.name] != nil {
			t.Errorf("two parts are called %q", one.name)
		}
		parts[one.name] = one
	}
	fields := reflect.TypeFor[node]()
	looked := 0
	for i := range fields.NumField() {
		field := fields.Field(i)
		runs := has(field.Type, "Run")
		ends := has(field.Type, "Close") || has(field.Type, "Flush") || has(field.Type, "Stop") || field.Type == reflect.TypeFor[database]()
		if !runs && !ends || field.Name == "telemetry" { // the server closes it after the node
			continue
		}
		looked++
		one := parts[partOf[field.Name]]
		switch {
		case one == nil:
			t.Errorf("%s is in no part of the node", field.Name)
		case ends && one.stop == nil:
			t.Errorf("part %q does not take %s down", one.name, field.Name)
		case runs && one.run == nil && field.Name != "store": // the part of the guard runs the store
			t.Errorf("part %q does not run %s", one.name, field.Name)
		}
	}
	if looked != len(partOf) {
		t.Errorf("%d fields were looked at, and the table names %d", looked, len(partOf))
	}
	if guard := parts[partGuard]; guard == nil || guard.run == nil {
		t.Error("nothing compares the log while the node works")
	}
}

func has(t reflect.Type, method string) bool {
	_, is := t.MethodByName(method)
	return is
}

// First the work of all parts is told to end. Then the parts are stopped from the last to the
// first, even if some of them cannot be stopped. A part that could not be opened is not stopped.
func TestPartsAreStoppedInReverse(t *testing.T) {
	t.Parallel()
	var order []string
	note := func(what string, err error) func(context.Context) error {
		return func(context.Context) error {
			order = append(order, what)
			return err
		}
	}
	fault, bar := errors.New("it cannot be"), make(chan struct{})
	p := parts{failed: make(chan error, 1)}
	err := p.openThrough(t.Context(), nil, []part{
		{name: "a", open: note("open a", nil), stop: note("stop a", nil), run: func(ctx context.Context) error {
			<-ctx.Done()
			close(bar) // the work of c ends only after that
			return ctx.Err()
		}},
		{name: "b", open: note("open b", nil), stop: note("stop b", fault)},
		{name: "c", stop: note("stop c", nil), run: func(ctx context.Context) error {
			<-bar
			return ctx.Err()
		}},
		{name: "d", open: note("open d", fault), stop: note("stop d", nil)},
		{name: "e", open: note("open e", nil), stop: note("stop e", nil)},
	})
	if !errors.Is(err, fault) {
		t.Errorf("opening: %v", err)
	}
	p.begin(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.stop(ctx); !errors.Is(err, fault) {
		t.Errorf("stopping: %v", err)
	}
	if got, want := strings.Join(order, ", "), "open a, open b, open d, stop c, stop b, stop a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// When the log has diverged, the parts that act on it end. A part that would begin later does not
// begin.
func TestPartsThatActOnADivergedLogEnd(t *testing.T) {
	t.Parallel()
	ended := make(chan string, 3)
	work := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			<-ctx.Done()
			ended <- name
			return ctx.Err()
		}
	}
	p := parts{failed: make(chan error, 1)}
	if err := p.openThrough(t.Context(), nil, []part{
		{name: "probes", run: work("probes")},
		{name: "timers", run: work("timers"), onLog: true},
		{name: "late", run: work("late"), onLog: true},
	}); err != nil {
		t.Fatal(err)
	}
	p.begin(t.Context(), "probes", "timers")
	p.endOnLog()
	if got := <-ended; got != "timers" {
		t.Errorf("%s ended first, want timers", got)
	}
	p.begin(t.Context())
	if p.opened[2].end != nil {
		t.Error("a part that acts on the log began after it had diverged")
	}
	if err := p.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got != "probes" {
		t.Errorf("%s ended, want probes", got)
	}
}

// A server closes both its HTTP API and its gateway before the first part of its node is closed.
func TestAServerClosesItsWaysBeforeItsNode(t *testing.T) {
	t.Parallel()
	p := &program{
		options:     options{DatabaseURL: pgtest.URL(t), Store: storePostgres},
		environment: testEnvironment(nil, strings.NewReader(""), io.Discard, io.Discard),
		log:         slog.New(slog.DiscardHandler),
	}
	s, err := p.openServer(t.Context(), "127.0.0.1:0", gatewayConfig{address: "127.0.0.1:0"}, p.nodeConfig(commands.DefaultPolicy()))
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{s.listener.Addr().String(), s.gateway.listener.Addr().String()}
	accepts := func(address string) bool {
		line, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		line.Close()
		return true
	}
	for _, address := range addresses {
		if !accepts(address) {
			t.Errorf("%s accepts no connection", address)
		}
	}
	var open []string
	guard := s.node.parts.opened[slices.IndexFunc(s.node.parts.opened, func(one *workingPart) bool { return one.name == partGuard })]
	end := guard.end
	guard.end = func() { // this comes first, because all work is told to end before parts are closed
		open = slices.DeleteFunc(slices.Clone(addresses), func(address string) bool { return !accepts(address) })
		end()
	}
	if err := s.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(open) > 0 {
		t.Errorf("still open when the node was taken down: %v", open)
	}
	for range addresses {
		select {
		case err := <-s.served:
			if err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("a way in ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a way in still serves")
		}
	}
}
