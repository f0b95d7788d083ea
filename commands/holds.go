package commands

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/contact"
	"daybook/domain/fulfilment"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// This file has what an order holds besides stock: uses of limited promotions, and money of gift
// cards. A hold has one life. It is taken by the drivers of the checkout, all under one command
// id, so it is taken once. It ends by what the referees say: the cart's stream, if there is no
// order, and else the order's. No hold ends by its deadline alone: at the deadline, FollowHold
// looks at the referees. So an order that is confirmed late still has its holds, and none stays
// for ever.

// Secrets makes the codes of gift cards, and the keys by which guests are counted. Whoever has the
// bytes can find out codes, so they are kept like a password. The zero value has no bytes, and then
// there are no codes, and guests are not known.
type Secrets struct{ key []byte }

// NewSecrets makes Secrets of 32 random bytes.
func NewSecrets(key []byte) Secrets { return Secrets{key} }

func (s Secrets) hash(what string, parts ...string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(what + "\x1f" + strings.Join(parts, "\x1f")))
	return mac.Sum(nil)
}

// codeAlphabet has no letters and digits that look alike or sound alike when they are read out.
var codeAlphabet = base32.NewEncoding("ABCDEFGHJKMNPQRSTVWXYZ0123456789").WithPadding(base32.NoPadding)

// codeBytes are enough that nobody finds a code by trying: 80 bits, which are 16 characters.
const codeBytes = 10

// Code is the code of a gift card, made of what the card is issued for. The same parts give the
// same code, so it need not be stored anywhere.
func (s Secrets) Code(parts ...string) string {
	text := codeAlphabet.EncodeToString(s.hash("code", parts...)[:codeBytes])
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// Card is the id of the gift card with a code, as a person has typed it. ok is false if no gift
// card can have such a code.
func (s Secrets) Card(code string) (id giftcard.ID, ok bool) {
	folded := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t':
			return -1
		case 'O', 'o':
			return '0'
		case 'I', 'i', 'L', 'l':
			return '1'
		case 'U', 'u':
			return 'V'
		}
		return r
	}, code)
	folded = strings.ToUpper(folded)
	if raw, err := codeAlphabet.DecodeString(folded); len(s.key) == 0 || err != nil || len(raw) != codeBytes {
		return "", false
	}
	return giftcard.CardID(hex.EncodeToString(s.hash("card", folded)[:20])), true
}

// emailKey is the key by which the uses of somebody with an e-mail address are counted. It is empty
// if the address is not known.
func (s Secrets) emailKey(email string) string {
	folded := contact.FoldEmail(email)
	if len(s.key) == 0 || folded == "" {
		return ""
	}
	return promotion.EmailKey(hex.EncodeToString(s.hash("email", folded)[:20]))
}

// Use is a promotion that takes something off an order.
type Use struct {
	Promotion string
	Amount    unit.Money // in all
}

// usesOf are the promotions that took something off in a quote, with what each took off in all.
func usesOf(quote pricing.Quote) (uses []Use) {
	at := map[string]int{}
	add := func(adjustments []pricing.Adjustment) {
		for _, a := range adjustments {
			if a.Version == 0 { // a person gave this discount
				continue
			}
			i, seen := at[a.Promotion]
			if !seen {
				i = len(uses)
				at[a.Promotion] = i
				uses = append(uses, Use{Promotion: a.Promotion, Amount: unit.Zero(quote.Currency)})
			}
			uses[i].Amount = uses[i].Amount.Plus(a.Amount)
		}
	}
	for _, line := range quote.Lines {
		add(line.Adjustments)
	}
	for _, charge := range quote.Charges {
		add(charge.Adjustments)
	}
	return uses
}

// buyerOf is who a checkout is for, as far as limits for each customer need it.
type buyerOf struct {
	customer unit.CustomerID
	email    string
}

// keys are the keys under which the uses of a buyer are counted: the customer, and the e-mail
// address.
func (s *Service) keys(of buyerOf) (keys []string) {
	if of.customer != "" {
		keys = append(keys, promotion.CustomerKey(of.customer))
	}
	if key := s.Secrets.emailKey(of.email); key != "" {
		keys = append(keys, key)
	}
	return keys
}

