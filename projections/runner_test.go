package projections_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/wire"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
	"daybook/projections"
)

// tally is a view that adds up numbers by key. If an event is applied twice or never, the sum is
// wrong.
func tally(change ...func(*projections.View)) projections.View {
	v := projections.View{
		Name: "tally", Version: 1, Claims: []string{"number."},
		Tables:  `CREATE TABLE tally (key text PRIMARY KEY, total bigint NOT NULL); CREATE TABLE _seen (position text PRIMARY KEY)`,
		Indexes: `CREATE INDEX tally_total ON tally (total)`,
		Decode: func(eventType string, data []byte) (any, error) {
			if eventType != "number.v1" {
				return nil, &wire.UnknownTypeError{Type: eventType}
			}
			var n int64
			_, err := fmt.Sscanf(string(data), `{"n":%d}`, &n)
			return n, err
		},
		Apply: addUp,
	}
	for _, f := range change {
		f(&v)
	}
	return v
}

func addUp(_ context.Context, tx *projections.Tx, batch []projections.Event) error {
	sums := map[string]int64{}
	b := tx.Writes()
	for _, e := range batch {
		sums[e.Stream] += e.Value.(int64)
		b.Queue(`INSERT INTO _seen VALUES ($1)`, e.Position.String())
	}
	for key, sum := range sums {
		b.Queue(`INSERT INTO tally VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET total = tally.total + excluded.total`, key, sum)
	}
	return nil
}

// bench is a database and a log.
type bench struct {
	*testing.T
	pool *pgxpool.Pool
	log  *memory.Store
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Parallel()
	pool := pgtest.New(t)
	if err := projections.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return &bench{T: t, pool: pool, log: memory.New()}
}

func (b *bench) append(typ string, count int) eventstore.Position {
	b.Helper()
	var last eventstore.Position
	for i := range count {
		last = b.write(typ, "s-"+strconv.Itoa(i%7), `{"n":`+strconv.Itoa(i)+`}`)
	}
	return last
}

// write writes an event as Daybook does: its id derives from a command.
func (b *bench) write(typ, stream, data string) eventstore.Position {
	b.Helper()
	return b.writeAs(eventstore.EventID(uuid.New(), 0), typ, stream, data)
}

func (b *bench) writeForeign(typ, stream, data string) eventstore.Position {
	b.Helper()
	return b.writeAs(uuid.New(), typ, stream, data)
}

func (b *bench) writeAs(id uuid.UUID, typ, stream, data string) eventstore.Position {
	b.Helper()
	result, err := b.log.Append(context.WithoutCancel(b.Context()), stream, eventstore.Any,
		[]eventstore.Event{{ID: id, Type: typ, Data: []byte(data), Meta: []byte(`{}`)}})
	if err != nil {
		b.Fatal(err)
	}
	return result.Position
}

// run starts a node; stop ends it and waits.
func (b *bench) run(cfg projections.Config) (r *projections.Runner, stop func()) {
	b.Helper()
	cfg.Store, cfg.Pool = b.log, b.pool
	r, err := projections.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.Errorf("run: %v", err)
			}
		})
	}
	b.Cleanup(stop)
	return r, stop
}

// patience bounds what a test waits for. It is long, because a busy machine may stand still
// for some seconds.
const patience = 2 * time.Minute

func (b *bench) wait(r *projections.Runner, position eventstore.Position, views ...string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := r.WaitFor(ctx, position, views...); err != nil {
		b.Fatal(err)
	}
}

// until polls a condition. These tests wait in no other way.
func (b *bench) until(what string, holds func() bool) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("never came: %s", what)
		}
	}
}

func (b *bench) one(sql string, args ...any) string {
	b.Helper()
	var text string
	if err := b.pool.QueryRow(b.Context(), sql, args...).Scan(&text); err != nil {
		b.Fatalf("%s: %v", sql, err)
	}
	return text
}

