package commands

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/coupon"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/promotion"
	"daybook/domain/order"
	"daybook/domain/unit"
	"daybook/eventstore"
)

// Promotion carries out commands on a promotion, all or none.
func (s *Service) Promotion(ctx context.Context, call Call, id string, commands ...promotion.Command) (aggregate.Result[promotion.Event], error) {
	if err := cmp.Or(refuseSteps(commands), s.admit(call, access.WritePromotions)); err != nil {
		return aggregate.Result[promotion.Event]{}, err
	}
	return s.promotions.Handle(ctx, request(call, promotion.Stream(id), commands))
}

// ViewPromotion calls read with the state of a promotion; see ViewProduct.
func (s *Service) ViewPromotion(ctx context.Context, id string, read func(promotion.State, int64)) error {
	return s.promotions.View(ctx, promotion.Stream(id), read)
}

// ViewCoupon calls read with whose a code is; see ViewProduct. The code is in the form of
// coupon.Fold.
func (s *Service) ViewCoupon(ctx context.Context, code string, read func(coupon.State, int64)) error {
	return s.coupons.View(ctx, coupon.Stream(code), read)
}

// CodesResult tells what a request about codes did.
type CodesResult struct {
	Events   []coupon.Event // of the codes; none: all were as the request wants them
	Revision int64          // of the promotion
	Position eventstore.Position
	// Replayed means that a request with the same command id was carried out before.
	Replayed bool
}

// GiveCodes gives codes to a promotion. The codes are in the form of coupon.Fold. Each code is
// given by itself, because each has its own referee. All are looked at first: so if one is taken,
// none is given. If another promotion takes one at the same moment, the codes before it are given.
// A repetition goes on.
//
// Errors: promotion.ErrNotFound, promotion.ErrEnded, coupon.ErrInvalid, coupon.ErrTaken, and those
// of aggregate.Handler.Handle for the stream of the promotion.
func (s *Service) GiveCodes(ctx context.Context, call Call, id string, codes []string) (CodesResult, error) {
	if err := s.admit(call, access.WritePromotions); err != nil {
		return CodesResult{}, err
	}
	wanted := make([]coupon.Command, len(codes))
	for i, code := range codes {
		give := coupon.Give{Code: code, Promotion: id}
		var has string
		if err := s.ViewCoupon(ctx, code, func(state coupon.State, _ int64) { has = state.Promotion }); err != nil {
			return CodesResult{}, err
		}
		if has != "" && has != id && errors.Is(s.hasPromotion(ctx, has), promotion.ErrEnded) {
			give.Ended = has
		}
		wanted[i] = give
	}
	return s.changeCodes(ctx, call, id, promotion.RequestCodes{Codes: codes}, wanted)
}

// WithdrawCodes takes codes back from a promotion. A code that the promotion does not have stays
// as it is. Errors: promotion.ErrNotFound, and those of aggregate.Handler.Handle for the stream of
// the promotion.
func (s *Service) WithdrawCodes(ctx context.Context, call Call, id string, codes []string) (CodesResult, error) {
	if err := s.admit(call, access.WritePromotions); err != nil {
		return CodesResult{}, err
	}
	wanted := make([]coupon.Command, len(codes))
	for i, code := range codes {
		wanted[i] = coupon.Withdraw{Code: code, Promotion: id}
	}
	return s.changeCodes(ctx, call, id, promotion.RequestCodes{Codes: codes, Withdraw: true}, wanted)
}

// changeCodes records the request in the stream of the promotion, and then sends the commands to
// the codes. So a precondition of the request is about the promotion, and the promotion knows the
// command id of the whole request. A request that would change nothing is not recorded.
func (s *Service) changeCodes(ctx context.Context, call Call, id string, asked promotion.RequestCodes, wanted []coupon.Command) (CodesResult, error) {
	// Of two equal requests at the same moment, the second changes nothing. On two nodes, both may
	// be recorded; then no code is given twice all the same.
	s.changingCodes.Lock()
	defer s.changingCodes.Unlock()
	ask := request(call, promotion.Stream(id), []promotion.Command{})
	first, err := s.promotions.Handle(ctx, ask) // whether it was carried out before
	if err != nil {
		return CodesResult{}, err
	}
	if !first.Replayed {
		would, err := s.wouldChange(ctx, id, asked, wanted)
		if err != nil || !would {
			return CodesResult{Revision: first.Revision, Position: first.Position}, err
		}
		ask.Commands = append(ask.Commands, asked)
		if first, err = s.promotions.Handle(ctx, ask); err != nil {
			return CodesResult{}, err
		}
	}
	done := CodesResult{Revision: first.Revision, Position: first.Position, Replayed: first.Replayed}
	if ended := errors.Is(s.hasPromotion(ctx, id), promotion.ErrEnded); ended && !asked.Withdraw {
		return done, nil // a repetition of a request from before the end
	}
	for i, code := range asked.Codes {
		step := aggregate.Request[coupon.Command]{Stream: coupon.Stream(code), Commands: wanted[i : i+1], Redecide: true}
		step.Meta = derivedMeta(call.Meta, unit.StepCommand.Of("coupon "+code, call.Meta.CommandID.String()))
		one, err := s.coupons.Handle(ctx, step)
		if err != nil {
			return done, err
		}
		done.Events, done.Position = append(done.Events, one.Events...), later(done.Position, one.Position)
	}
	return done, nil
}

