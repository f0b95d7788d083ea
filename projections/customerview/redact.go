package customerview

import (
	"context"
	"strings"

	"daybook/domain/customer"
	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/projections"
)

func decode(eventType string, data []byte) (any, error) {
	if strings.HasPrefix(eventType, subject.Category+".") {
		return subject.Decode(eventType, data)
	}
	return customer.Decode(eventType, data)
}

// redact folds the accounts of erased customers again from the log, which has no clear text of them
// any more.
func redact(ctx context.Context, tx *projections.Tx, erasures []subject.Erased, records map[string]*record) error {
	for _, id := range subject.Collect(erasures).Customers() {
		r := records[string(id)]
		if r == nil || !r.known {
			continue
		}
		if err := r.foldAgain(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

// foldAgain folds an account as the log shows its events now.
func (r *record) foldAgain(ctx context.Context, tx *projections.Tx, id unit.CustomerID) error {
	again := &record{id: r.id}
	for e, err := range tx.ReadAgain(ctx, customer.Stream(id)) {
		if err != nil {
			return err
		}
		event, is := e.Value.(customer.Event)
		if _, registers := event.(customer.Registered); is && e.Follows(registers, again.known) {
			again.apply(&e, event, registers)
		}
	}
	r.fold, r.changed = again.fold, true
	r.changedAt, r.recordedAt, r.revision = again.changedAt, again.recordedAt, again.revision
	return nil
}
