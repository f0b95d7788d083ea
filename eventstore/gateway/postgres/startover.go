package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// Move says where a group has to begin again in a log that was restored.
type Move struct {
	Source string `json:"source"` // a stream or $all
	Name   string `json:"name"`
	// From and To are places in the group's source. On $all they are positions, and on a
	// stream they are revisions plus 1. From is Start if nothing was handled yet.
	From groups.Place `json:"from"`
	To   groups.Place `json:"to"`
	// unchanged is the last place up to which the log is unchanged. needed is set if the group was
	// after it.
	unchanged groups.Place
	needed    bool
}

// IsNeeded tells whether the group has to begin again at an earlier place.
func (m Move) IsNeeded() bool { return m.needed }

// FindMoves says where each group begins in a restored log. agreed is the position of the last
// event that is unchanged. A group whose checkpoint is after it begins again there. So its
// consumers may get events again that they have handled, and miss none. If a group has no
// checkpoint, its start is used instead. Example: the log is unchanged up to position 60. A group
// on $all with its checkpoint at 80 begins again after 60, and one with its checkpoint at 50 does
// not move.
func FindMoves(ctx context.Context, pool *pgxpool.Pool, log eventstore.Store, agreed eventstore.Position) ([]Move, error) {
	all, err := Open(pool).Groups(ctx)
	if err != nil {
		return nil, err
	}
	var moves []Move
	for _, g := range all {
		m := Move{Source: g.Source, Name: g.Name, unchanged: agreed}
		stands := g.Settings.StartFrom
		if g.Checkpoint != nil {
			m.From, stands = *g.Checkpoint, *g.Checkpoint
		}
		if !g.OnAll() {
			if m.unchanged, err = lastInStream(ctx, log, g.Source, agreed); err != nil {
				return nil, fmt.Errorf("group %s: %w", g.Key, err)
			}
		}
		if m.To = m.From; m.unchanged.Before(stands) {
			m.To, m.needed = m.unchanged, true
		}
		moves = append(moves, m)
	}
	return moves, nil
}

// lastInStream is the place of a stream's last event at or before a position. For a stream
// that has ended it is the highest place, because no more events will come.
func lastInStream(ctx context.Context, log eventstore.Store, stream string, upTo eventstore.Position) (groups.Place, error) {
	for e, err := range log.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 0) {
		if _, ended := errors.AsType[*eventstore.DeletedError](err); ended {
			return eventstore.End, nil
		}
		if _, missing := errors.AsType[*eventstore.NotFoundError](err); missing {
			return groups.None, nil
		}
		if err != nil {
			return groups.None, err
		}
		if !upTo.Before(e.Position) {
			return groups.InStream(e.Revision), nil
		}
	}
	return groups.None, nil
}

// MoveGroups moves groups to the places where they begin again. Parked events after the last
// unchanged event are removed, because the log may not have them any more. Those that the log still
// has are handed out again. The groups' anchors are removed, too.
func MoveGroups(ctx context.Context, tx pgx.Tx, moves []Move) error {
	for _, m := range moves {
		if err := moveGroup(ctx, tx, m); err != nil {
			return fmt.Errorf("move group %s of %s back: %w", m.Name, m.Source, err)
		}
	}
	return nil
}

func moveGroup(ctx context.Context, tx pgx.Tx, m Move) error {
	if m.needed {
		commit, prepare := numbers(&m.To)
		_, err := tx.Exec(ctx, `UPDATE gateway.groups SET checkpoint_commit = $3, checkpoint_prepare = $4 WHERE source = $1 AND name = $2`,
			m.Source, m.Name, commit, prepare)
		if err != nil {
			return err
		}
	}
	var group int64
	err := tx.QueryRow(ctx, `UPDATE gateway.groups SET anchor = '' WHERE source = $1 AND name = $2 RETURNING group_id`, m.Source, m.Name).Scan(&group)
	if err != nil || m.unchanged == eventstore.End {
		return err
	}
	commit, prepare := numbers(&m.unchanged)
	_, err = tx.Exec(ctx, `DELETE FROM gateway.parked WHERE group_id = $1 AND (place_commit, place_prepare) > ($2, $3)`, group, commit, prepare)
	return err
}
