package live

import (
	"context"
	"errors"
	"time"

	"daybook/domain/money/giftcard"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/resource"
	"daybook/projections"
	"daybook/projections/query"
)

// giftCardPage is how many events of a gift card are read at once.
const giftCardPage = 1000

// GiftCard implements readapi.History. It leaves out events of other programs, and those that
// cannot be read.
func (h History) GiftCard(ctx context.Context, id string, now time.Time) (resource.GiftCard, error) {
	if _, err := unit.ParseCode(id); err != nil {
		return resource.GiftCard{}, query.ErrNotFound
	}
	var state giftcard.State
	var entries []resource.GiftCardEntry
	revision, stream := int64(-1), giftcard.Stream(giftcard.ID(id))
	for next, more := int64(0), true; more; {
		page, err := projections.ReadRevisions(ctx, h.log(), stream, next, giftCardPage)
		if _, deleted := errors.AsType[*eventstore.DeletedError](err); deleted {
			return resource.GiftCard{}, query.ErrNotFound
		}
		if err != nil {
			return resource.GiftCard{}, err
		}
		next, more = next+int64(len(page)), len(page) == giftCardPage
		for _, recorded := range page {
			event, err := eventstore.Decode(&recorded, giftcard.Decode)
			if err != nil {
				continue
			}
			if state = giftcard.Evolve(state, event); !state.Exists() {
				continue
			}
			meta, _ := eventstore.DecodeMetadata(recorded.Meta) // without metadata, it took effect when it was recorded
			entry := resource.GiftCardEntryOf(event, state)
			if entry.At = meta.OccurredAt; entry.At.IsZero() {
				entry.At = recorded.RecordedAt
			}
			revision, entries = recorded.Revision, append(entries, entry)
		}
		entries = entries[max(0, len(entries)-resource.MaxGiftCardEntries):]
	}
	if !state.Exists() {
		return resource.GiftCard{}, query.ErrNotFound
	}
	card := resource.GiftCardOf(state, revision, now)
	card.Entries = entries
	return card, nil
}
