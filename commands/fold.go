package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

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
}

// receipt remembers a command that was carried out.
type receipt struct {
	Command  uuid.UUID           `json:"command"`
	Revision int64               `json:"revision"`
	Position eventstore.Position `json:"position"`
}

// memoryLimit is how many commands of a stream are remembered, so that a retry
// is known without asking the log. Beyond it the log's unique event ids answer.
const memoryLimit = 256

// receipts are the latest of a stream, in a ring once it is full.
type receipts struct {
	latest []receipt
	next   int
}

func (m *receipts) add(r receipt) {
	if len(m.latest) < memoryLimit {
		m.latest = append(m.latest, r)
		return
	}
	m.latest[m.next] = r
	m.next = (m.next + 1) % memoryLimit
}

// inOrder is the receipts from the oldest to the latest.
func (m *receipts) inOrder() []receipt {
	return slices.Concat(m.latest[m.next:], m.latest[:m.next])
}

func (m *receipts) find(command uuid.UUID) (receipt, bool) {
	for i := range m.latest {
		if m.latest[i].Command == command {
			return m.latest[i], true
		}
	}
	return receipt{}, false
}

// forget makes the lane fold its stream anew before it decides again.
func (l *lane[S, C, E]) forget() {
	var empty S
	l.loaded, l.state, l.revision, l.position, l.done, l.saved, l.checked = false, empty, -1, eventstore.Start, receipts{}, -1, time.Time{}
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
	l.state, l.revision, l.position = body.State, snapshot.Revision, body.Position
	l.saved, l.savedSize = snapshot.Revision, int64(len(snapshot.Data))
	for _, r := range body.Done {
		l.done.add(r)
	}
	return nil
}

// catchUp folds what the log holds beyond the lane's revision, and tells whether
// there was anything.
func (l *lane[S, C, E]) catchUp(ctx context.Context) (moved bool, err error) {
	var tail []eventstore.Recorded // the last few, whose command ids are remembered
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
		event, err := l.handler.aggregate.Decode(recorded.Type, recorded.Data)
		if err != nil {
			return moved, fmt.Errorf("stream %s, revision %d: %w", l.stream, recorded.Revision, err)
		}
		l.state = l.handler.aggregate.Evolve(l.state, event)
		l.revision, l.position, moved = recorded.Revision, recorded.Position, true
		tail = append(tail, recorded)
		if len(tail) >= 2*memoryLimit {
			tail = append(tail[:0], tail[memoryLimit:]...)
		}
	}
	l.checked = time.Now()
	return moved, l.remember(tail)
}

// remember takes the command ids of events that were read.
func (l *lane[S, C, E]) remember(tail []eventstore.Recorded) error {
	var last receipt
	for _, recorded := range tail[max(0, len(tail)-memoryLimit):] {
		meta, err := eventstore.DecodeMetadata(recorded.Meta)
		if err != nil {
			return fmt.Errorf("stream %s, revision %d: %w", l.stream, recorded.Revision, err)
		}
		if meta.CommandID != last.Command && last.Command != uuid.Nil {
			l.done.add(last)
		}
		last = receipt{Command: meta.CommandID, Revision: recorded.Revision, Position: recorded.Position}
	}
	if last.Command != uuid.Nil {
		l.done.add(last)
	}
	return nil
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
	data, err := json.Marshal(snapshotBody[S]{State: l.state, Position: l.position, Done: l.done.inOrder()})
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