// wouldChange tells whether a request would change a code now. It returns the refusal of the
// promotion, or of the first code that is refused.
func (s *Service) wouldChange(ctx context.Context, id string, asked promotion.RequestCodes, wanted []coupon.Command) (would bool, err error) {
	var refused error
	viewed := s.ViewPromotion(ctx, id, func(state promotion.State, _ int64) { _, refused = promotion.Decide(asked, state) })
	if err := cmp.Or(viewed, refused); err != nil {
		return false, err
	}
	for i, code := range asked.Codes {
		var events []coupon.Event
		viewed := s.ViewCoupon(ctx, code, func(state coupon.State, _ int64) { events, refused = coupon.Decide(wanted[i], state) })
		if err := cmp.Or(viewed, refused); err != nil {
			return false, err
		}
		would = would || len(events) > 0
	}
	return would, nil
}

// hasPromotion returns an error if there is no such promotion, or if it has ended for good.
func (s *Service) hasPromotion(ctx context.Context, id string) (err error) {
	viewed := s.ViewPromotion(ctx, id, func(state promotion.State, _ int64) {
		switch {
		case state.ID == "":
			err = promotion.ErrNotFound
		case state.Ended:
			err = promotion.ErrEnded
		}
	})
	return errors.Join(viewed, err)
}

// ViewGiftCard calls read with the state of a gift card or a credit account; see ViewProduct.
func (s *Service) ViewGiftCard(ctx context.Context, id giftcard.ID, read func(giftcard.State, int64)) error {
	return s.giftCards.View(ctx, giftcard.Stream(id), read)
}

// NewGiftCard is what a gift card or a credit account is to have.
type NewGiftCard struct {
	Amount     unit.Money
	CustomerID unit.CustomerID // a credit account of this customer; empty: a gift card
	ExpiresAt  time.Time
	Reason     string
}

// IssueGiftCard makes a gift card, and returns its code, or gives money to the credit account of a
// customer. A repeated call returns the same code, because the code is made of the call's command
// id.
func (s *Service) IssueGiftCard(ctx context.Context, call Call, wanted NewGiftCard) (id giftcard.ID, code string, done aggregate.Result[giftcard.Event], err error) {
	if err := s.admit(call, access.WriteGiftCards); err != nil {
		return "", "", done, err
	}
	issue := giftcard.Issue{Kind: giftcard.Card, Amount: wanted.Amount, ExpiresAt: wanted.ExpiresAt, Reason: wanted.Reason, Now: s.now()}
	if wanted.CustomerID != "" {
		issue.Kind, issue.CustomerID, issue.ID = giftcard.Account, wanted.CustomerID, giftcard.AccountID(wanted.CustomerID, wanted.Amount.Currency)
		done, err = s.giftCards.Handle(ctx, request(call, giftcard.Stream(issue.ID), []giftcard.Command{issue}))
		return issue.ID, "", done, err
	}
	code = s.Secrets.Code("issued", call.Meta.CommandID.String())
	issue.ID, err = s.cardOf(code)
	if err != nil {
		return "", "", done, err
	}
	done, err = s.giftCards.Handle(ctx, request(call, giftcard.Stream(issue.ID), []giftcard.Command{issue, giftcard.ShowCode{}}))
	return issue.ID, code, done, err
}

// errNoSecret means that this part of the program has no secret for codes, and so cannot make any.
var errNoSecret = errors.New("this program has no secret for the codes of gift cards")

func (s *Service) cardOf(code string) (giftcard.ID, error) {
	id, ok := s.Secrets.Card(code)
	if !ok {
		return "", errNoSecret
	}
	return id, nil
}

// FindGiftCard finds a gift card by its code. Whoever knows the code may use the card.
func (s *Service) FindGiftCard(ctx context.Context, code string) (giftcard.ID, error) {
	id, ok := s.Secrets.Card(code)
	if !ok {
		return "", giftcard.ErrNotFound
	}
	exists := false
	err := s.ViewGiftCard(ctx, id, func(state giftcard.State, _ int64) { exists = state.Exists() })
	if err == nil && !exists {
		err = giftcard.ErrNotFound
	}
	return id, err
}

