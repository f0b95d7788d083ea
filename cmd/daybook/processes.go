package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"daybook/commands/commandapi"
	"daybook/commands/reactor"
	"daybook/internal/resource"
	viewquery "daybook/projections/query"
)

// processes are the reactor's open work and what is parked, as the read API shows
// them.
type processes struct {
	lot     reactor.ParkingLot
	reactor *reactor.Reactor
}

func (n *node) processes() processes { return processes{lot: n.reactor.Parking, reactor: n.reactor} }

// List implements readapi.Processes.
func (p processes) List(ctx context.Context, after string, states []string, limit int) ([]resource.Process, bool, error) {
	from := uuid.Nil
	if after != "" {
		var err error
		if from, err = uuid.Parse(after); err != nil {
			return nil, false, &viewquery.CursorError{Cursor: after}
		}
	}
	all, leading := p.reactor.Open()
	wanted := func(state string) bool { return len(states) == 0 || slices.Contains(states, state) }
	if !wanted("open") {
		all = nil
	}
	all = slices.DeleteFunc(all, func(open reactor.UnfinishedWork) bool { return bytewise(open.ID, from) <= 0 })
	if wanted("parked") {
		parked, err := p.lot.Parked(ctx, from, limit)
		if err != nil {
			return nil, false, err
		}
		// Parked work comes first: it counts as parked, even if it is also open.
		all = append(all, parked...)
	}
	slices.SortStableFunc(all, func(a, b reactor.UnfinishedWork) int {
		return cmp.Or(bytewise(a.ID, b.ID), cmp.Compare(b.Tries, a.Tries))
	})
	all = slices.CompactFunc(all, func(a, b reactor.UnfinishedWork) bool { return a.ID == b.ID })
	shown := make([]resource.Process, 0, min(limit, len(all)))
	for _, work := range all[:min(limit, len(all))] {
		shown = append(shown, commandapi.ProcessOf(work))
	}
	return shown, leading, nil
}

func bytewise(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

// Parked implements readapi.Processes.
func (p processes) Parked(ctx context.Context) (int64, error) { return p.lot.CountParked(ctx) }
