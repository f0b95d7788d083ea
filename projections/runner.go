package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
)

// Config is what a Runner needs.
type Config struct {
	Store eventstore.Store
	// Pool is the read models' database. While the runner runs, each view uses at most one
	// connection, and a rebuild one more.
	Pool  *pgxpool.Pool
	Views []View
	// Owner names this process among the nodes. By default it is a random name.
	Owner string
	// LeaseTTL is how long a view stays with a node that no longer renews its
	// lease. Default 10 s.
	LeaseTTL time.Duration
	// Guest is for a program that runs for a short time and needs the views to be posted to,
	// such as an audit. It takes only leases that no node has, so a server beside it keeps
	// its leases. It gives its own leases up when a server comes.
	Guest bool
	// Gap is the least time between two transactions of a view while no reader waits for it in
	// WaitFor. Default 30 ms, and so readers see a write within 50 ms. With a longer gap, readers
	// who do not wait see writes later, and the views need less processor time, because each
	// transaction has more events and changes a row only once.
	Gap time.Duration
	// Observe, if set, is told of each batch of events that a view has posted. It must not wait,
	// and must not keep the events.
	Observe func(view string, posted []Event, began time.Time)
	Log     *slog.Logger
}

// Runner runs the views that are this node's share. Any number of nodes may have a Runner;
// only one of them posts to a view at a time.
type Runner struct {
	store    eventstore.Store
	pool     *pgxpool.Pool
	views    []View
	owner    string
	peers    string // equal on all nodes with the same views and versions
	leaseTTL time.Duration
	guest    bool
	gap      time.Duration
	log      *slog.Logger
	kick     chan struct{} // wakes the manager
	progress map[string]*progress
	workers  sync.WaitGroup
	odd      oddLog
	observe  func(view string, posted []Event, began time.Time)

	mu     sync.Mutex
	errors map[buildKey]error // the last error of this node's workers
	owned  map[string]*owned  // by view; only the manager's goroutine changes it
}

type buildKey struct {
	view  string
	build int
}

// owned is a view whose lease this node has.
type owned struct {
	view    View
	epoch   int64
	workers map[int]*worker // by build
}

// New makes a runner. Migrate must have been called on the pool's database.
func New(cfg Config) (*Runner, error) {
	r := &Runner{
		store: cfg.Store, pool: cfg.Pool, views: cfg.Views, owner: cfg.Owner, leaseTTL: cfg.LeaseTTL, guest: cfg.Guest, gap: max(cfg.Gap, liveGap), log: cfg.Log,
		kick: make(chan struct{}, 1), observe: cfg.Observe,
		progress: make(map[string]*progress),
		errors:   make(map[buildKey]error),
		owned:    make(map[string]*owned),
	}
	if r.owner == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make a random name for the node: %w", err)
		}
		r.owner = id.String()
	}
	if r.leaseTTL == 0 {
		r.leaseTTL = 10 * time.Second
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	var shapes []string
	for _, view := range cfg.Views {
		if err := view.check(); err != nil {
			return nil, err
		}
		if _, twice := r.progress[view.Name]; twice {
			return nil, fmt.Errorf("view %s is given twice", view.Name)
		}
		r.progress[view.Name] = newProgress()
		shapes = append(shapes, view.Name+":"+strconv.Itoa(view.Version)+":"+view.Setting)
	}
	slices.Sort(shapes)
	r.peers = strings.Join(shapes, " ")
	return r, nil
}

func (r *Runner) view(name string) (View, error) {
	at := slices.IndexFunc(r.views, func(v View) bool { return v.Name == name })
	if at < 0 {
		return View{}, fmt.Errorf("%w: %q", ErrUnknownView, name)
	}
	return r.views[at], nil
}

// Run posts to the views that are this node's share until ctx ends, and then frees the share
// for others at once. It returns nil when ctx ended, and an error only if it could not begin.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.Prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer r.leave(ctx)
	ticker := time.NewTicker(r.leaseTTL / 3)
	defer ticker.Stop()
	for {
		if err := r.manage(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "projections: cannot manage leases", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-r.kick:
		}
	}
}