// holdsFor is what an order has to hold, so that it can use promotions and pay with gift cards.
// due is what it owes. Promotions without a limit hold nothing. Errors:
// promotion.ErrCustomerUnknown, and those of a gift card that cannot pay.
func (s *Service) holdsFor(ctx context.Context, uses []Use, cards []giftcard.ID, due unit.Money, of buyerOf) ([]cart.Hold, error) {
	var holds []cart.Hold
	for _, use := range uses {
		more, err := s.holdsOfPromotion(ctx, use, of)
		if err != nil {
			return nil, err
		}
		holds = append(holds, more...)
	}
	for i, id := range cards {
		if due.Sign() <= 0 {
			break
		}
		if containsCard(cards[:i], id) {
			continue
		}
		var amount unit.Money
		var refusal error
		err := s.giftCards.View(ctx, giftcard.Stream(id), func(state giftcard.State, _ int64) {
			amount = state.Available(s.now())
			if amount.Currency != due.Currency || amount.Sign() <= 0 {
				_, refusal = giftcard.Decide(giftcard.Hold{Amount: due, Now: s.now()}, state)
			} else if amount.Compare(due) > 0 {
				amount = due
			}
		})
		if err := errors.Join(err, refusal); err != nil {
			return nil, err
		}
		holds = append(holds, cart.Hold{Kind: cart.HoldGiftCard, ID: cart.HoldID(id), Amount: amount})
		due = due.Minus(amount)
	}
	return holds, nil
}

func containsCard(list []giftcard.ID, id giftcard.ID) bool {
	for _, one := range list {
		if one == id {
			return true
		}
	}
	return false
}

func (s *Service) holdsOfPromotion(ctx context.Context, use Use, of buyerOf) (holds []cart.Hold, err error) {
	var terms promotion.Terms
	err = s.promotions.ViewAged(ctx, promotion.Stream(use.Promotion), offerAge, func(state promotion.State, _ int64) {
		if terms = state.Terms; state.ID == "" {
			err = promotion.ErrNotFound
		}
	})
	if err != nil {
		return nil, err
	}
	add := func(kind cart.HoldKind, id string, limit int) {
		holds = append(holds, cart.Hold{Kind: kind, ID: cart.HoldID(id), Amount: use.Amount, Limit: limit, Keep: terms.KeepUseAfterCancel})
	}
	limits := terms.Limits
	if limits.Uses > 0 || len(limits.Budget) > 0 {
		add(cart.HoldPromotion, use.Promotion, 0)
	}
	if limits.UsesPerCustomer == 0 && !terms.Conditions.FirstOrder {
		return holds, nil
	}
	keys := s.keys(of)
	if len(keys) == 0 {
		return nil, promotion.ErrCustomerUnknown.With(promotion.ErrCustomerUnknown.Detail, map[string]any{"promotion_id": use.Promotion})
	}
	for _, key := range keys {
		if limits.UsesPerCustomer > 0 {
			add(cart.HoldCustomerUse, promotion.CustomerUses(use.Promotion, key), limits.UsesPerCustomer)
		}
		if terms.Conditions.FirstOrder {
			add(cart.HoldCustomerUse, promotion.FirstOrder(key), 1)
		}
	}
	return holds, nil
}

// errHoldKind means that an event names a kind of hold that this program does not know.
func errHoldKind(kind cart.HoldKind) error { return fmt.Errorf("unknown kind of hold %q", kind) }

// holder is the stream that keeps a hold.
func holder(kind cart.HoldKind, id cart.HoldID) string {
	switch kind {
	case cart.HoldPromotion:
		return promotion.Stream(string(id))
	case cart.HoldCustomerUse:
		return promotion.CustomerStream(string(id))
	case cart.HoldGiftCard:
		return giftcard.Stream(giftcard.ID(id))
	}
	return string(id)
}

// askHolder sends a command to the holder of a hold: use for promotions, pay for gift cards.
func (s *Service) askHolder(ctx context.Context, meta eventstore.Metadata, kind cart.HoldKind, id cart.HoldID, use promotion.Command, pay giftcard.Command) error {
	stream := holder(kind, id)
	switch kind {
	case cart.HoldPromotion, cart.HoldCustomerUse:
		uses := s.promotions
		if kind == cart.HoldCustomerUse {
			uses = s.customerUses
		}
		_, err := uses.Handle(ctx, aggregate.Request[promotion.Command]{Stream: stream, Meta: meta, Commands: []promotion.Command{use}})
		return err
	case cart.HoldGiftCard:
		_, err := s.giftCards.Handle(ctx, aggregate.Request[giftcard.Command]{Stream: stream, Meta: meta, Commands: []giftcard.Command{pay}})
		return err
	}
	return errHoldKind(kind)
}

