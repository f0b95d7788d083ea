package main

import (
	"strings"

	"daybook/eventstore/sealing"
	"daybook/internal/personal"
)

// personalFields returns the fields of an event type that are sealed: personal texts that no rule
// compares.
func personalFields(eventType string) (fields []sealing.Field) {
	for _, text := range personal.Of(eventType) {
		if text.Class == personal.Written && !text.Compared {
			fields = append(fields, sealing.Field(strings.ReplaceAll(strings.Join(text.Path, "."), personal.Each, "*")))
		}
	}
	return fields
}
