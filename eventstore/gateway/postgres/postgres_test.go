package postgres_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
	"daybook/eventstore/gateway/postgres"
	"daybook/internal/pgtest"
)

// migrated makes a database in which an epoch is current.
func migrated(tb testing.TB, epoch int64) *pgxpool.Pool {
	tb.Helper()
	pool := pgtest.New(tb)
	if err := postgres.Migrate(tb.Context(), pool); err != nil {
		tb.Fatal(err)
	}
	setEpoch(tb, pool, epoch)
	return pool
}

func setEpoch(tb testing.TB, pool *pgxpool.Pool, epoch int64) {
	tb.Helper()
	if _, err := pool.Exec(tb.Context(), `UPDATE gateway.lease SET epoch = $1`, epoch); err != nil {
		tb.Fatal(err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

var key = groups.Key{Source: "orders", Name: "mail"}

func definition() groups.Definition {
	return groups.Definition{Key: key, Settings: groups.Settings{MaxRetryCount: 10, ReadBatchSize: 20, Strategy: groups.RoundRobin}}
}

func parked(revisions ...int64) []groups.Parked {
	var all []groups.Parked
	for _, r := range revisions {
		all = append(all, groups.Parked{Place: groups.InStream(r), ID: uuid.New(), Reason: "because"})
	}
	return all
}

// Both stores keep groups in the same way.
func TestStores(t *testing.T) {
	t.Parallel()
	stores := map[string]func(*testing.T) groups.Store{
		"memory":   func(*testing.T) groups.Store { return groups.NewMemory() },
		"postgres": func(t *testing.T) groups.Store { return postgres.Open(migrated(t, 1)) },
	}
	rules := map[string]func(*testing.T, groups.Store){
		"a group comes back as it was":               asItWas,
		"parked events keep their order":             parkedInOrder,
		"an event is parked once":                    parkedOnce,
		"what is saved is saved as a whole, or not":  savedOfNoGroup,
		"a replay marks what stands before its stop": replayBelow,
		"a deleted group leaves nothing behind":      deleted,
		"names may be as long as can be":             longNames,
	}
	for engine, open := range stores {
		for rule, test := range rules {
			t.Run(engine+"/"+rule, func(t *testing.T) { test(t, open(t)) })
		}
	}
}

func asItWas(t *testing.T, store groups.Store) {
	d := definition()
	d.Key = groups.Key{Source: groups.All, Name: "x"}
	d.Filter = groups.Filter{ByStream: true, Prefixes: []string{"a", "b"}}
	d.Settings.StartFrom = eventstore.End
	d.Settings.MessageTimeout = 1500 * time.Millisecond
	first := groups.Group{Definition: d, Checkpoint: new(eventstore.AtPair(7, 5))}
	second := groups.Group{Definition: definition()}
	must(t, store.Put(t.Context(), 1, second))
	must(t, store.Put(t.Context(), 1, first))
	got, err := store.Groups(t.Context())
	must(t, err)
	if want := []groups.Group{first, second}; !reflect.DeepEqual(got, want) {
		t.Fatalf("groups\n%+v, want\n%+v", got, want)
	}

	// An update keeps the checkpoint.
	first.Settings.MaxRetryCount = 99
	first.Filter = groups.Filter{Regex: "^a"}
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: first.Definition}))
	got, err = store.Groups(t.Context())
	must(t, err)
	if !reflect.DeepEqual(got[0], first) {
		t.Fatalf("after an update %+v, want %+v", got[0], first)
	}
	must(t, store.Save(t.Context(), 1, first.Key, groups.Changes{Checkpoint: new(eventstore.At(9))}))
	got, err = store.Groups(t.Context())
	must(t, err)
	if *got[0].Checkpoint != eventstore.At(9) {
		t.Fatalf("checkpoint %s, want 9", got[0].Checkpoint)
	}
}

// longNames stores groups with the longest names that the gateway accepts. The names have random
// characters, so that no index can compress them.
func longNames(t *testing.T, store groups.Store) {
	text := func(bytes int) string {
		made := make([]byte, (bytes+1)/2)
		_, _ = rand.Read(made) // it never fails
		return hex.EncodeToString(made)[:bytes]
	}
	d := definition()
	d.Key = groups.Key{Source: eventstore.MetadataPrefix + text(eventstore.MaxStreamName), Name: text(1024)}
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: d}))
	got, err := store.Groups(t.Context())
	must(t, err)
	if len(got) != 1 || got[0].Key != d.Key {
		t.Errorf("groups %v", got)
	}
}