// takes are the commands that take a hold of a checkout.
func (s *Service) takes(started cart.CheckoutStarted, h cart.Hold) (promotion.Command, giftcard.Command) {
	return promotion.HoldUse{OrderID: started.OrderID, CartID: started.CartID, Amount: h.Amount, ExpiresAt: started.ReserveUntil, Limit: h.Limit},
		giftcard.Hold{OrderID: started.OrderID, CartID: started.CartID, Amount: h.Amount, ExpiresAt: started.ReserveUntil, Now: s.now()}
}

// takeHolds takes holds of a checkout, and returns which of them were refused. A hold that was
// taken before counts as taken, also if it has ended since: then the checkout has its outcome.
func (s *Service) takeHolds(ctx context.Context, meta eventstore.Metadata, started cart.CheckoutStarted, holds []cart.Hold) ([]cart.HoldRefusal, error) {
	refusals := make([]error, len(holds))
	err := each(ctx, s, holds, func(ctx context.Context, i int, h cart.Hold) error {
		use, pay := s.takes(started, h)
		id := unit.HoldTake.Of(string(started.CartID), string(started.OrderID), holder(h.Kind, h.ID))
		err := s.askHolder(ctx, derivedMeta(meta, id), h.Kind, h.ID, use, pay)
		if aggregate.IsRejection(err) {
			refusals[i] = err
			return nil
		}
		return err
	})
	return holdRefusals(holds, refusals), err
}

func holdRefusals(holds []cart.Hold, refusals []error) (refused []cart.HoldRefusal) {
	for i, h := range holds {
		if no, is := errors.AsType[*rule.Rejection](refusals[i]); is {
			refused = append(refused, cart.HoldRefusal{Kind: h.Kind, ID: h.ID, Reason: no.Code})
		}
	}
	return refused
}

// tryHolds tells which holds of a checkout would be refused now. It records nothing.
func (s *Service) tryHolds(ctx context.Context, started cart.CheckoutStarted) ([]cart.HoldRefusal, error) {
	refusals := make([]error, len(started.Holds))
	for i, h := range started.Holds {
		use, pay := s.takes(started, h)
		stream := holder(h.Kind, h.ID)
		var err error
		switch h.Kind {
		case cart.HoldPromotion:
			err = s.promotions.View(ctx, stream, func(state promotion.State, _ int64) { _, refusals[i] = promotion.Decide(use, state) })
		case cart.HoldCustomerUse:
			err = s.customerUses.View(ctx, stream, func(state promotion.State, _ int64) { _, refusals[i] = promotion.Decide(use, state) })
		case cart.HoldGiftCard:
			err = s.giftCards.View(ctx, stream, func(state giftcard.State, _ int64) { _, refusals[i] = giftcard.Decide(pay, state) })
		default:
			err = errHoldKind(h.Kind)
		}
		if err != nil {
			return nil, err
		}
	}
	return holdRefusals(started.Holds, refusals), nil
}

// releaseHold gives a hold back that no order has: its checkout was refused.
func (s *Service) releaseHold(ctx context.Context, meta eventstore.Metadata, cartID unit.CartID, orderID unit.OrderID, kind cart.HoldKind, id cart.HoldID) error {
	release := unit.HoldRelease.Of(string(cartID), string(orderID), holder(kind, id))
	return s.askHolder(ctx, derivedMeta(meta, release), kind, id,
		promotion.ReleaseUse{OrderID: orderID, Reason: promotion.NotPlaced}, giftcard.Release{OrderID: orderID, Reason: giftcard.NotPlaced})
}

