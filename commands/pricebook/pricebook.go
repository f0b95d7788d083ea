// Package pricebook knows the rules of prices: price lists, promotions with their codes, shipping
// methods and legal entities with their taxes. Each node has one Book. It reads all definitions
// when it starts, and follows their streams from then on. So a price that was changed on one node
// counts on all nodes within milliseconds, and no cart that is priced asks a database.
//
// It does not price anything (package pricing does), and it changes no definition.
package pricebook

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"daybook/domain/money/coupon"
	"daybook/domain/money/entity"
	"daybook/domain/money/pricelist"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/money/shipping"
	"daybook/eventstore"
	"daybook/internal/pause"
)

// Book knows all definitions. Its methods may be called by several goroutines.
type Book struct {
	store  eventstore.Store
	logger *slog.Logger

	// mu protects the definitions as they are folded. Readers do not take it: they read the
	// edition.
	mu       sync.Mutex
	lists    *kind[pricelist.State, pricelist.Event]
	methods  *kind[shipping.State, shipping.Event]
	entities *kind[entity.State, entity.Event]

	promotions *kind[promotion.State, promotion.Event]
	coupons    *kind[coupon.State, coupon.Event]

	at      eventstore.Position // everything up to here was folded
	trouble error               // why this node does not hear of changes; nil: it does

	publishing sync.Mutex // one goroutine publishes at a time
	current    atomic.Pointer[Edition]
	folded     chan struct{} // holds a value if something was folded that is not published yet
}

// Edition is all that a Book knew at one moment. It never changes.
type Edition struct {
	Rules    *pricing.Rules
	Position eventstore.Position // everything up to here is in it
	// The definitions, sorted by id. Those that have ended are in the lists, too, and not in the
	// rules.
	Lists    []Definition[pricelist.State]
	Methods  []Definition[shipping.State]
	Entities []Definition[entity.State]

	Promotions []Definition[promotion.State]
	// Codes are the codes of coupons of each promotion, sorted.
	Codes map[string][]string

	classes map[string]bool // the tax classes of all entities
	changed chan struct{}   // closed when there is a later edition
}

// New makes a Book over a log. Open reads the definitions, and Run follows them. Before that, the
// book is empty.
func New(store eventstore.Store, logger *slog.Logger) *Book {
	b := &Book{
		store: store, logger: logger, folded: make(chan struct{}, 1),
		lists: newKind(pricelist.Category, pricelist.Decode, pricelist.Evolve, pricelist.State.Clone),
		// The states of methods and entities are never changed in place.
		methods:  newKind(shipping.Category, shipping.Decode, shipping.Evolve, func(s shipping.State) shipping.State { return s }),
		entities: newKind(entity.Category, entity.Decode, entity.Evolve, func(s entity.State) entity.State { return s }),
	}
	b.promotions = newKind(promotion.Category, promotion.Decode, promotion.Evolve, promotion.State.Clone)
	b.promotions.quiet = usesOnly
	b.coupons = newKind(coupon.Category, coupon.Decode, coupon.Evolve, func(s coupon.State) coupon.State { return s })
	b.current.Store(&Edition{Rules: pricing.Compile(pricing.Book{}), classes: map[string]bool{}, changed: make(chan struct{})})
	return b
}

// definitions are the kinds of streams that a book follows.
func (b *Book) definitions() []definitions {
	return []definitions{b.lists, b.methods, b.entities, b.promotions, b.coupons}
}

func (b *Book) filter() (f eventstore.Filter) {
	for _, kind := range b.definitions() {
		f.StreamPrefixes = append(f.StreamPrefixes, kind.prefix())
	}
	return f
}

// Open reads all definitions that are recorded so far. The error is that of the log.
func (b *Book) Open(ctx context.Context) error {
	head, err := b.store.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the definitions of prices: %w", err)
	}
	for recorded, err := range b.store.ReadAll(ctx, b.folding(), b.filter(), 0) {
		if err != nil {
			return fmt.Errorf("read the definitions of prices: %w", err)
		}
		if err := b.fold(&recorded); err != nil {
			return err
		}
	}
	b.reached(head)
	b.publish()
	return nil
}

// folding is the position up to which everything was folded.
func (b *Book) folding() eventstore.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// fold adds an event, unless it was added before.
func (b *Book) fold(recorded *eventstore.Recorded) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, kind := range b.definitions() {
		if id, is := strings.CutPrefix(recorded.Stream, kind.prefix()); is {
			if err := kind.fold(id, recorded); err != nil {
				return fmt.Errorf("read the definitions of prices: %s, event %d: %w", recorded.Stream, recorded.Revision, err)
			}
		}
	}
	if b.at.Before(recorded.Position) {
		b.at = recorded.Position
	}
	return nil
}

// reached notes that everything up to a position was folded.
func (b *Book) reached(position eventstore.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.Before(position) {
		b.at = position
	}
}