// marked returns the revisions of the events that are being replayed, and how many events are
// parked.
func marked(t *testing.T, store groups.Store, after int64) (revisions []int64, waiting int64) {
	t.Helper()
	replaying, err := store.Replaying(t.Context(), key, after, 100)
	must(t, err)
	for _, p := range replaying {
		revisions = append(revisions, groups.RevisionOf(p.Place))
	}
	waiting, err = store.CountParked(t.Context(), key)
	must(t, err)
	return revisions, waiting
}

func wantMarked(t *testing.T, store groups.Store, waiting int64, revisions ...int64) {
	t.Helper()
	if got, left := marked(t, store, -1); !slices.Equal(got, revisions) || left != waiting {
		t.Fatalf("replayed are %d and parked %d, want %d and %d", got, left, revisions, waiting)
	}
}

func parkedInOrder(t *testing.T, store groups.Store) {
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition()}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(7, 3)}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(5), Checkpoint: new(groups.InStream(9))}))
	wantMarked(t, store, 3)
	must(t, store.Replay(t.Context(), 1, key, 1<<40))
	wantMarked(t, store, 0, 7, 3, 5)
	if got, _ := marked(t, store, 0); !slices.Equal(got, []int64{3, 5}) {
		t.Fatalf("after number 0 come %d, want 3 and 5", got)
	}
	places, err := store.ParkedAfter(t.Context(), key, groups.InStream(3), 10)
	must(t, err)
	slices.SortFunc(places, groups.Place.Compare)
	if want := []groups.Place{groups.InStream(5), groups.InStream(7)}; !slices.Equal(places, want) {
		t.Fatalf("parked after 3 are %s, want %s", places, want)
	}
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Unpark: []int64{1}}))
	wantMarked(t, store, 0, 7, 5)
}

// An event may be parked again, after a replay or after a crash before the checkpoint. It is then
// the last parked event, and waits.
func parkedOnce(t *testing.T, store groups.Store) {
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition()}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(1, 2)}))
	must(t, store.Replay(t.Context(), 1, key, 1<<40))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(1)}))
	wantMarked(t, store, 1, 2)
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(1)})) // its answer was lost
	must(t, store.Replay(t.Context(), 1, key, 1<<40))
	wantMarked(t, store, 0, 2, 1)
}

func savedOfNoGroup(t *testing.T, store groups.Store) {
	err := store.Save(t.Context(), 1, key, groups.Changes{Park: parked(1)})
	if _, missing := errors.AsType[*groups.NotFoundError](err); !missing {
		t.Fatalf("saving without a group: %v, want *NotFoundError", err)
	}
}

func replayBelow(t *testing.T, store groups.Store) {
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition()}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(10, 11, 12)}))
	must(t, store.Replay(t.Context(), 1, key, 2))
	wantMarked(t, store, 1, 10, 11)
}

func deleted(t *testing.T, store groups.Store) {
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition(), Checkpoint: new(groups.InStream(4))}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(1)}))
	must(t, store.Delete(t.Context(), 1, key))
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition()}))
	wantMarked(t, store, 0)
	got, err := store.Groups(t.Context())
	must(t, err)
	if len(got) != 1 || got[0].Checkpoint != nil {
		t.Fatalf("a group that was made again: %+v", got)
	}
}

// A node that does not know yet that it no longer leads changes nothing.
func TestAnOldLeaderIsFenced(t *testing.T) {
	t.Parallel()
	pool := migrated(t, 1)
	store := postgres.Open(pool)
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition(), Checkpoint: new(groups.InStream(1))}))
	must(t, store.Save(t.Context(), 1, key, groups.Changes{Park: parked(3)}))
	setEpoch(t, pool, 2)
	writes := map[string]error{
		"put":    store.Put(t.Context(), 1, groups.Group{Definition: definition(), Checkpoint: new(groups.InStream(9))}),
		"save":   store.Save(t.Context(), 1, key, groups.Changes{Park: parked(5), Unpark: []int64{0}, Checkpoint: new(groups.InStream(9))}),
		"replay": store.Replay(t.Context(), 1, key, 1<<40),
		"delete": store.Delete(t.Context(), 1, key),
	}
	for what, err := range writes {
		if !errors.Is(err, groups.ErrFenced) {
			t.Errorf("%s by an old leader: %v, want ErrFenced", what, err)
		}
	}
	wantMarked(t, store, 1)
	got, err := store.Groups(t.Context())
	must(t, err)
	if len(got) != 1 || *got[0].Checkpoint != groups.InStream(1) {
		t.Errorf("an old leader has changed the group: %+v", got)
	}
}

