package groups

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"daybook/eventstore"
)

const (
	loadMax   = 5 * time.Second  // how long a request waits while groups are being loaded
	changeMax = 20 * time.Second // for one change of the list of groups
)

// Service serves all groups on the node that leads. On other nodes it says which node leads.
type Service struct {
	log    Log
	store  Store
	node   Node
	logger *slog.Logger

	admin chan struct{} // has a token while something changes the list of groups

	mu      sync.Mutex
	life    context.Context    // ends with Run, or when this node leads no more
	retire  context.CancelFunc // ends life
	epoch   int64              // the epoch under which groups are served; 0: none are
	lost    int64              // an epoch that is over although the node does not know it yet
	groups  map[Key]*running   // while they are served
	loaded  chan struct{}      // closed when they are served
	restart chan struct{}
}

// New makes a service; Run makes it serve.
func New(log Log, store Store, node Node, logger *slog.Logger) *Service {
	return &Service{
		log: log, store: store, node: node, logger: logger,
		admin:  make(chan struct{}, 1),
		retire: func() {},
		loaded: make(chan struct{}), restart: make(chan struct{}, 1),
	}
}

// Run serves groups whenever this node leads, until ctx ends. Then it saves what
// is handled.
func (s *Service) Run(ctx context.Context) {
	s.live(ctx)
	defer s.halt(ErrNotReady)
	for ctx.Err() == nil {
		lead, changed := s.node.Leadership()
		var again <-chan time.Time
		if err := s.follow(ctx, lead); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "the groups cannot be loaded; this node tries again", "error", err)
			again = time.After(backoff)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-s.restart: // an epoch is over, and the node does not know it yet
		case <-again:
		}
	}
}

// live begins a new life context. It ends the previous one, so that changes which have not finished
// are cut off soon. halt waits for them.
func (s *Service) live(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire()
	s.life, s.retire = context.WithCancel(ctx)
}

// follow starts or stops groups, as the leadership requires.
func (s *Service) follow(ctx context.Context, lead Leadership) error {
	s.mu.Lock()
	serving, lost := s.epoch, s.lost
	s.mu.Unlock()
	if serving != 0 && (serving != lead.Epoch || serving == lost) {
		s.live(ctx)
		s.halt(refusal(lead))
	}
	if lead.Epoch == 0 || lead.Epoch == serving && serving != lost || lead.Epoch == lost {
		return nil
	}
	s.admin <- struct{}{}
	defer func() { <-s.admin }()
	return s.load(ctx, lead.Epoch)
}

// refusal is the error that a node returns if it does not lead.
func refusal(lead Leadership) error {
	if lead.Epoch == 0 && lead.Host != "" {
		return &NotLeaderError{Host: lead.Host, Port: lead.Port}
	}
	return ErrNotReady
}

// load starts all groups. The caller holds admin.
func (s *Service) load(ctx context.Context, epoch int64) error {
	stored, err := s.store.Groups(ctx)
	if err != nil {
		return err
	}
	started := make(map[Key]*running, len(stored))
	for _, g := range stored {
		r, err := start(ctx, s, epoch, g)
		if err != nil {
			stopAll(started, ErrNotReady)
			return err
		}
		started[g.Key] = r
	}
	s.mu.Lock()
	if s.epoch == 0 {
		close(s.loaded)
	}
	s.epoch, s.groups = epoch, started
	s.mu.Unlock()
	s.logger.InfoContext(ctx, "this node serves the groups of consumers", "epoch", epoch, "groups", len(started))
	return nil
}

// halt stops all groups and tells their consumers why.
func (s *Service) halt(why error) {
	s.admin <- struct{}{}
	defer func() { <-s.admin }()
	s.unload(why)
}

// unload is halt for a caller that holds admin.
func (s *Service) unload(why error) {
	s.mu.Lock()
	running := s.groups
	if s.epoch != 0 {
		s.loaded = make(chan struct{})
	}
	s.epoch, s.groups = 0, nil
	s.mu.Unlock()
	stopAll(running, why)
}

func stopAll(groups map[Key]*running, why error) {
	var stopping sync.WaitGroup
	for _, r := range groups {
		stopping.Go(func() { r.close(why) })
	}
	stopping.Wait()
}

// fencedAt is what a group calls when another node has taken over.
func (s *Service) fencedAt(epoch int64) func() {
	return func() {
		s.mu.Lock()
		s.lost = max(s.lost, epoch)
		s.mu.Unlock()
		signal(s.restart)
	}
}