// status returns the status of the build in use, or of the one that is being built. It is zero if
// there is none.
func (b *bench) status(r *projections.Runner, inUse bool) projections.Status {
	b.Helper()
	all, err := r.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range all {
		if s.View == "tally" && s.InUse == inUse && s.State != projections.Kept {
			return s
		}
	}
	return projections.Status{}
}

const total = `SELECT coalesce(sum(total), 0)::text FROM read.tally`

// sum returns the sum of the n appended numbers 0, 1, ...
func sum(n int) string { return strconv.Itoa(n * (n - 1) / 2) }

func TestEventsBecomeRowsAndAWaitSeesThem(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(r, b.append("number.v1", 1200))
	if got, want := b.one(total), sum(1200); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
	// A read can also wait for a position at which the view has no event.
	b.wait(r, b.append("other.v1", 3))
	s := b.status(r, true)
	if s.State != projections.Live || s.Lag != 0 || !s.Mine || s.Events != 1200 {
		t.Errorf("status %+v", s)
	}
}

func TestAWaitEndsWithItsContextAndSaysHowFarTheViewIs(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	head := b.append("number.v1", 1)
	b.wait(r, head)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := r.WaitFor(ctx, eventstore.At(99))
	lag, ok := errors.AsType[*projections.LagError](err)
	if !ok || lag.Position != head || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestACheckpointMovedWithoutEventsIsStoredInTheEnd(t *testing.T) {
	b := newBench(t)
	r, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	head := b.append("other.v1", 50)
	b.wait(r, head)
	b.until("stored checkpoint", func() bool {
		return b.one(`SELECT position FROM projections.builds`) == head.String()
	})
}

func TestANodeGoesOnWhereTheLastOneStopped(t *testing.T) {
	b := newBench(t)
	first, stop := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(first, b.append("number.v1", 800))
	stop()
	head := b.append("number.v1", 800)
	second, _ := b.run(projections.Config{Views: []projections.View{tally()}})
	b.wait(second, head)
	if got, want := b.one(total), strconv.Itoa(2*800*799/2); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
}

func TestTwoNodesThatBothThinkTheyOwnAViewApplyEachEventOnce(t *testing.T) {
	b := newBench(t)
	views := []projections.View{tally()}
	first, second := newHeard(), newHeard()
	one, _ := b.run(projections.Config{Views: views, Owner: "twin", Log: slog.New(first)})
	b.until("first started", func() bool { return first.said("projection started") })
	// Because the lease was deleted, the second node of that name gets the same epoch, and both
	// nodes renew it. Only the position keeps them apart.
	b.one(`WITH e AS (DELETE FROM projections.leases RETURNING 1) SELECT count(*)::text FROM e`)
	two, _ := b.run(projections.Config{Views: views, Owner: "twin", Log: slog.New(second)})
	b.until("second started", func() bool { return second.said("projection started") })
	if got := b.one(`SELECT max(epoch)::text FROM projections.leases`); got != "1" {
		t.Fatalf("epoch %s, want 1, so that the epoch does not tell the two nodes apart", got)
	}
	var head eventstore.Position
	for range 20 {
		head = b.append("number.v1", 100)
	}
	b.wait(one, head)
	b.wait(two, head)
	if got, want := b.one(total), strconv.Itoa(20*100*99/2); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
	b.until("somebody refused", func() bool {
		return first.said("projection taken over or switched") || second.said("projection taken over or switched")
	})
}

// heard is a logger that keeps its messages.
type heard struct {
	slog.Handler
	mu       sync.Mutex
	messages []string
}

func newHeard() *heard { return &heard{Handler: slog.DiscardHandler} }

func (h *heard) Enabled(context.Context, slog.Level) bool { return true }

func (h *heard) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, r.Message)
	return nil
}

func (h *heard) said(message string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.messages, message)
}

