package commands

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// merge is a merge of two carts, as the source records it.
type merge struct {
	source  unit.CartID
	target  unit.CartID
	begun   cart.MergedInto
	lines   []cart.Line      // of the source; they do not change while it is merged
	details *contact.Details // of the source, too
	// customer is that of the source; empty: a guest.
	customer unit.CustomerID
	present  bool // false: the source is not merged into another cart
}

// MergeResult is what a merge did to the cart that the lines went into.
type MergeResult struct {
	aggregate.Result[cart.Event]
	// Begun means that this call began the merge, now or when the same call was made before.
	// Another driver may have ended the merge.
	Begun bool
}

// MergeCart puts the lines of one open cart, the source, into another, the target. The condition of
// the call is about the target, and so is the result. The source ends.
//
// If the target cannot take the lines, the source stays open, or is open again when MergeCart
// returns. The error is then the refusal. If the merge had begun, the result's position says where
// the source is open again. If the refusal is about the source, its fact cart_id is the id of the
// source.
//
// If another call has merged the two carts, nothing happens, and that is no error.
func (s *Service) MergeCart(ctx context.Context, call Call, target, source unit.CartID) (MergeResult, error) {
	var answer MergeResult
	if err := s.admit(call, access.WriteCarts); err != nil {
		return answer, err
	}
	if err := s.ownsCart(ctx, call, source, false); err != nil {
		return answer, namingCart(source, err)
	}
	if err := s.ownsCart(ctx, call, target, false); err != nil {
		return answer, err
	}
	defer s.drive(cart.Stream(source))()
	compared := false // the call was compared with earlier merges into the target
	for attempts := 0; attempts < maxMergeAttempts; call.Meta.CommandID = nextAttempt(call.Meta.CommandID) {
		repeats, err := s.carts.Repeats(ctx, cart.Stream(source), call.Meta)
		if err != nil {
			return answer, err
		}
		ours := repeats
		if !repeats {
			if !compared {
				if err := s.refuseAnotherSource(ctx, call, target, source); err != nil {
					return answer, err
				}
				compared = true
			}
			attempts++
			if ours, err = s.beginMerge(ctx, call, target, source); err != nil {
				return answer, err
			}
		}
		now, err := s.mergeOf(ctx, source)
		if err != nil {
			return answer, err
		}
		if !now.present || now.target != target {
			continue // this attempt was refused
		}
		meta := call.Meta
		if !ours {
			if meta, err = s.beginningOf(ctx, now); err != nil {
				return answer, err
			}
		}
		result, merged, err := s.finishMerge(ctx, meta, now)
		if err != nil {
			return answer, err
		}
		if merged {
			result.Replayed = result.Replayed && repeats
			return MergeResult{Result: result, Begun: ours}, nil
		}
		answer.Position = result.Position
	}
	return answer, fmt.Errorf("cart %s declined the lines of cart %s %d times and could have taken them: %w", target, source, maxMergeAttempts, aggregate.ErrOverloaded)
}

// maxMergeAttempts bounds how often a call begins a merge again. It does so if the target has
// declined the lines, but could take them when the call looked again.
const maxMergeAttempts = 5

// refuseAnotherSource refuses a call whose command id has merged another cart into the target. The
// source's stream does not know that command, because a merge begins on the stream of its source.
// The target's stream names the command that began a merge as the cause of the outcome.
//
// A call without a hash of its content has a new command id each time, so it is not compared.
func (s *Service) refuseAnotherSource(ctx context.Context, call Call, target, source unit.CartID) error {
	if call.Meta.Request == "" {
		return nil
	}
	took := false
	err := s.carts.View(ctx, cart.Stream(target), func(state cart.State, _ int64) { took = state.TookMerge })
	if err != nil || !took {
		return err
	}
	outcomes := map[string]cart.Event{}
	for recorded, err := range s.store.ReadStream(ctx, cart.Stream(target), 0, 0) {
		if err != nil {
			return fmt.Errorf("cart %s: %w", target, err)
		}
		event, err := ownEvent(&recorded)
		if err != nil {
			return err
		}
		switch event := event.(type) { //nolint:gochecksumtype // the others are no outcomes
		case cart.MergedFrom, cart.MergeDeclined:
			outcomes[eventstore.MetadataOrNone(recorded.Meta).CausationID] = event
		}
	}
	// An attempt that was refused before it began has no outcome, so some may be missing between
	// others.
	id := call.Meta.CommandID
	for missing := 0; missing < maxMergeAttempts; id = nextAttempt(id) {
		outcome, found := outcomes[id.String()]
		if merged, took := outcome.(cart.MergedFrom); took && merged.Source != source {
			return aggregate.ErrCommandReused
		}
		if !found {
			missing++
		}
	}
	return nil
}