// If the leader changes during a write, the write waits for the change and is then refused.
func TestATakeoverAndAWriteComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	pool := migrated(t, 1)
	store := postgres.Open(pool)
	must(t, store.Put(t.Context(), 1, groups.Group{Definition: definition()}))
	takeover, err := pool.Begin(t.Context())
	must(t, err)
	if _, err := takeover.Exec(t.Context(), `UPDATE gateway.lease SET epoch = 2`); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	go func() {
		saved <- store.Save(context.WithoutCancel(t.Context()), 1, key, groups.Changes{Checkpoint: new(groups.InStream(9))})
	}()
	eventually(t, "the save waits", func() bool {
		var waiting int
		must(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting))
		return waiting > 0
	})
	must(t, takeover.Commit(t.Context()))
	if err := <-saved; !errors.Is(err, groups.ErrFenced) {
		t.Fatalf("a save that waited for the new leader: %v, want ErrFenced", err)
	}
}

// eventually waits for a condition, at most until the test's deadline.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	deadline, cancel := context.WithTimeout(tb.Context(), 2*time.Minute)
	defer cancel()
	for !holds() {
		pause, stop := context.WithTimeout(deadline, 5*time.Millisecond)
		<-pause.Done()
		stop()
		if deadline.Err() != nil {
			tb.Fatalf("it never came true: %s", what)
		}
	}
}

// member is a node that takes part until it is stopped or killed. A killed node no longer shows
// that it is alive.
type member struct {
	*postgres.Node
	stop context.CancelFunc
	done chan struct{}
}

const (
	// shortLease is a lease that ends soon.
	shortLease = 400 * time.Millisecond
	// longLease does not end even if the machine stands still for a while.
	longLease = 20 * time.Second
)

func join(t *testing.T, pool *pgxpool.Pool, port int, lease time.Duration) *member {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	m := &member{
		Node: postgres.NewNode(pool, "host", port, lease, slog.New(slog.NewTextHandler(t.Output(), nil))),
		stop: stop, done: make(chan struct{}),
	}
	go func() {
		defer close(m.done)
		m.Run(ctx)
	}()
	t.Cleanup(m.leave)
	return m
}

func (m *member) leave() {
	m.stop()
	<-m.done
}

func (m *member) leads() bool {
	lead, _ := m.Leadership()
	return lead.Epoch > 0
}

func TestOneOfTheNodesLeads(t *testing.T) {
	t.Parallel()
	pool := migrated(t, 0)
	first := join(t, pool, 1, longLease)
	eventually(t, "the first node leads", first.leads)
	second := join(t, pool, 2, longLease)
	want := groups.Leadership{Host: "host", Port: 1}
	eventually(t, "the second node knows the leader", func() bool { lead, _ := second.Leadership(); return lead == want })
	members, err := second.Members(t.Context())
	must(t, err)
	if len(members) != 2 || !members[0].Leader || members[0].Port != 1 || members[1].Leader || !members[0].Alive || !members[1].Alive {
		t.Fatalf("members %+v", members)
	}

	was, changed := second.Leadership()
	first.leave()
	var held bool
	must(t, pool.QueryRow(t.Context(), `SELECT expires_at > clock_timestamp() AND node_id NOT IN (SELECT node_id FROM gateway.nodes) FROM gateway.lease`).Scan(&held))
	if held {
		t.Fatal("a node that left keeps the lease")
	}
	<-changed
	eventually(t, "the second node leads", second.leads)
	if lead, _ := second.Leadership(); lead.Epoch <= was.Epoch || lead.Epoch < 2 {
		t.Fatalf("the second leader's epoch is %d", lead.Epoch)
	}
	if first.leads() {
		t.Fatal("a node that left thinks that it leads")
	}
	members, err = second.Members(t.Context())
	must(t, err)
	if len(members) != 1 || !members[0].Leader || members[0].Port != 2 {
		t.Fatalf("members after the first left: %+v", members)
	}
}

// If a leader cannot renew its lease, it stops leading by its own clock. The next leader has
// another epoch.
func TestALeaderThatCannotRenewLeadsNoMore(t *testing.T) {
	t.Parallel()
	pool := migrated(t, 0)
	node := join(t, pool, 1, shortLease)
	eventually(t, "the node leads", node.leads)
	before, _ := node.Leadership()
	block, err := pool.Begin(t.Context())
	must(t, err)
	if _, err := block.Exec(t.Context(), `LOCK TABLE gateway.lease IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node does not lead", func() bool { return !node.leads() })
	if _, err := block.Exec(t.Context(), `UPDATE gateway.lease SET expires_at = '-infinity'`); err != nil {
		t.Fatal(err) // the lease ends now; by the database's clock it would end soon
	}
	must(t, block.Commit(t.Context()))
	eventually(t, "the node leads again", node.leads)
	if after, _ := node.Leadership(); after.Epoch <= before.Epoch {
		t.Fatalf("the epoch is %d, before it was %d", after.Epoch, before.Epoch)
	}
}
