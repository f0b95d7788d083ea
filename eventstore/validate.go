package eventstore

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// CheckAppend checks the limits and the form of an append, before an engine sends anything.
// Every engine calls it first, so all engines refuse the same requests with the same errors.
func CheckAppend(stream string, expected Expected, events []Event) error {
	switch {
	case stream == "":
		return &InvalidError{Reason: "empty stream name"}
	case StreamNameBytes(stream) > MaxStreamName:
		return &TooLargeError{What: "stream name bytes", Size: StreamNameBytes(stream), Limit: MaxStreamName}
	case expected < NoStream && expected != Any && expected != StreamExists:
		return &InvalidError{Reason: fmt.Sprintf("no stream can be at %s", expected)}
	case len(events) == 0:
		return &InvalidError{Reason: "no events"}
	case len(events) > MaxAppendEvents:
		return &TooLargeError{What: "events", Size: len(events), Limit: MaxAppendEvents}
	}
	if err := CheckName("stream name", stream); err != nil {
		return err
	}
	size := 0
	for i := range events {
		if err := checkEvent(i, &events[i]); err != nil {
			return err
		}
		if events[i].Type == TombstoneType && i < len(events)-1 {
			return &InvalidError{Reason: fmt.Sprintf("event %d ends the stream, but other events follow it", i)}
		}
		size += events[i].Size()
	}
	if size > MaxAppendBytes {
		return &TooLargeError{What: "bytes", Size: size, Limit: MaxAppendBytes}
	}
	return checkIDs(events)
}

func checkEvent(i int, e *Event) error {
	switch {
	case e.ID == uuid.Nil:
		return &InvalidError{Reason: fmt.Sprintf("event %d has no id", i)}
	case e.Type == "":
		return &InvalidError{Reason: fmt.Sprintf("event %d has no type", i)}
	case len(e.Type) > MaxTypeName:
		return &TooLargeError{What: "type name bytes", Size: len(e.Type), Limit: MaxTypeName}
	case len(e.Data)+len(e.Meta) > MaxAppendBytes: // before the bytes are parsed
		return &TooLargeError{What: "bytes", Size: e.Size(), Limit: MaxAppendBytes}
	case !isObject(e.Data):
		return &InvalidError{Reason: fmt.Sprintf("data of event %d is not a JSON object", i)}
	case len(e.Meta) > 0 && !isObject(e.Meta):
		return &InvalidError{Reason: fmt.Sprintf("metadata of event %d is not a JSON object", i)}
	}
	if isPrintableASCII(e.Type) {
		// CheckName would find no fault. But the call would format a text for each event, which
		// costs time.
		return nil
	}
	return CheckName(fmt.Sprintf("type name of event %d", i), e.Type)
}

func checkIDs(events []Event) error {
	if len(events) == 1 {
		return nil
	}
	seen := make(map[uuid.UUID]struct{}, len(events))
	for i := range events {
		if _, twice := seen[events[i].ID]; twice && LogWide(events[i].ID) {
			return &InvalidError{Reason: fmt.Sprintf("event id %s occurs twice", events[i].ID)}
		}
		seen[events[i].ID] = struct{}{}
	}
	return nil
}

// isObject tells whether data is one JSON object in valid UTF-8. A member name may occur
// twice, because the log stores bytes, and decoders decide what they mean.
func isObject(data []byte) bool {
	start := bytes.TrimLeft(data, " \t\r\n")
	return len(start) > 0 && start[0] == '{' &&
		jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true))
}