// moveHolds carries out what an order asks of its holds.
func (s *Service) moveHolds(ctx context.Context, meta eventstore.Metadata, process fulfilment.Process, of order.State) error {
	for _, m := range process.Holds() {
		stream := holder(m.Kind, m.ID)
		id := unit.HoldRelease.Of(string(of.CartID), string(of.OrderID), stream)
		var use promotion.Command
		var pay giftcard.Command
		switch m.Action {
		case order.HoldCommit:
			id = unit.HoldCommit.Of(string(of.OrderID), stream)
			use, pay = promotion.CommitUse{OrderID: of.OrderID}, giftcard.Redeem{OrderID: of.OrderID, Amount: m.Amount}
		case order.HoldRelease:
			use, pay = promotion.ReleaseUse{OrderID: of.OrderID, Reason: promotion.Canceled}, giftcard.Release{OrderID: of.OrderID, Reason: giftcard.Canceled}
		case order.HoldExpire:
			use, pay = promotion.ReleaseUse{OrderID: of.OrderID, Expired: true}, giftcard.Release{OrderID: of.OrderID, Reason: giftcard.OrderExpired}
		case order.HoldReturn:
			id = unit.HoldReturn.Of(string(of.OrderID), stream)
			use = promotion.ReleaseUse{OrderID: of.OrderID, Reason: promotion.Canceled, Committed: true, Amount: m.Amount}
		}
		if err := s.askHolder(ctx, derivedMeta(meta, id), m.Kind, m.ID, use, pay); err != nil {
			return fmt.Errorf("%s of order %s at %s: %w", m.Action, of.OrderID, stream, err)
		}
	}
	return nil
}

// holdPatience is how long after its deadline a hold is looked at. Usually the order has ended by
// then, and the hold with it.
const holdPatience = time.Minute

// FollowHold looks at a hold whose deadline has passed, and lets it follow the cart and the order
// that it is for. postponed is when to look again; it is zero if the hold has ended.
func (s *Service) FollowHold(ctx context.Context, meta eventstore.Metadata, stream string, orderID unit.OrderID, now time.Time) (postponed time.Time, err error) {
	meta = by(theTimer, meta)
	kind, id, err := parseHolder(stream)
	if err != nil {
		return time.Time{}, err
	}
	cartID, held, err := s.heldFor(ctx, kind, stream, orderID)
	if err != nil || !held {
		return time.Time{}, err
	}
	past, err := s.readCheckout(ctx, cartID, orderID)
	if err != nil {
		return time.Time{}, err
	}
	// It finishes a checkout whose driver was cut off. If it has ended, that changes nothing.
	if past.outcome == nil {
		if err := s.FinishCheckout(ctx, cartID, orderID); err != nil {
			return time.Time{}, err
		}
	}
	var status order.Status
	var due time.Time
	err = s.orders.View(ctx, order.Stream(orderID), func(state order.State, _ int64) {
		if state.CartID == cartID {
			status, due = state.Status, state.ConfirmBy
		}
	})
	if err != nil {
		return time.Time{}, err
	}
	switch status {
	case "":
		return time.Time{}, s.releaseHold(ctx, meta, cartID, orderID, kind, id)
	case order.StatusPending:
		if due.Before(now) {
			due = now
		}
		return due.Add(holdPatience), nil
	case order.StatusConfirmed, order.StatusCompleted, order.StatusCanceled, order.StatusExpired:
	}
	if err := s.FinishOrder(ctx, meta, orderID); err != nil {
		return time.Time{}, err
	}
	if _, held, err = s.heldFor(ctx, kind, stream, orderID); err != nil || !held {
		return time.Time{}, err
	}
	return now.Add(holdPatience), nil
}

// heldFor tells whether a holder holds something for an order, and for which cart.
func (s *Service) heldFor(ctx context.Context, kind cart.HoldKind, stream string, id unit.OrderID) (cartID unit.CartID, held bool, err error) {
	uses := func(state promotion.State, _ int64) {
		var h promotion.Hold
		h, held = state.Held[id]
		cartID = h.CartID
	}
	switch kind {
	case cart.HoldPromotion:
		err = s.promotions.View(ctx, stream, uses)
	case cart.HoldCustomerUse:
		err = s.customerUses.View(ctx, stream, uses)
	case cart.HoldGiftCard:
		err = s.giftCards.View(ctx, stream, func(state giftcard.State, _ int64) {
			var h giftcard.HeldFor
			h, held = state.Held[id]
			cartID = h.CartID
		})
	}
	return cartID, held, err
}

// parseHolder is the reverse of holder.
func parseHolder(stream string) (cart.HoldKind, cart.HoldID, error) {
	for _, kind := range []cart.HoldKind{cart.HoldPromotion, cart.HoldCustomerUse, cart.HoldGiftCard} {
		if id, is := strings.CutPrefix(stream, holder(kind, "")); is && id != "" {
			return kind, cart.HoldID(id), nil
		}
	}
	return "", "", fmt.Errorf("stream %q holds nothing for orders", stream)
}