// beginningOf is the metadata of the event that began a merge.
func (s *Service) beginningOf(ctx context.Context, m merge) (eventstore.Metadata, error) {
	stream := cart.Stream(m.source)
	for recorded, err := range s.store.ReadStreamBackwards(ctx, stream, eventstore.LastRevision, 0) {
		if err != nil {
			return eventstore.Metadata{}, fmt.Errorf("cart %s: %w", m.source, err)
		}
		event, err := ownEvent(&recorded)
		if err != nil {
			return eventstore.Metadata{}, err
		}
		if begun, is := event.(cart.MergedInto); is && begun.Attempt == m.begun.Attempt {
			return eventstore.MetadataOrNone(recorded.Meta), nil
		}
	}
	return eventstore.Metadata{}, fmt.Errorf("cart %s: the event that began its merge is not in its stream", m.source)
}

// FinishMerge ends the merge of a cart that the log shows as begun. meta is the metadata of the
// event that began it.
func (s *Service) FinishMerge(ctx context.Context, meta eventstore.Metadata, id unit.CartID) error {
	defer s.drive(cart.Stream(id))()
	now, err := s.mergeOf(ctx, id)
	if err != nil || !now.present {
		return err
	}
	_, _, err = s.finishMerge(ctx, by(theReactor, meta), now)
	return err
}

// beginMerge records on the source that it is merged. Before that, it looks at both carts, and
// refuses if the target could not take the lines now. recorded is false if another call has
// recorded it.
func (s *Service) beginMerge(ctx context.Context, call Call, target, source unit.CartID) (recorded bool, err error) {
	ask := cart.MergeInto{Target: target}
	lines := cart.MergeFrom{Source: source}
	var events []cart.Event
	var refusal error
	err = s.carts.View(ctx, cart.Stream(source), func(state cart.State, _ int64) {
		events, refusal = cart.Decide(ask, state)
		lines.Lines, lines.Details, lines.Customer = slices.Clone(state.Lines), state.Details, state.CustomerID
	})
	if err == nil {
		err = namingCart(source, refusal)
	}
	if err != nil {
		return false, err
	}
	err = s.carts.View(ctx, cart.Stream(target), func(state cart.State, revision int64) {
		if !call.If.Allows(revision) {
			refusal = &aggregate.StaleError{Stream: cart.Stream(target), If: *call.If, Actual: revision}
			return
		}
		if len(events) > 0 { // no events: the target has the lines already
			_, refusal = cart.Decide(lines, state)
		}
		if call.If != nil && (call.If.At != nil || call.If.NotAt != nil) {
			ask.IfRevision = &revision
		}
	})
	if err = errors.Join(err, refusal); err != nil {
		return false, err
	}
	begin := call
	begin.If = nil // the condition is about the target, and this command goes to the source
	answer, err := s.carts.Handle(ctx, request(begin, cart.Stream(source), []cart.Command{ask}))
	return answer.Replayed || len(answer.Events) > 0, namingCart(source, err)
}

// mergeOf returns the merge of this cart into another one. If there is none, present is false.
func (s *Service) mergeOf(ctx context.Context, id unit.CartID) (now merge, err error) {
	err = s.carts.View(ctx, cart.Stream(id), func(state cart.State, _ int64) {
		now = merge{source: id, target: state.MergeTarget(), begun: state.Merge, lines: slices.Clone(state.Lines), details: state.Details, customer: state.CustomerID, present: state.Phase == cart.PhaseMerged}
	})
	return now, err
}

