// Package verify proves the books: it folds every stream of the log again,
// checks what must hold of each aggregate and between them, and compares every
// read model with the fold. It changes nothing and trusts nothing but the log.
//
// Quantities are added up here by code of their own, not by the folds that
// decide, so that a mistake in one does not hide in the other. Mending what is
// found is not its business.
package verify

import (
	"context"
	"fmt"
	"time"

	"daybook/eventstore"
)

// Check is one thing that was verified.
type Check struct {
	Name     string `json:"name"`
	Examined int64  `json:"examined"`
	// Differences counts what was off; First holds the first few, in words.
	Differences int64    `json:"differences"`
	First       []string `json:"first,omitempty"`
}

// maxFirst bounds how many differences of a check are kept in words.
const maxFirst = 10

func (c *Check) differ(format string, args ...any) {
	c.Differences++
	if len(c.First) < maxFirst {
		c.First = append(c.First, fmt.Sprintf(format, args...))
	}
}

// expect counts one thing examined, and a difference unless got is want.
func expect[T comparable](c *Check, got, want T, what string, args ...any) {
	c.Examined++
	if got != want {
		c.differ("%s: %v, want %v", fmt.Sprintf(what, args...), got, want)
	}
}

// Report is the outcome of a verification.
type Report struct {
	Position    eventstore.Position `json:"position"` // of the log, up to which it was verified
	Events      int64               `json:"events"`
	Streams     int                 `json:"streams"`
	Checks      []*Check            `json:"checks"`
	Differences int64               `json:"differences"`
	Seconds     float64             `json:"seconds"`
}

func (r *Report) add(checks ...*Check) {
	for _, c := range checks {
		r.Checks = append(r.Checks, c)
		r.Differences += c.Differences
	}
}

// Log folds the log up to its present head and checks it by itself. now is the
// time at which deadlines are judged.
func Log(ctx context.Context, store eventstore.Store, now time.Time, progress func(events int64)) (*Book, *Report, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("verify: %w", err)
	}
	book := newBook(now)
	for recorded, err := range store.ReadAll(ctx, eventstore.Start, eventstore.Filter{}, 0) {
		if err != nil {
			return nil, nil, fmt.Errorf("verify: read the log: %w", err)
		}
		if head.Before(recorded.Position) {
			break // written since
		}
		if err := book.read(recorded); err != nil {
			return nil, nil, fmt.Errorf("verify: stream %s, revision %d: %w", recorded.Stream, recorded.Revision, err)
		}
		if progress != nil && book.events%10_000 == 0 {
			progress(book.events)
		}
	}
	book.Position = head
	report := &Report{Position: head, Events: book.events, Streams: len(book.revisions)}
	report.add(book.order, book.promises, book.once)
	report.add(book.checkStock(), book.checkOrders(), book.checkHolds(), book.checkCarts(), book.checkReturns())
	return book, report, nil
}