// serving returns the epoch under which this node serves the groups. While that is about to
// change, it waits for a short time.
func (s *Service) serving(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, loadMax)
	defer cancel()
	for {
		lead, changed := s.node.Leadership()
		s.mu.Lock()
		epoch, loaded := s.epoch, s.loaded
		s.mu.Unlock()
		if epoch != 0 {
			return epoch, nil
		}
		if err := refusal(lead); !errors.Is(err, ErrNotReady) {
			return 0, err
		}
		select {
		case <-changed:
		case <-loaded:
		case <-ctx.Done():
			return 0, ErrNotReady
		}
	}
}

// find returns a group that this node serves.
func (s *Service) find(ctx context.Context, key Key) (*running, error) {
	if _, err := s.serving(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == 0 {
		return nil, ErrNotReady
	}
	r := s.groups[key]
	if r == nil {
		return nil, &NotFoundError{Key: key}
	}
	return r, nil
}

// change runs one change of the list of groups at a time, on the leader. A change that has
// begun is not cut off with its request, because it has several steps. It is cut off, soon,
// only when the service ends or leads no more. That is safe: no group is served any more, the
// next leader begins with what the store holds, and the store refuses late changes of this
// epoch.
func (s *Service) change(ctx context.Context, do func(ctx context.Context, epoch int64) error) error {
	if _, err := s.serving(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	life := s.life
	s.mu.Unlock()
	ctx, cancel := outlive(life, changeMax)
	defer cancel()
	select {
	case s.admin <- struct{}{}:
		defer func() { <-s.admin }()
	case <-ctx.Done():
		return ErrNotReady
	}
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	if epoch == 0 || ctx.Err() != nil {
		return ErrNotReady
	}
	err := do(ctx, epoch)
	if errors.Is(err, ErrFenced) {
		s.fencedAt(epoch)()
		return ErrNotReady
	}
	return err
}

// place starts a group in place of one that was stopped. If that fails, all groups are loaded
// again as soon as possible.
func (s *Service) place(ctx context.Context, epoch int64, g Group) error {
	r, err := start(ctx, s, epoch, g)
	if err != nil {
		s.unload(ErrNotReady)
		signal(s.restart)
		return err
	}
	s.mu.Lock()
	s.groups[g.Key] = r
	s.mu.Unlock()
	return nil
}

// Create makes a group. A group that starts at the end gets a checkpoint there. So events
// that come before its first consumer are not lost, not even by a restart or an update.
//
// Errors: *ExistsError, *InvalidError, *NotLeaderError, ErrNotReady.
func (s *Service) Create(ctx context.Context, d Definition) error {
	return s.change(ctx, func(ctx context.Context, epoch int64) error {
		s.mu.Lock()
		_, exists := s.groups[d.Key]
		s.mu.Unlock()
		if exists {
			return &ExistsError{Key: d.Key}
		}
		if err := d.check(); err != nil {
			return err
		}
		if err := s.checkStart(ctx, d); err != nil {
			return err
		}
		if err := s.adopt(ctx, epoch, d.Key); err != nil {
			return err
		}
		g := Group{Definition: d}
		if err := s.begin(ctx, &g); err != nil {
			return err
		}
		if err := s.store.Put(ctx, epoch, g); err != nil {
			return err
		}
		return s.place(ctx, epoch, g)
	})
}

// checkStart refuses a start in $all beyond the log's last event, because that place belongs
// to no log or to another one. The reason has the words of a real server, which clients
// recognise.
func (s *Service) checkStart(ctx context.Context, d Definition) error {
	if !d.OnAll() || d.Settings.StartFrom == eventstore.End || d.Settings.StartFrom.IsStart() {
		return nil
	}
	last, err := s.log.Last(ctx, d.Source)
	if err == nil && last.Before(d.Settings.StartFrom) {
		err = &InvalidError{Key: d.Key, Reason: "Invalid Start From position: commit position must be less than or equal to the last commit position in the transaction file."}
	}
	return err
}

// adopt serves a group that is stored but not served. An earlier Create made it and then
// failed. It returns *ExistsError then.
func (s *Service) adopt(ctx context.Context, epoch int64, key Key) error {
	stored, err := s.store.Groups(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(stored, func(g Group) bool { return g.Key == key })
	if at < 0 {
		return nil
	}
	if err := s.place(ctx, epoch, stored[at]); err != nil {
		return err
	}
	return &ExistsError{Key: key}
}

// begin gives a group that starts at the end a checkpoint there. If nothing was handled yet,
// a checkpoint that begin gave earlier moves with the start.
func (s *Service) begin(ctx context.Context, g *Group) error {
	fromEnd := g.Settings.StartFrom == eventstore.End
	if g.Settings.hasBegun(g.Checkpoint) {
		g.Settings.Began = nil
		return nil
	}
	if g.Checkpoint == nil && !fromEnd {
		return nil
	}
	first := before(g.Settings.StartFrom)
	if fromEnd {
		last, err := s.log.Last(ctx, g.Source)
		if err != nil {
			return err
		}
		first = last
	}
	g.Checkpoint, g.Settings.Began = &first, &first
	return nil
}

// Update changes a group's settings and drops its consumers. If something was handled, the
// group goes on from its checkpoint, and StartFrom has no effect. Otherwise it begins at the
// new StartFrom. If StartFrom was the end and still is, the group stays where it began.
//
// Errors: *NotFoundError, *InvalidError, *NotLeaderError, ErrNotReady.
func (s *Service) Update(ctx context.Context, key Key, settings Settings) error {
	return s.change(ctx, func(ctx context.Context, epoch int64) error {
		s.mu.Lock()
		old := s.groups[key]
		s.mu.Unlock()
		if old == nil {
			return &NotFoundError{Key: key}
		}
		definition := old.definition
		definition.Settings = settings
		definition.Settings.Began = old.definition.Settings.Began
		if err := definition.check(); err != nil {
			return err
		}
		if err := s.checkStart(ctx, definition); err != nil {
			return err
		}
		old.close(&DroppedError{Key: key})
		g := Group{Definition: definition, Checkpoint: old.checkpoint()}
		var err error
		if g.Checkpoint == nil || settings.StartFrom != old.definition.Settings.StartFrom {
			err = s.begin(ctx, &g)
		}
		if err == nil {
			err = s.store.Put(ctx, epoch, g)
		}
		if err != nil { // the old settings
			g = Group{Definition: old.definition, Checkpoint: old.checkpoint()}
		}
		return errors.Join(err, s.place(ctx, epoch, g))
	})
}

// Delete removes a group with all that is kept of it, and drops its consumers.
//
// Errors: *NotFoundError, *NotLeaderError, ErrNotReady.
func (s *Service) Delete(ctx context.Context, key Key) error {
	return s.change(ctx, func(ctx context.Context, epoch int64) error {
		s.mu.Lock()
		r := s.groups[key]
		s.mu.Unlock()
		if r == nil {
			return &NotFoundError{Key: key}
		}
		err := s.store.Delete(ctx, epoch, key)
		// A group that the store does not have must not be served either: an earlier Delete
		// may have failed although it was done.
		if _, gone := errors.AsType[*NotFoundError](err); err != nil && !gone {
			return err
		}
		s.mu.Lock()
		delete(s.groups, key)
		s.mu.Unlock()
		r.close(&DroppedError{Key: key})
		return err
	})
}

// Connect adds a consumer to a group; it works on at most slots events at a
// time.
//
// Errors: *NotFoundError, *FullError, *NotLeaderError, ErrNotReady.
func (s *Service) Connect(ctx context.Context, key Key, who Connection, slots int) (*Consumer, error) {
	r, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.connect(who, slots)
}

// Replay hands parked events out again: those with numbers below stopAt, or all if stopAt is
// negative. They are marked in the store before it returns.
//
// Errors: *NotFoundError, *NotLeaderError, ErrNotReady.
func (s *Service) Replay(ctx context.Context, key Key, stopAt int64) error {
	if stopAt < 0 {
		stopAt = math.MaxInt64
	}
	return s.change(ctx, func(ctx context.Context, epoch int64) error {
		r, err := s.find(ctx, key)
		if err != nil {
			return err
		}
		if err := s.store.Replay(ctx, epoch, key, stopAt); err != nil {
			return err
		}
		r.with(func(g *group, _ time.Time) { g.asked++ })
		return nil
	})
}

// Restart stops all groups, drops their consumers and loads the groups again.
func (s *Service) Restart(ctx context.Context) error {
	return s.change(ctx, func(ctx context.Context, epoch int64) error {
		s.mu.Lock()
		running := slices.Collect(maps.Values(s.groups))
		s.mu.Unlock()
		for _, r := range running {
			r.close(&DroppedError{Key: r.definition.Key})
		}
		err := s.load(ctx, epoch)
		if err != nil {
			s.unload(ErrNotReady)
			signal(s.restart)
		}
		return err
	})
}
