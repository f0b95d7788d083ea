package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/eventstore"
)

// State is the state of a build.
type State string

// The states of a build.
const (
	Live       State = "live"        // up to date, or nearly
	CatchingUp State = "catching_up" // in use, and incomplete or behind
	Rebuilding State = "rebuilding"  // being built beside the one in use
	Failed     State = "failed"      // stopped at an event it cannot apply
	Unowned    State = "unowned"     // no node posts to it
	Kept       State = "kept"        // for a roll-back; no longer posted to
)

// Status is the state of a build of a view, with its progress.
type Status struct {
	View    string `json:"view"`
	Build   int    `json:"build"`
	Version int    `json:"version"`
	State   State  `json:"state"`
	InUse   bool   `json:"in_use"` // queries read this build
	// Complete tells whether the build was at the head of the log once. If not, it lacks
	// older events. If so, it can only be behind.
	Complete bool                `json:"complete"`
	Position eventstore.Position `json:"position"`
	Head     eventstore.Position `json:"head"`
	// Share is how much of the log was read, from 0 to 1. It is 1 only if nothing is left. It
	// means the same on every engine.
	Share float64 `json:"share"`
	// Lag is the distance to the head in the engine's positions. It counts events of all
	// types if the engine counts events, and bytes of the log in KurrentDB.
	Lag uint64 `json:"lag"`
	// AgeSeconds is how long ago the oldest event that was not read yet was recorded; 0 if
	// there is none.
	AgeSeconds float64 `json:"age_seconds"`
	Events     int64   `json:"events"` // applied since event 0
	// Odd counts the events that were skipped, or had values outside the bounds. The node's
	// log names them.
	Odd   int64  `json:"odd"`
	Owner string `json:"owner,omitempty"`
	Mine  bool   `json:"mine"` // this node posts to it
	Error string `json:"error,omitempty"`
}

type statusRow struct {
	View, SchemaName, BuildState, Position, Error, Owner string
	Build, Version                                       int
	Reached                                              bool
	Events, Odd                                          int64
	Now                                                  time.Time
}

// Status returns the state of every build of every view. All nodes return nearly the same: Mine
// differs, and only the node that posts to a build knows the position that is not written yet, and
// an error after which it tries again.
func (r *Runner) Status(ctx context.Context) ([]Status, error) {
	head, err := r.store.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("status of projections: %w", ofTheLog(err))
	}
	rows, err := r.pool.Query(ctx, `SELECT b.view, b.schema_name, b.state AS build_state, b.position, b.error,
			coalesce(l.owner, '') AS owner, b.build, b.version, b.events, b.odd, b.reached_head_at IS NOT NULL AS reached, clock_timestamp() AS now
		FROM projections.builds b
		LEFT JOIN projections.leases l ON l.view = b.view AND l.version = b.version AND l.expires_at > clock_timestamp()
		ORDER BY b.view, b.build`)
	if err != nil {
		return nil, fmt.Errorf("status of projections: ask the database: %w", err)
	}
	builds, err := pgx.CollectRows(rows, pgx.RowToStructByName[statusRow])
	if err != nil {
		return nil, fmt.Errorf("status of projections: ask the database: %w", err)
	}
	all := make([]Status, 0, len(builds))
	for _, row := range builds {
		status, err := r.status(ctx, row, head)
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

// ofTheLog turns an error into UnavailableError if it means that the log did not answer.
func ofTheLog(err error) error {
	if _, known := errors.AsType[*eventstore.UnavailableError](err); !known && errors.Is(err, context.DeadlineExceeded) {
		return &eventstore.UnavailableError{Cause: fmt.Errorf("the log does not answer: %w", err)}
	}
	return fmt.Errorf("ask the log: %w", err)
}

// Pending tells whether a build of this program's version has still to come into use, on
// whichever node. It may be called before a node posts to it, but after Prepare or Run.
func (r *Runner) Pending(ctx context.Context) (bool, error) {
	builds, err := queryBuilds(ctx, r.pool, `WHERE state = 'building' AND error = ''`)
	if err != nil {
		return false, fmt.Errorf("pending builds: %w", err)
	}
	return slices.ContainsFunc(builds, func(b build) bool {
		view, err := r.view(b.view)
		return err == nil && view.matches(b)
	}), nil
}

func (r *Runner) status(ctx context.Context, row statusRow, head eventstore.Position) (Status, error) {
	position, err := eventstore.ParsePosition(row.Position)
	if err != nil {
		return Status{}, fmt.Errorf("status of %s: %w", row.View, err)
	}
	s := Status{
		View: row.View, Build: row.Build, Version: row.Version, InUse: row.BuildState == stateActive, Complete: row.Reached,
		Position: position, Head: head, Events: row.Events, Odd: row.Odd, Owner: row.Owner, Mine: row.Owner == r.owner, Error: row.Error,
	}
	if p := r.progress[row.View]; p != nil && s.InUse && s.Mine {
		if reached, _ := p.at(); position.Before(reached) {
			s.Position = reached // read, but not worth a write yet
		}
	}
	if trouble := r.trouble(row.View, row.Build); s.Error == "" && trouble != nil {
		s.Error = trouble.Error()
	}
	s.Share, s.Lag = behind(s.Position, head)
	if s.Lag > 0 && row.BuildState != stateOld { // a kept build reads no more events
		if err := r.age(ctx, &s, row.Now); err != nil {
			return Status{}, fmt.Errorf("age of %s: %w", row.View, err)
		}
	}
	switch {
	case row.BuildState == stateOld:
		s.State = Kept
	case row.Error != "":
		s.State = Failed
	case s.Owner == "":
		s.State = Unowned
	case row.BuildState == stateBuilding:
		s.State = Rebuilding
	case !s.Complete || s.AgeSeconds > liveAge.Seconds():
		s.State = CatchingUp
	default:
		s.State = Live
	}
	return s, nil
}

// liveAge is how old the oldest unread event of a view may be if the view counts as live. It
// is a time, because distances in the log do not mean the same on all engines.
const liveAge = 10 * time.Second

// maxUnfinishedShare is the largest share that is reported while something is left.
const maxUnfinishedShare = 1 - 1e-9

// behind is how much of the log is up to a position, and how far the head is from there.
func behind(at, head eventstore.Position) (share float64, lag uint64) {
	if !at.Before(head) {
		return 1, 0
	}
	here, _ := at.Pair()
	end, _ := head.Pair()
	return min(float64(here)/float64(max(end, 1)), maxUnfinishedShare), max(1, end-here)
}

// age sets how old the oldest event is that the build has not read. If only records are left
// that readers never see, the build is at the head.
func (r *Runner) age(ctx context.Context, s *Status, now time.Time) error {
	left := false
	for event, err := range r.store.ReadAll(ctx, s.Position, eventstore.Filter{}, 1) {
		if err != nil {
			return ofTheLog(err)
		}
		left = true
		s.AgeSeconds = max(0, now.Sub(event.RecordedAt).Seconds())
	}
	if !left {
		s.Share, s.Lag = 1, 0
	}
	return nil
}
