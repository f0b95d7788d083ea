package groups

import "time"

// saving is what is being saved at the moment.
type saving struct {
	parks   []*message
	unparks []int64
	place   Place
	seq     int64
}

// handledTo is the place up to which everything is handled, and the number of
// events read up to there.
func (g *group) handledTo() (Place, int64) {
	if front := g.tracked.Front(); front != nil {
		m := front.Value.(*message)
		return m.prev, m.seq - 1
	}
	return g.readTo, g.readSeq
}

// checkpointDue tells whether it is time to write a checkpoint.
func (g *group) checkpointDue(place Place, seq int64, now time.Time) bool {
	handled := seq - g.checkpointSeq
	if place.Compare(g.checkpoint) <= 0 {
		return false
	}
	if handled >= int64(max(g.settings.MaxCheckpointCount, 1)) {
		return true
	}
	return g.settings.CheckpointAfter > 0 && handled >= int64(g.settings.MinCheckpointCount) &&
		now.Sub(g.checkpointAt) >= g.settings.CheckpointAfter
}

// take returns what is to be saved now. It is nil if there is nothing, or if what was taken
// before is not saved yet. If last is set, everything that is handled is saved.
func (g *group) take(last bool, now time.Time) *Changes {
	if g.saving != nil {
		return nil
	}
	place, seq := g.handledTo()
	checkpoint := g.checkpointDue(place, seq, now) || last && g.checkpoint.Before(place)
	if len(g.parks) == 0 && len(g.unparks) == 0 && !checkpoint {
		return nil
	}
	g.saving = &saving{parks: g.parks, unparks: g.unparks, place: g.checkpoint, seq: g.checkpointSeq}
	g.parks, g.unparks = nil, nil
	changes := &Changes{Unpark: g.saving.unparks}
	for _, m := range g.saving.parks {
		changes.Park = append(changes.Park, Parked{Place: m.Place, ID: m.Original.ID, Reason: m.reason})
	}
	if checkpoint {
		g.saving.place, g.saving.seq = place, seq
		changes.Checkpoint = &place
	}
	return changes
}

// saved notes that what was taken is saved. Only now the parked events count as handled.
func (g *group) saved(now time.Time) {
	for _, m := range g.saving.parks {
		m.number = -1 // it has another number now
		g.finish(m)
	}
	if g.checkpoint != g.saving.place {
		g.checkpointAt = now
	}
	g.checkpoint, g.checkpointSeq = g.saving.place, g.saving.seq
	g.saving, g.blocked = nil, false
	g.dispatch(now)
}

// urgent tells whether there is something to save now.
func (g *group) urgent(now time.Time) bool {
	place, seq := g.handledTo()
	return g.saving == nil && (len(g.parks) > 0 || len(g.unparks) > 0 || g.checkpointDue(place, seq, now))
}