// publish makes an edition of what was folded.
func (b *Book) publish() {
	b.publishing.Lock()
	defer b.publishing.Unlock()
	before := b.current.Load()
	next := &Edition{Rules: before.Rules, Codes: before.Codes, classes: before.classes, changed: make(chan struct{})}
	b.mu.Lock()
	changed := false
	for _, kind := range b.definitions() {
		changed = kind.freeze() || changed
	}
	next.Position, next.Lists, next.Methods, next.Entities = b.at, b.lists.all, b.methods.all, b.entities.all
	next.Promotions = b.promotions.all
	coupons := b.coupons.all
	b.mu.Unlock()
	if changed {
		next.compile(coupons)
	}
	b.current.Store(next)
	close(before.changed)
}

// usesOnly tells whether an event is about the uses of a promotion, and not about what it does.
// Such events are frequent, and prices do not depend on them.
func usesOnly(e promotion.Event) bool {
	switch e.(type) {
	case promotion.UseHeld, promotion.UseCommitted, promotion.UseReleased, promotion.UseExpired:
		return true
	case promotion.Created, promotion.Changed, promotion.Activated, promotion.Deactivated, promotion.Ended, promotion.CodesRequested:
	}
	return false
}

// compile makes the rules of the definitions that have not ended.
func (e *Edition) compile(coupons []Definition[coupon.State]) {
	var book pricing.Book
	e.Codes = map[string][]string{}
	for _, code := range coupons {
		if of := code.State.Promotion; of != "" {
			e.Codes[of] = append(e.Codes[of], code.State.Code)
		}
	}
	for _, codes := range e.Codes {
		slices.Sort(codes)
	}
	for _, promo := range e.Promotions {
		if promo.State.Exists() {
			book.Promotions = append(book.Promotions, promo.State.Promotion(e.Codes[promo.State.ID]))
		}
	}
	for _, list := range e.Lists {
		if list.State.Exists() {
			book.Lists = append(book.Lists, list.State.List())
		}
	}
	for _, method := range e.Methods {
		if method.State.Exists() {
			book.Methods = append(book.Methods, method.State.Method())
		}
	}
	e.classes = make(map[string]bool)
	for _, seller := range e.Entities {
		if seller.State.Exists() {
			book.Entities = append(book.Entities, seller.State.Entity())
		}
		for _, row := range seller.State.Rows {
			e.classes[row.Class] = e.classes[row.Class] || seller.State.Exists()
		}
	}
	e.Rules = pricing.Compile(book)
}

// Run follows the definitions until ctx ends. While the log does not answer, the node uses the
// rules that it read last.
func (b *Book) Run(ctx context.Context) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { b.publishAll(ctx) })
	for ctx.Err() == nil {
		if err := b.follow(ctx); err != nil && ctx.Err() == nil {
			b.setTrouble(err)
			b.logger.Warn("the definitions of prices cannot be followed; changes are not noticed", "error", err)
		}
		pause.For(ctx, time.Second)
	}
	return ctx.Err()
}

// publishAll publishes what follow folds. Events that arrive while it works are published together.
func (b *Book) publishAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.folded:
			b.publish()
		}
	}
}

func (b *Book) follow(ctx context.Context) error {
	if err := b.Open(ctx); err != nil {
		return err
	}
	b.setTrouble(nil)
	for item, err := range b.store.Subscribe(ctx, b.folding(), b.filter()) {
		if err != nil {
			return err
		}
		if item.Event != nil {
			if err := b.fold(item.Event); err != nil {
				return err
			}
		} else {
			b.reached(item.Checkpoint)
		}
		select {
		case b.folded <- struct{}{}:
		default:
		}
	}
	return nil
}

func (b *Book) setTrouble(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = err
}

// Trouble says why this node does not hear of changes of prices at present, for example because the
// log is away or has an event of a newer program. It is nil if the node hears of them.
func (b *Book) Trouble() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// Edition is what the book knows now.
func (b *Book) Edition() *Edition { return b.current.Load() }

// Rules implements commands.Prices.
func (b *Book) Rules() *pricing.Rules { return b.current.Load().Rules }

// askAfter is how long Has waits for the subscription before it asks the log. A subscription of
// KurrentDB does not tell at once that it has passed events of other kinds.
const askAfter = 50 * time.Millisecond

// Has implements commands.Prices. Its errors are those of ctx and of the log.
func (b *Book) Has(ctx context.Context, position eventstore.Position) error {
	var ask <-chan time.Time
	for {
		edition := b.current.Load()
		if !edition.Position.Before(position) {
			return nil
		}
		if ask == nil {
			timer := time.NewTimer(askAfter)
			defer timer.Stop()
			ask = timer.C
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-edition.changed:
		case <-ask:
			if err := b.Open(ctx); err != nil {
				return err
			}
		}
	}
}

// KnowsTaxClass implements commands.Prices.
func (b *Book) KnowsTaxClass(class string) bool {
	edition := b.current.Load()
	return len(edition.classes) == 0 || edition.classes[class]
}