func TestALeaseThatRunsOutIsTakenOverAndTheOldOwnerIsRefused(t *testing.T) {
	b := newBench(t)
	var hold atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	// The first node stops while it holds an event, as a paused process would.
	stalls := tally(func(v *projections.View) {
		decode := v.Decode
		v.Decode = func(eventType string, data []byte) (any, error) {
			if hold.CompareAndSwap(true, false) {
				close(held)
				<-release
			}
			return decode(eventType, data)
		}
	})
	log := newHeard()
	one, _ := b.run(projections.Config{Views: []projections.View{stalls}, Owner: "one", LeaseTTL: time.Hour, Log: slog.New(log)})
	b.wait(one, b.append("number.v1", 10))
	hold.Store(true)
	head := b.append("number.v1", 10)
	<-held
	b.one(`WITH e AS (UPDATE projections.leases SET expires_at = '-infinity' RETURNING 1) SELECT count(*)::text FROM e`)
	b.one(`WITH e AS (DELETE FROM projections.nodes RETURNING 1) SELECT count(*)::text FROM e`)
	// The second node does not post anything either. So the position is still where the first
	// node left it, and only the epoch differs.
	refused := make(chan struct{})
	waits := tally(func(v *projections.View) {
		decode := v.Decode
		v.Decode = func(eventType string, data []byte) (any, error) {
			<-refused
			return decode(eventType, data)
		}
	})
	two, _ := b.run(projections.Config{Views: []projections.View{waits}, Owner: "two", LeaseTTL: time.Hour})
	letGo := sync.OnceFunc(func() { close(refused) })
	t.Cleanup(letGo)
	b.until("lease taken over", func() bool { return b.one(`SELECT max(epoch)::text FROM projections.builds`) == "2" })
	close(release)
	b.until("old owner refused", func() bool { return log.said("projection taken over or switched") })
	letGo()
	b.wait(two, head)
	if got, want := b.one(total), strconv.Itoa(2*45); got != want {
		t.Errorf("total %s, want %s", got, want)
	}
	b.wait(one, head) // by looking at the other's checkpoint
	if s := b.status(two, true); s.Owner != "two" || !s.Mine {
		t.Errorf("status %+v", s)
	}
}

// fourViews are views that only have names.
func fourViews() (views []projections.View) {
	for _, name := range []string{"a", "b", "c", "d"} {
		views = append(views, tally(func(v *projections.View) {
			v.Name = name
			v.Tables = `CREATE TABLE ` + name + ` (n bigint)`
			v.Indexes = ""
			v.Apply = func(context.Context, *projections.Tx, []projections.Event) error { return nil }
		}))
	}
	return views
}

// An audit that runs beside a server must not stop the server's posting.
func TestAGuestTakesNoViewFromANodeAndGivesItsOwnToOne(t *testing.T) {
	b := newBench(t)
	views, ttl := fourViews(), time.Second
	_, stop := b.run(projections.Config{Views: views, Owner: "one", LeaseTTL: ttl})
	b.until("all with one", func() bool { return b.owners() == "one:4" })
	epochs := func() string {
		return b.one(`SELECT string_agg(view || epoch, ' ' ORDER BY view) FROM projections.leases`)
	}
	before := epochs()
	guest, _ := b.run(projections.Config{Views: views, Owner: "guest", LeaseTTL: ttl, Guest: true})
	b.wait(guest, b.append("number.v1", 5))
	if b.owners() != "one:4" || epochs() != before {
		t.Errorf("with a guest the views are with %s (%s), want one:4 (%s)", b.owners(), epochs(), before)
	}
	stop()
	b.until("all with the guest", func() bool { return b.owners() == "guest:4" })
	b.wait(guest, b.append("number.v1", 5))
	two, _ := b.run(projections.Config{Views: views, Owner: "two", LeaseTTL: ttl})
	b.until("all with two", func() bool { return b.owners() == "two:4" })
	b.wait(two, b.append("number.v1", 5))
}

