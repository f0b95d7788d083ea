package live

import (
	"context"
	"errors"
	"slices"
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/resource"
	"daybook/projections/query"
)

// GiftCard implements readapi.History. It leaves out events of other programs, and those that
// cannot be read.
func (h History) GiftCard(ctx context.Context, id string, now time.Time) (resource.GiftCard, error) {
	if _, err := unit.ParseCode(id); err != nil {
		return resource.GiftCard{}, query.ErrNotFound
	}
	var state giftcard.State
	var entries []resource.GiftCardEntry
	revision, stream := int64(-1), giftcard.Stream(giftcard.ID(id))
	for recorded, err := range h.log().ReadStream(ctx, stream, 0, 0) {
		_, deleted := errors.AsType[*eventstore.DeletedError](err)
		if _, none := errors.AsType[*eventstore.NotFoundError](err); none || deleted {
			return resource.GiftCard{}, query.ErrNotFound
		}
		if err != nil {
			return resource.GiftCard{}, err
		}
		event, err := eventstore.Decode(&recorded, giftcard.Decode)
		if err != nil {
			continue
		}
		if state = giftcard.Evolve(state, event); !state.Exists() {
			continue
		}
		meta, _ := eventstore.DecodeMetadata(recorded.Meta) // without it, the event took effect when it was recorded
		entry := resource.GiftCardEntryOf(event, state)
		if entry.At = meta.OccurredAt; entry.At.IsZero() {
			entry.At = recorded.RecordedAt
		}
		revision, entries = recorded.Revision, append(entries, entry)
		if len(entries) > 2*resource.MaxGiftCardEntries {
			entries = slices.Delete(entries, 0, len(entries)-resource.MaxGiftCardEntries)
		}
	}
	if !state.Exists() {
		return resource.GiftCard{}, query.ErrNotFound
	}
	card := resource.GiftCardOf(state, revision, now)
	card.Entries = entries[max(0, len(entries)-resource.MaxGiftCardEntries):]
	return card, nil
}
