package commands

import (
	"fmt"
	"time"

	"daybook/domain/access"
	"daybook/domain/stock"
	"daybook/domain/unit"
)

// TimeError means that a call gives a time that is out of bounds. Nothing was
// recorded.
type TimeError struct {
	What  string // "occurred_at", when it took effect, or "expires_at", a deadline
	Cause error  // says what the bounds are
}

func (e *TimeError) Error() string { return fmt.Sprintf("%s: %v", e.What, e.Cause) }
func (e *TimeError) Unwrap() error { return e.Cause }

// TimeBounds are the bounds of the effective times that calls may give.
func (s *Service) TimeBounds() unit.TimeBounds {
	if s.policy.Times == (unit.TimeBounds{}) {
		return unit.DefaultTimeBounds()
	}
	return s.policy.Times
}

// admit refuses a call of nobody, a call whose events would not name its sender, a call that uses
// none of these permissions or one that its sender lacks, a call whose effective time is out of
// bounds, and a call on a channel that its sender may not record. Each method that takes a call
// from outside begins with it. The reactor's calls are not checked: a process in the log must end,
// even if an older program recorded a time that is out of bounds now.
func (s *Service) admit(call Call, of ...access.Permission) error {
	if call.Who.IsZero() {
		return ErrNobody
	}
	if err := call.checkActor(); err != nil {
		return err
	}
	if err := call.checkPermission(of); err != nil {
		return err
	}
	if err := call.Who.Scope.ReachesChannel(call.Meta.Channel); err != nil {
		return err
	}
	if call.Meta.OccurredAt.IsZero() {
		return nil
	}
	if err := s.TimeBounds().Check(call.Meta.OccurredAt, s.now()); err != nil {
		return &TimeError{What: "occurred_at", Cause: err}
	}
	return nil
}

// admitDeadline refuses a deadline that is too far away. It does not refuse a deadline that
// has passed, because the rules do that.
func (s *Service) admitDeadline(at time.Time) error {
	if latest := s.now().Add(unit.MaxReservation); at.After(latest) {
		return &TimeError{What: "expires_at", Cause: fmt.Errorf("%s is too far away: want a time up to %s, which is %s from now",
			at.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339), unit.MaxReservation)}
	}
	return nil
}

// admitDeadlines refuses commands with a deadline that is too far away.
func (s *Service) admitDeadlines(commands []stock.Command) error {
	for _, command := range commands {
		var at time.Time
		switch command := command.(type) { //nolint:gochecksumtype // the others have no deadline
		case stock.Reserve:
			at = command.ExpiresAt
		case stock.Extend:
			at = command.ExpiresAt
		}
		if err := s.admitDeadline(at); err != nil {
			return err
		}
	}
	return nil
}