// finishMerge is the process: the target takes the lines or declines them, and if it has
// declined them, the source opens again. The target's stream is the referee, because
// both outcomes have one command id. Any number of drivers may do this at once and stop
// anywhere.
//
// The result is that of the target, or of the source if merged is false.
func (s *Service) finishMerge(ctx context.Context, meta eventstore.Metadata, m merge) (result aggregate.Result[cart.Event], merged bool, err error) {
	parts := []string{string(m.source), string(m.target), strconv.Itoa(m.begun.Attempt)}
	take := aggregate.Request[cart.Command]{
		Stream: cart.Stream(m.target), Meta: derivedMeta(meta, unit.MergeOutcome.Of(parts...)),
		Commands: []cart.Command{cart.MergeFrom{Source: m.source, Attempt: m.begun.Attempt, Lines: m.lines, Details: m.details, Customer: m.customer}},
	}
	if m.begun.IfRevision != nil {
		take.If = aggregate.AtRevision(*m.begun.IfRevision)
	}
	result, err = s.carts.Handle(ctx, take)
	if reason := declineReason(err); reason != "" {
		take.If = nil
		take.Commands = []cart.Command{cart.DeclineMerge{Source: m.source, Attempt: m.begun.Attempt, Reason: reason}}
		result, err = s.carts.Handle(ctx, take)
	}
	if err != nil {
		return result, false, err
	}
	outcome, err := s.mergeOutcome(ctx, m, result)
	if err != nil {
		return result, false, err
	}
	declined, no := outcome.(cart.MergeDeclined)
	if !no {
		return result, true, nil
	}
	result, err = s.carts.Handle(ctx, aggregate.Request[cart.Command]{
		Stream: cart.Stream(m.source), Meta: derivedMeta(meta, unit.MergeRefuse.Of(parts...)),
		Commands: []cart.Command{cart.RefuseMerge{Attempt: m.begun.Attempt, Reason: declined.Reason}},
	})
	return result, false, err
}

// declineReason returns the code of the problem for which the target does not take the lines. It is
// empty if the error has another cause, for example a log that cannot be reached.
func declineReason(err error) string {
	if refusal, no := errors.AsType[*rule.Rejection](err); no {
		return refusal.Code
	}
	if _, stale := errors.AsType[*aggregate.StaleError](err); stale {
		return "revision-stale"
	}
	if _, large := errors.AsType[*eventstore.TooLargeError](err); large {
		return "append-too-large"
	}
	return ""
}

// mergeOutcome is the outcome that the target has recorded, by this call or earlier.
func (s *Service) mergeOutcome(ctx context.Context, m merge, result aggregate.Result[cart.Event]) (cart.Event, error) {
	if len(result.Events) > 0 {
		return result.Events[0], nil
	}
	stream := cart.Stream(m.target)
	for recorded, err := range s.store.ReadStreamBackwards(ctx, stream, result.Revision, 0) {
		if err != nil {
			return nil, fmt.Errorf("cart %s: %w", m.target, err)
		}
		event, err := ownEvent(&recorded)
		if err != nil {
			return nil, err
		}
		switch event := event.(type) { //nolint:gochecksumtype // the others are no outcomes
		case cart.MergedFrom:
			if event.Source == m.source && event.Attempt == m.begun.Attempt {
				return event, nil
			}
		case cart.MergeDeclined:
			if event.Source == m.source && event.Attempt == m.begun.Attempt {
				return event, nil
			}
		}
	}
	return nil, fmt.Errorf("cart %s: the outcome of the merge of cart %s is decided and not recorded", m.target, m.source)
}

// ownEvent is a recorded event of a cart. It is nil if another program wrote the event.
func ownEvent(recorded *eventstore.Recorded) (cart.Event, error) {
	event, err := eventstore.Decode(recorded, cart.Decode)
	if err != nil && !eventstore.IsForeign(err) {
		return nil, &aggregate.UndecodableError{Stream: recorded.Stream, Revision: recorded.Revision, Cause: err}
	}
	return event, nil
}

// namingCart says in a refusal which cart it is about.
func namingCart(id unit.CartID, err error) error {
	if errors.Is(err, cart.ErrMergeSelf) { // it is about both carts
		return err
	}
	return naming("cart", id, err)
}

// naming says in a refusal which thing it is about, in its text and as a fact such as cart_id.
func naming[ID ~string](what string, id ID, err error) error {
	refusal, is := errors.AsType[*rule.Rejection](err)
	if !is {
		return err
	}
	facts := maps.Clone(refusal.Facts)
	if facts == nil {
		facts = map[string]any{}
	}
	facts[what+"_id"] = id
	named := refusal.With(refusal.Detail+" This is about "+what+" "+string(id)+".", facts)
	if _, hidden := errors.AsType[*access.HiddenError](err); hidden {
		return access.Hide(named)
	}
	return named
}