// owners returns how many views each node has, by the node's name.
func (b *bench) owners() string {
	return b.one(`SELECT coalesce(string_agg(owner || ':' || n, ' '), '') FROM (
		SELECT owner, count(*) AS n FROM projections.leases WHERE expires_at > clock_timestamp() GROUP BY owner ORDER BY owner) o`)
}

func TestViewsSpreadOverNodesAndComeBackWhenOneLeaves(t *testing.T) {
	b := newBench(t)
	views := fourViews()
	ttl := time.Second
	_, stop := b.run(projections.Config{Views: views, Owner: "one", LeaseTTL: ttl})
	b.until("all with one", func() bool { return b.owners() == "one:4" })
	two, _ := b.run(projections.Config{Views: views, Owner: "two", LeaseTTL: ttl})
	b.until("two each", func() bool { return b.owners() == "one:2 two:2" })
	stop()
	b.until("all with two", func() bool { return b.owners() == "two:4" })
	b.wait(two, b.append("number.v1", 5))
}

func TestAQueuedWriteThatFailsStopsTheView(t *testing.T) {
	b := newBench(t)
	failing := tally(func(v *projections.View) {
		v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			err := addUp(ctx, tx, batch)
			if slices.ContainsFunc(batch, func(e projections.Event) bool { return e.Stream == "s-bad" }) {
				tx.Writes().Queue(`SELECT 1 / (SELECT 0)`)
			}
			return err
		}
	})
	r, _ := b.run(projections.Config{Views: []projections.View{failing}})
	good := b.append("number.v1", 20)
	b.wait(r, good)
	b.write("number.v1", "s-bad", `{"n":1}`)
	b.until("the view says why it stopped", func() bool {
		return strings.Contains(b.one(`SELECT error FROM projections.builds`), "division by zero")
	})
	if got, want := b.one(total), sum(20); got != want {
		t.Errorf("total %s, want %s: the batch that failed must leave nothing", got, want)
	}
	if got := b.one(`SELECT position FROM projections.builds`); got != good.String() {
		t.Errorf("position %s, want %s", got, good)
	}
}

func TestAConnectionThatIsLostAtTheCommitIsTriedAgain(t *testing.T) {
	b := newBench(t)
	cut := 3
	flaky := tally(func(v *projections.View) {
		v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			if err := addUp(ctx, tx, batch); err != nil {
				return err
			}
			if cut > 0 {
				cut--
				tx.Writes().Queue(`SELECT pg_terminate_backend(pg_backend_pid())`)
			}
			return nil
		}
	})
	r, _ := b.run(projections.Config{Views: []projections.View{flaky}})
	b.wait(r, b.append("number.v1", 50))
	if got, want := b.one(total), sum(50); got != want || cut != 0 {
		t.Errorf("total %s, want %s; cuts left %d", got, want, cut)
	}
}

// A plan that was made for a nearly empty table must not read the whole table when it has grown.
func TestViewsFindRowsByTheirKeys(t *testing.T) {
	b := newBench(t)
	var plan atomic.Value
	looking := tally(func(v *projections.View) {
		v.Apply = func(ctx context.Context, tx *projections.Tx, batch []projections.Event) error {
			rows, err := tx.Query(ctx, `EXPLAIN SELECT total FROM tally WHERE key = ANY ('{a,b}')`)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			plan.Store(strings.Join(lines, "\n"))
			return addUp(ctx, tx, batch)
		}
	})
	r, _ := b.run(projections.Config{Views: []projections.View{looking}})
	b.wait(r, b.append("number.v1", 3))
	if _, err := b.pool.Exec(t.Context(), `ANALYZE `+pgx.Identifier{b.one(`SELECT schema_name FROM projections.builds`)}.Sanitize()+`.tally`); err != nil {
		t.Fatal(err)
	}
	b.wait(r, b.append("number.v1", 3))
	if got := plan.Load().(string); !strings.Contains(got, "tally_pkey") || strings.Contains(got, "Seq Scan") {
		t.Errorf("in a nearly empty table the plan is\n%s", got)
	}
}
