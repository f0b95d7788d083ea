package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"daybook/domain/bloom"
	"daybook/eventstore"
)

// Snapshots stores folded states of long streams. It is a cache: if a snapshot is lost, the
// stream is folded from its beginning, which takes longer. Load returns nil if there is no
// snapshot of the fold version.
type Snapshots interface {
	Load(ctx context.Context, stream string, foldVersion int) (*Snapshot, error)
	Save(ctx context.Context, snapshot Snapshot) error
}

// Snapshot is a stream's folded state at a revision.
type Snapshot struct {
	Stream      string
	FoldVersion int
	Revision    int64
	Data        []byte // JSON
}

// snapshotBody is what a snapshot's Data holds.
type snapshotBody[S any] struct {
	State    S                   `json:"state"`
	Position eventstore.Position `json:"position"`
	Done     []pastCommand       `json:"done"`
	Guarded  []pastCommand       `json:"guarded,omitempty"`

	Forgotten bloom.Filter `json:"forgotten,omitzero"`
}

// forget removes the state from memory. The lane folds the stream again before it decides
// again.
func (l *lane[S, C, E]) forget() {
	var empty S
	l.loaded, l.state, l.revision, l.own, l.position, l.memory, l.saved, l.checked = false, empty, -1, -1, eventstore.Start, commandMemory{limits: l.handler.options.limits()}, -1, time.Time{}
}

// load folds the stream, unless its state is in memory. fresh is true if the state was read just
// now. If guess is true, load assumes that the stream is empty, and does not read it. If that is
// wrong, the append conflicts, or the check before a refusal finds the events.
func (l *lane[S, C, E]) load(ctx context.Context, guess bool) (fresh bool, err error) {
	if l.loaded {
		l.hear()
	}
	if l.loaded {
		return false, nil
	}
	l.forget()
	if guess {
		l.loaded = true
		return false, nil
	}
	if l.handler.aggregate.SnapshotEvery > 0 && l.handler.options.Snapshots != nil {
		if err := l.loadSnapshot(ctx); err != nil {
			return false, err
		}
	}
	if _, err := l.catchUp(ctx); err != nil {
		l.forget()
		return false, err
	}
	l.loaded = true
	return true, nil
}

func (l *lane[S, C, E]) loadSnapshot(ctx context.Context) error {
	snapshot, err := l.handler.options.Snapshots.Load(ctx, l.stream, l.handler.aggregate.FoldVersion)
	if err != nil {
		return fmt.Errorf("stream %s: load snapshot: %w", l.stream, err)
	}
	if snapshot == nil {
		return nil
	}
	var body snapshotBody[S]
	if err := json.Unmarshal(snapshot.Data, &body); err != nil {
		l.handler.options.Logger.Warn("snapshot unreadable, folding from the start", "stream", l.stream, "error", err)
		return nil
	}
	l.state, l.revision, l.own, l.position = body.State, snapshot.Revision, snapshot.Revision, body.Position
	l.saved, l.savedSize = snapshot.Revision, int64(len(snapshot.Data))
	l.memory.forgotten = body.Forgotten
	for _, r := range body.Done {
		l.memory.add(r, false)
	}
	for _, r := range body.Guarded {
		l.memory.add(r, true)
	}
	return nil
}

// catchUp folds the events that the log has after the lane's revision. moved is true if there
// were any. It skips events of other programs.
func (l *lane[S, C, E]) catchUp(ctx context.Context) (moved bool, err error) {
	read := reading{memory: &l.memory}
	// The read begins with the last known event, not after it. So the result is never empty,
	// and the engine need not find out whether the stream exists.
	for recorded, err := range l.handler.store.ReadStream(ctx, l.stream, max(l.revision, 0), 0) {
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			break
		}
		if err != nil {
			return moved, fmt.Errorf("stream %s: read: %w", l.stream, err)
		}
		if recorded.Revision <= l.revision {
			continue
		}
		if err := l.fold(&recorded, &read); err != nil {
			return moved, err
		}
		moved = true
	}
	l.checked = time.Now()
	read.end()
	return moved, nil
}

// fold folds the next event of the stream. It skips an event of another program.
func (l *lane[S, C, E]) fold(recorded *eventstore.Recorded, read *reading) error {
	var event E
	err := Safely(func() (err error) {
		if event, err = eventstore.Decode(recorded, l.handler.aggregate.Decode); err == nil {
			l.state = l.handler.aggregate.Evolve(l.state, event)
		}
		return err
	})
	foreign := eventstore.IsForeign(err)
	if err != nil && !foreign {
		return &UndecodableError{Stream: l.stream, Revision: recorded.Revision, Cause: err}
	}
	l.revision, l.position = recorded.Revision, recorded.Position
	if foreign {
		return nil
	}
	l.own = recorded.Revision
	read.add(*recorded, l.handler.aggregate.guards(event))
	return nil
}

// hear folds what other nodes have recorded since, as far as the handler has heard of it. If an
// event cannot be folded, it forgets the state, and then the read of the stream finds the same.
func (l *lane[S, C, E]) hear() {
	news := l.handler.options.News.after(l.stream, l.revision)
	if len(news) == 0 {
		return
	}
	read := reading{memory: &l.memory}
	for i := range news {
		if err := l.fold(&news[i], &read); err != nil {
			l.forget()
			return
		}
	}
	read.end()
}

// snapshotBytes bounds the snapshots in bytes for each event. A state can grow with its
// stream, for example with a SKU's open reservations. Without this bound, such a state would
// be stored so often that the snapshots would take more space than the log.
const snapshotBytes = 256

// snapshot stores the state if there were enough events since the last snapshot. It encodes
// the state at once, because the state will change. It stores it in the background.
func (l *lane[S, C, E]) snapshot() {
	every, snapshots := l.handler.aggregate.SnapshotEvery, l.handler.options.Snapshots
	if every == 0 || snapshots == nil || l.revision-max(l.saved, -1) < max(every, l.savedSize/snapshotBytes) {
		return
	}
	l.saved = l.revision
	data, err := json.Marshal(snapshotBody[S]{
		State: l.state, Position: l.position, Done: l.memory.done.inOrder(), Guarded: l.memory.guarded.inOrder(),
		Forgotten: l.memory.forgotten,
	})
	if err != nil {
		l.handler.options.Logger.Error("state cannot be encoded as a snapshot", "stream", l.stream, "error", err)
		return
	}
	l.savedSize = int64(len(data))
	snapshot := Snapshot{Stream: l.stream, FoldVersion: l.handler.aggregate.FoldVersion, Revision: l.revision, Data: data}
	l.handler.work.Add(1)
	go func() {
		defer l.handler.work.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := snapshots.Save(ctx, snapshot); err != nil {
			l.handler.options.Logger.Warn("snapshot not saved", "stream", snapshot.Stream, "error", err)
		}
	}()
}