// manage does one round: it records that this node is alive, renews the leases, takes or
// gives leases for a fair share, and makes sure that each build of an owned view has its
// worker.
func (r *Runner) manage(ctx context.Context) error {
	share, err := r.share(ctx)
	if err != nil {
		return err
	}
	if err := r.renew(ctx); err != nil {
		return err
	}
	if len(r.owned) > share {
		err = r.giveOne(ctx)
	} else {
		err = r.acquire(ctx, share)
	}
	return errors.Join(err, r.reconcile(ctx))
}

// share is how many views this node should have.
func (r *Runner) share(ctx context.Context) (int, error) {
	if r.guest {
		nodes, err := r.nodes(ctx)
		if err != nil || nodes > 0 {
			return 0, err
		}
		return len(r.views), nil
	}
	nodes, err := r.heartbeat(ctx)
	if err != nil {
		return 0, err
	}
	return (len(r.views) + nodes - 1) / nodes, nil
}

// reconcile makes sure that exactly the builds which should be posted to have a worker, and that
// the worker has the build's present state. A worker that is to end signals the manager when it has
// ended. Only then is it replaced.
func (r *Runner) reconcile(ctx context.Context) error {
	for _, o := range r.owned {
		builds, err := queryBuilds(ctx, r.pool, `WHERE view = $1 AND state <> 'old' AND error = '' AND epoch <= $2`, o.view.Name, o.epoch)
		if err != nil {
			return err
		}
		builds = slices.DeleteFunc(builds, func(b build) bool { return !o.view.matches(b) })
		for number, w := range o.workers {
			if w.ended() {
				delete(o.workers, number)
				continue
			}
			fits := func(b build) bool { return b.number == number && b.state == *w.role.Load() }
			if !slices.ContainsFunc(builds, fits) {
				w.stop()
			}
		}
		for _, b := range builds {
			if o.workers[b.number] != nil {
				continue
			}
			if err := r.start(ctx, o, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Runner) start(ctx context.Context, o *owned, b build) error {
	// Setting the epoch waits for the current batch of an earlier owner, and makes all its
	// later batches fail.
	claimed, err := r.pool.Exec(ctx, `UPDATE projections.builds SET epoch = $3
		WHERE view = $1 AND build = $2 AND epoch <= $3 AND state <> 'old'`, o.view.Name, b.number, o.epoch)
	if err != nil {
		return fmt.Errorf("claim build: %w", err)
	}
	if claimed.RowsAffected() == 0 {
		return nil
	}
	workerCtx, stop := context.WithCancel(ctx)
	w := &worker{
		Runner: r, view: o.view, epoch: o.epoch, build: b, stop: stop, done: make(chan struct{}),
		log: r.log.With("view", o.view.Name, "version", b.version, "build", b.number),
	}
	w.role.Store(&b.state)
	o.workers[b.number] = w
	w.log.InfoContext(ctx, "projection started", "state", b.state, "position", b.position, "epoch", o.epoch)
	r.workers.Go(func() { w.supervise(workerCtx) })
	return nil
}

// stop tells the workers of a view to end. The epoch makes sure that they write nothing more.
func (o *owned) stop() {
	for _, w := range o.workers {
		w.stop()
	}
}

// leave stops the workers and frees the leases.
func (r *Runner) leave(ctx context.Context) {
	for _, o := range r.owned {
		o.stop()
	}
	r.workers.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for name, o := range r.owned {
		r.drop(name)
		if err := r.release(ctx, o); err != nil {
			r.log.WarnContext(ctx, "projection lease not freed; it will run out", "view", name, "error", err)
		}
	}
	if _, err := r.pool.Exec(ctx, `DELETE FROM projections.nodes WHERE owner = $1`, r.owner); err != nil {
		r.log.WarnContext(ctx, "projections: node not removed from the list of nodes; its entry will run out", "error", err)
	}
}

// note keeps the last error of a build for Status; nil means none.
func (r *Runner) note(view string, number int, err error) {
	key := buildKey{view, number}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		delete(r.errors, key)
		return
	}
	r.errors[key] = err
}

func (r *Runner) trouble(view string, number int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errors[buildKey{view, number}]
}

func (r *Runner) take(name string, o *owned) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owned[name] = o
}

func (r *Runner) drop(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.owned, name)
}

// owns tells whether this node posts to a view. Any goroutine may call it.
func (r *Runner) owns(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[name] != nil
}
