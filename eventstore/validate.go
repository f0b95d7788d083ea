package eventstore

import (
	"fmt"

	"github.com/google/uuid"
)

// CheckAppend enforces what every engine enforces before it sends anything: the
// limits and the shape of an append. Engines call it first, so all of them
// refuse the same requests with the same errors.
func CheckAppend(stream string, expected Expected, events []Event) error {
	switch {
	case stream == "":
		return &InvalidError{Reason: "empty stream name"}
	case len(stream) > MaxStreamName:
		return &TooLargeError{What: "stream name bytes", Size: len(stream), Limit: MaxStreamName}
	case expected < NoStream && expected != Any && expected != StreamExists:
		return &InvalidError{Reason: fmt.Sprintf("expected revision %d", expected)}
	case len(events) == 0:
		return &InvalidError{Reason: "no events"}
	case len(events) > MaxAppendEvents:
		return &TooLargeError{What: "events", Size: len(events), Limit: MaxAppendEvents}
	}
	size := 0
	seen := make(map[uuid.UUID]struct{}, len(events))
	for i, e := range events {
		switch {
		case e.ID == uuid.Nil:
			return &InvalidError{Reason: fmt.Sprintf("event %d has no id", i)}
		case e.Type == "":
			return &InvalidError{Reason: fmt.Sprintf("event %d has no type", i)}
		case len(e.Type) > MaxTypeName:
			return &TooLargeError{What: "type name bytes", Size: len(e.Type), Limit: MaxTypeName}
		}
		if _, twice := seen[e.ID]; twice {
			return &InvalidError{Reason: fmt.Sprintf("event id %s occurs twice", e.ID)}
		}
		seen[e.ID] = struct{}{}
		size += e.Size()
	}
	if size > MaxAppendBytes {
		return &TooLargeError{What: "bytes", Size: size, Limit: MaxAppendBytes}
	}
	return nil
}
