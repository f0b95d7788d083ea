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

// Back says where a group has to begin again in a log that was restored.
type Back struct {
	Source string `json:"source"` // a stream or $all
	Name   string `json:"name"`
	// From and To are places in the group's source. On $all they are positions, and on a
	// stream they are revisions plus 1. From is Start if nothing was handled yet.
	From groups.Place `json:"from"`
	To   groups.Place `json:"to"`
	// known is the last place up to which the log is unchanged. moves is set if the group
	// stood after it.
	known groups.Place
	moves bool
}

// Moves tells whether the group has to begin again at an earlier place.
func (b Back) Moves() bool { return b.moves }

// GroupsBack says where each group begins in a restored log. agreed is the position of the
// last event that is unchanged. A group that stands after it begins again there. So its
// consumers may get events again that they have handled, and miss none. A group without a
// checkpoint counts as standing at its start.
func GroupsBack(ctx context.Context, pool *pgxpool.Pool, log eventstore.Store, agreed eventstore.Position) ([]Back, error) {
	all, err := Open(pool).Groups(ctx)
	if err != nil {
		return nil, err
	}
	var back []Back
	for _, g := range all {
		b := Back{Source: g.Source, Name: g.Name, known: agreed}
		stands := g.Settings.StartFrom
		if g.Checkpoint != nil {
			b.From, stands = *g.Checkpoint, *g.Checkpoint
		}
		if !g.OnAll() {
			if b.known, err = lastInStream(ctx, log, g.Source, agreed); err != nil {
				return nil, fmt.Errorf("group %s: %w", g.Key, err)
			}
		}
		if b.To = b.From; b.known.Before(stands) {
			b.To, b.moves = b.known, true
		}
		back = append(back, b)
	}
	return back, nil
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

// SetBack moves groups to the places where they begin again. Parked events after the last
// unchanged event are removed, because the log may not have them any more. Those that the log
// still has are handed out again. The groups' anchors are removed, too.
func SetBack(ctx context.Context, tx pgx.Tx, back []Back) error {
	for _, b := range back {
		if err := setBack(ctx, tx, b); err != nil {
			return fmt.Errorf("set group %s of %s back: %w", b.Name, b.Source, err)
		}
	}
	return nil
}

func setBack(ctx context.Context, tx pgx.Tx, b Back) error {
	if b.moves {
		commit, prepare := numbers(&b.To)
		_, err := tx.Exec(ctx, `UPDATE gateway.groups SET checkpoint_commit = $3, checkpoint_prepare = $4 WHERE source = $1 AND name = $2`,
			b.Source, b.Name, commit, prepare)
		if err != nil {
			return err
		}
	}
	var group int64
	err := tx.QueryRow(ctx, `UPDATE gateway.groups SET anchor = '' WHERE source = $1 AND name = $2 RETURNING group_id`, b.Source, b.Name).Scan(&group)
	if err != nil || b.known == eventstore.End {
		return err
	}
	commit, prepare := numbers(&b.known)
	_, err = tx.Exec(ctx, `DELETE FROM gateway.parked WHERE group_id = $1 AND (place_commit, place_prepare) > ($2, $3)`, group, commit, prepare)
	return err
}