// ShowGiftCardCode returns the code of a gift card that was sold, once. The second time, it is
// refused (gift-card-code-shown).
func (s *Service) ShowGiftCardCode(ctx context.Context, call Call, id giftcard.ID) (code string, done aggregate.Result[giftcard.Event], err error) {
	if err := s.admit(call, access.WriteGiftCards); err != nil {
		return "", done, err
	}
	var sold *giftcard.Sold
	if err := s.ViewGiftCard(ctx, id, func(state giftcard.State, _ int64) { sold = state.Sold }); err != nil {
		return "", done, err
	}
	done, err = s.giftCards.Handle(ctx, request(call, giftcard.Stream(id), []giftcard.Command{giftcard.ShowCode{}}))
	if err != nil {
		return "", done, err
	}
	if sold == nil {
		return "", done, giftcard.ErrCodeShown // it was shown when the card was issued
	}
	return s.soldCode(*sold), done, nil
}

// soldCode is the code of a gift card that was sold as one unit of an order's line.
func (s *Service) soldCode(sold giftcard.Sold) string {
	return s.Secrets.Code("sold", string(sold.OrderID), strconv.Itoa(sold.Line), strconv.Itoa(sold.Unit))
}

// soldCard is a gift card that an order has sold.
type soldCard struct {
	giftcard.Sold
	amount unit.Money
}

// soldCards are the gift cards that an order has sold. There are none before the order is
// confirmed and paid. A card is worth its list price.
func soldCards(of order.State) (cards []soldCard) {
	if of.Quote == nil || of.Status != order.StatusConfirmed && of.Status != order.StatusCompleted {
		return nil
	}
	for _, line := range of.Quote.Lines {
		if !line.GiftCard {
			continue
		}
		i := slices.IndexFunc(of.Lines, func(l order.Line) bool { return l.Number == line.Line })
		if i < 0 || of.PaymentState() != order.Paid {
			continue
		}
		for n := range int(of.Lines[i].Quantity - of.Lines[i].Canceled) {
			cards = append(cards, soldCard{giftcard.Sold{OrderID: of.OrderID, Line: line.Line, Unit: n + 1}, line.Price.Charge()})
		}
	}
	return cards
}

// issueAll issues gift cards that were sold. Those that were issued before stay as they are. It
// comes before the order's steps are settled, so a driver that is cut off leaves an open step.
func (s *Service) issueAll(ctx context.Context, meta eventstore.Metadata, sold []soldCard) error {
	for _, card := range sold {
		if err := s.IssueSold(ctx, meta, card.Sold, card.amount); err != nil {
			return err
		}
	}
	return nil
}

// IssueSold issues a gift card that was sold as one unit of an order's line. It is issued once,
// whoever asks and however often.
func (s *Service) IssueSold(ctx context.Context, meta eventstore.Metadata, sold giftcard.Sold, amount unit.Money) error {
	id, err := s.cardOf(s.soldCode(sold))
	if err != nil {
		return err
	}
	issue := unit.IssueGiftCard.Of(string(sold.OrderID), strconv.Itoa(sold.Line), strconv.Itoa(sold.Unit))
	_, err = s.giftCards.Handle(ctx, aggregate.Request[giftcard.Command]{
		Stream: giftcard.Stream(id), Meta: derivedMeta(meta, issue),
		Commands: []giftcard.Command{giftcard.Issue{ID: id, Kind: giftcard.Card, Amount: amount, Sold: &sold, Now: s.now()}},
	})
	if errors.Is(err, giftcard.ErrDisabled) {
		return nil // its purchase was undone before
	}
	return err
}

// DisableGiftCard ends a gift card or a credit account.
func (s *Service) DisableGiftCard(ctx context.Context, call Call, id giftcard.ID, reason string) (aggregate.Result[giftcard.Event], error) {
	if err := s.admit(call, access.WriteGiftCards); err != nil {
		return aggregate.Result[giftcard.Event]{}, err
	}
	return s.giftCards.Handle(ctx, request(call, giftcard.Stream(id), []giftcard.Command{giftcard.Disable{Reason: reason}}))
}

// CreditBack gives back to a gift card what it had paid for an order. refund is the transaction of
// the order; it is given back once. The refusals are those of giftcard.CreditBack.
func (s *Service) CreditBack(ctx context.Context, meta eventstore.Metadata, id giftcard.ID, back giftcard.CreditBack) error {
	_, err := s.giftCards.Handle(ctx, aggregate.Request[giftcard.Command]{
		Stream: giftcard.Stream(id), Meta: derivedMeta(meta, unit.CreditBack.Of(string(back.OrderID), string(back.RefundID))), Commands: []giftcard.Command{back},
	})
	return err
}

// ExpireGiftCard ends the gift card of a stream, if its time is over.
func (s *Service) ExpireGiftCard(ctx context.Context, meta eventstore.Metadata, stream string, now time.Time) error {
	_, err := s.giftCards.Handle(ctx, aggregate.Request[giftcard.Command]{
		Stream: stream, Meta: by(theTimer, meta), Commands: []giftcard.Command{giftcard.Expire{Now: now}},
	})
	return err
}
