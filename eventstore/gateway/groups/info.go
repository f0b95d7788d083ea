package groups

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"daybook/eventstore"
)

// ConsumerInfo is the state of a consumer.
type ConsumerInfo struct {
	Connection
	Total         int64 // events given to it
	SinceLastInfo int64 // of these, since Info was last called
	PerSecond     int   // on average in this time
	FreeSlots     int
	InFlight      int
	Measurements  []Measurement // if the settings ask for extra statistics
}

// Info is the state of a group.
type Info struct {
	Definition
	Status        string
	Consumers     []ConsumerInfo
	Total         int64 // events handed out
	SinceLastInfo int64 // of these, since Info was last called
	PerSecond     int   // on average in this time
	Checkpoint    Place // None: no checkpoint yet
	Last          Place // of the source's last event, None if it has none
	ReadBuffer    int   // events that wait, read behind the head
	LiveBuffer    int   // events that wait, read at the head
	RetryBuffer   int   // events that wait to be handed out again
	InFlight      int   // events that consumers work on
	Outstanding   int   // events not handled: those in flight and those being parked
	ParkedEvents  int64
}

// info is the group's state, without what only the store and the log know.
func (r *running) info() Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, now := r.rules, time.Now()
	info := Info{
		Definition:  r.definition,
		Status:      g.status(),
		Total:       g.stats.total,
		RetryBuffer: len(g.retry) + len(g.replayed),
		Outstanding: len(g.held) - len(g.buffer) - len(g.retry) - len(g.replayed),
	}
	if s := r.definition.Settings; r.stored != nil && (s.StartFrom == eventstore.End || s.hasBegun(r.stored)) {
		info.Checkpoint = *r.stored
	}
	info.SinceLastInfo, info.PerSecond = g.stats.rates(now)
	if g.caughtUp {
		info.LiveBuffer = len(g.buffer)
	} else {
		info.ReadBuffer = len(g.buffer)
	}
	for _, c := range g.consumers {
		box := r.consumerEnds[c]
		if box == nil {
			continue
		}
		of := ConsumerInfo{Connection: box.who, Total: c.stats.total, FreeSlots: c.free(), InFlight: len(c.inFlight)}
		of.SinceLastInfo, of.PerSecond = c.stats.rates(now)
		if g.settings.ExtraStatistics {
			of.Measurements = c.stats.measurements()
		}
		info.InFlight += of.InFlight
		info.Consumers = append(info.Consumers, of)
	}
	return info
}

// Info returns the state of one group.
//
// Errors: *NotFoundError, *NotLeaderError, ErrNotReady.
func (s *Service) Info(ctx context.Context, key Key) (Info, error) {
	r, err := s.find(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return s.infoOf(ctx, r)
}

func (s *Service) infoOf(ctx context.Context, r *running) (Info, error) {
	info := r.info()
	var err error
	if info.ParkedEvents, err = s.store.CountParked(ctx, info.Key); err != nil {
		return Info{}, err
	}
	info.Last, err = s.log.Last(ctx, info.Source)
	return info, err
}

// List returns the state of all groups of a source, or of all sources if it is empty, sorted
// by source and name. A source without groups gives *NotFoundError.
func (s *Service) List(ctx context.Context, source string) ([]Info, error) {
	if _, err := s.serving(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.groups))
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *running) int {
		return cmp.Or(cmp.Compare(a.definition.Source, b.definition.Source), cmp.Compare(a.definition.Name, b.definition.Name))
	})
	var infos []Info
	for _, r := range all {
		if source != "" && r.definition.Source != source {
			continue
		}
		info, err := s.infoOf(ctx, r)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	if source != "" && len(infos) == 0 {
		return nil, &NotFoundError{Key: Key{Source: source}}
	}
	return infos, nil
}
