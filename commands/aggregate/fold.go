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

// Snapshots keeps folded states of long streams. It is a cache: losing it costs
// time, never truth. Load returns nil where there is none of that fold version.
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
	Done     []receipt           `json:"done"`
	Guarded  []receipt           `json:"guarded,omitempty"`

	Forgotten bloom.Filter `json:"forgotten,omitzero"`
}

// forget makes the lane fold its stream anew before it decides again.
func (l *lane[S, C, E]) forget() {
	var empty S
	l.loaded, l.state, l.revision, l.own, l.position, l.memory, l.saved, l.checked = false, empty, -1, -1, eventstore.Start, commandMemory{limits: l.handler.options.limits()}, -1, time.Time{}
}

// load folds the stream unless it is in memory. fresh tells that the state was
// read just now. With guess, the stream is taken to be empty and not read: if
// that is wrong, the append conflicts, or the check of a refusal finds the events.
func (l *lane[S, C, E]) load(ctx context.Context, guess bool) (fresh bool, err error) {
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

// catchUp folds what the log holds beyond the lane's revision, and tells whether
// there was anything. It passes over what another program wrote there.
func (l *lane[S, C, E]) catchUp(ctx context.Context) (moved bool, err error) {
	read := reading{memory: &l.memory}
	// From the last event known on: that there is one spares the engine the
	// question whether the stream exists, when nothing new has come.
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
		var event E
		err := Safely(func() (err error) {
			if event, err = eventstore.Decode(&recorded, l.handler.aggregate.Decode); err == nil {
				l.state = l.handler.aggregate.Evolve(l.state, event)
			}
			return err
		})
		foreign := eventstore.IsForeign(err)
		if err != nil && !foreign {
			return moved, &UndecodableError{Stream: l.stream, Revision: recorded.Revision, Cause: err}
		}
		l.revision, l.position, moved = recorded.Revision, recorded.Position, true
		if foreign {
			continue
		}
		l.own = recorded.Revision
		read.add(recorded, l.handler.aggregate.guards(event))
	}
	l.checked = time.Now()
	read.end()
	return moved, nil
}

// snapshotBytes is how much of a snapshot an event may cost. Without it a state
// that grows with its stream (an SKU's open reservations) would be written whole
// so often that the snapshots outweigh the log.
const snapshotBytes = 256

// snapshot keeps the state when enough has happened since the last one. The
// state is encoded now, for it goes on changing; saving it need not be waited for.
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
