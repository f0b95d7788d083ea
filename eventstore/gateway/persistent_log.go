package gateway

import (
	"context"
	"errors"
	"iter"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"

	"daybook/eventstore"
	"daybook/eventstore/gateway/groups"
)

// groupLog is the log as groups of consumers read it: only visible events, with links
// resolved.
type groupLog struct{ server *Server }

var _ groups.Log = groupLog{}

// asSystem is a context with the right to read everything. A group reads for different
// consumers, and administrators have made it.
func asSystem(ctx context.Context) context.Context {
	return context.WithValue(ctx, userKey{}, User{Name: "system", Groups: []string{administrators}})
}

// groupFilter makes the filter of a group on $all; nil if it has none. The store applies it
// as far as it can.
func groupFilter(f groups.Filter) (*filter, error) {
	if f.Regex == "" && len(f.Prefixes) == 0 {
		return nil, nil
	}
	by := &persistent.CreateReq_AllOptions_FilterOptions_Expression{Regex: f.Regex, Prefix: f.Prefixes}
	return newFilter(!f.ByStream, by, storeMarks, 1)
}

// Follow implements groups.Log.
func (l groupLog) Follow(ctx context.Context, group groups.Definition, after groups.Place) iter.Seq2[groups.Item, error] {
	ctx = asSystem(ctx)
	return func(yield func(groups.Item, error) bool) {
		var err error
		if group.OnAll() {
			err = l.followAll(ctx, group, after, yield)
		} else {
			err = l.followStream(ctx, group, after, yield)
		}
		if _, ended := errors.AsType[*eventstore.DeletedError](err); ended {
			if !yield(groups.Item{Place: after, Ended: true}, nil) {
				return
			}
			<-ctx.Done()
			err = ctx.Err()
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(groups.Item{}, err)
		}
	}
}

func (l groupLog) followAll(ctx context.Context, group groups.Definition, after groups.Place, yield func(groups.Item, error) bool) error {
	f, err := groupFilter(group.Filter)
	if err != nil {
		return err
	}
	for item, err := range l.server.followAll(ctx, after, f, eachHead) {
		if err != nil {
			return err
		}
		if err := l.give(ctx, group, item.Checkpoint, item, yield); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (l groupLog) followStream(ctx context.Context, group groups.Definition, after groups.Place, yield func(groups.Item, error) bool) error {
	for item, err := range l.server.followStream(ctx, group.Source, groups.RevisionOf(after), eachHead) {
		if err != nil {
			return err
		}
		if item.Event != nil {
			after = groups.InStream(item.Event.Revision)
		}
		if err := l.give(ctx, group, after, item, yield); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (l groupLog) give(ctx context.Context, group groups.Definition, at groups.Place, item eventstore.Item, yield func(groups.Item, error) bool) error {
	given := groups.Item{Place: at, CaughtUp: item.CaughtUp, Anchor: item.Anchor}
	if item.Event != nil {
		event, err := l.event(ctx, group, at, item.Event)
		if err != nil {
			return err
		}
		given.Event = event
	}
	if !yield(given, nil) {
		return errStopped
	}
	return nil
}

// event is an event as the group hands it out.
func (l groupLog) event(ctx context.Context, group groups.Definition, at groups.Place, e *eventstore.Recorded) (*groups.Event, error) {
	event := &groups.Event{Place: at, Original: e}
	if !group.Settings.ResolveLinks || !isLink(e) {
		return event, nil
	}
	resolved, err := l.server.resolve(ctx, e)
	if err != nil {
		return nil, err
	}
	event.IsLink, event.Resolved = true, resolved.Event
	return event, nil
}

// Read implements groups.Log.
func (l groupLog) Read(ctx context.Context, group groups.Definition, at groups.Place) (*groups.Event, error) {
	ctx = asSystem(ctx)
	source := l.server.readAll(ctx, at, nil, 1)
	if !group.OnAll() {
		source = l.server.readStream(ctx, group.Source, groups.RevisionOf(at), 1)
	}
	for e, err := range source {
		switch {
		case isGoneStream(err):
			return nil, nil
		case err != nil:
			return nil, err
		case group.OnAll() && e.Position != at, !group.OnAll() && groups.InStream(e.Revision) != at:
			return nil, nil
		}
		return l.event(ctx, group, at, &e)
	}
	return nil, nil
}

// Last implements groups.Log.
func (l groupLog) Last(ctx context.Context, source string) (groups.Place, error) {
	if source == groups.All {
		return l.server.store.Head(ctx)
	}
	last, err := l.server.lastRevision(ctx, source)
	if isGoneStream(err) {
		return groups.None, nil
	}
	return groups.InStream(last), err
}
