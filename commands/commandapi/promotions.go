package commandapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/money/coupon"
	"daybook/domain/money/giftcard"
	"daybook/domain/money/pricing"
	"daybook/domain/money/promotion"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/etag"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// promotionRoutes are the routes of promotions, their codes, and gift cards.
func (a *api) promotionRoutes() {
	const (
		aPromotion = "/v1/promotions/{promotion_id}"
		aCard      = "/v1/gift-cards/{gift_card_id}"
	)
	add(a, apidoc.TagPromotions, op{method: put, path: aPromotion, id: "define-promotion", needs: access.WritePromotions, summary: "Make a promotion, or change its terms", about: aboutDefinePromotion, lines: true, refusals: refusals{promotion.ErrEnded, promotion.ErrFixed, promotion.ErrInvalid}}, a.definePromotion)
	add(a, apidoc.TagPromotions, op{method: remove, path: aPromotion, id: "end-promotion", needs: access.WritePromotions, summary: "End a promotion", about: "For good. Its codes can be given to another promotion. Orders keep what they got. A promotion that should only rest is defined as not active.", refusals: refusals{promotion.ErrNotFound, promotion.ErrInvalid}}, a.endPromotion)
	add(a, apidoc.TagPromotions, op{method: post, path: aPromotion + "/codes", id: "give-codes", needs: access.WritePromotions, summary: "Give codes to a coupon", about: aboutCodes, refusals: refusals{promotion.ErrNotFound, promotion.ErrEnded, coupon.ErrInvalid, coupon.ErrTaken}}, a.giveCodes)
	add(a, apidoc.TagPromotions, op{method: post, path: aPromotion + "/withdraw-codes", id: "withdraw-codes", needs: access.WritePromotions, summary: "Take codes back from a coupon", about: "Carts that have such a code lose the discount. Orders keep it. A code that the promotion does not have stays as it is.", refusals: refusals{promotion.ErrNotFound}}, a.withdrawCodes)

	add(a, apidoc.TagGiftCards, op{method: post, path: "/v1/gift-cards", id: "issue-gift-card", needs: access.WriteGiftCards, summary: "Issue a gift card, or give credit to a customer", about: aboutIssue, key: true, secret: true, created: true, refusals: refusals{giftcard.ErrInvalid, giftcard.ErrExists, giftcard.ErrCurrency, giftcard.ErrDisabled}}, a.issueGiftCard)
	add(a, apidoc.TagGiftCards, op{method: post, path: "/v1/gift-cards/find", id: "find-gift-card", needs: access.CheckOut, summary: "Find a gift card by its code", about: "Shows what is left on the card. The code is in the body, so that it is in no log.", keyless: true, refusals: refusals{giftcard.ErrNotFound}}, a.findGiftCard)
	add(a, apidoc.TagGiftCards, op{method: post, path: aCard + "/code", id: "show-gift-card-code", needs: access.WriteGiftCards, summary: "Show the code of a gift card that was sold", about: "The code is shown once, for example to send it to the buyer. The second time the request is refused.", secret: true, refusals: refusals{giftcard.ErrNotFound, giftcard.ErrCodeShown, giftcard.ErrDisabled}}, a.showGiftCardCode)
	add(a, apidoc.TagGiftCards, op{method: post, path: aCard + "/disable", id: "disable-gift-card", needs: access.WriteGiftCards, summary: "End a gift card or a credit account", about: "What is left on it is gone. What is set aside for orders can still pay for them.", refusals: refusals{giftcard.ErrNotFound, giftcard.ErrInvalid}}, a.disableGiftCard)
}

const (
	aboutDefinePromotion = "The body is all terms of the promotion: it replaces what was there. Kind and class of a promotion stay as they are. The codes of a coupon stay (give-codes and withdraw-codes change them). All conditions must be met; one that is left out asks for nothing. Days and hours are in UTC."
	aboutCodes           = "A code belongs to one promotion at a time. Upper and lower case, blanks and hyphens make no difference. If a code belongs to another promotion that has not ended, none is given, and the problem names it. A repetition changes nothing."
	aboutIssue           = "With `customer_id` the money goes to the credit account of the customer in this currency. Without it, a gift card is made, and the response has its code, and no other response ever has it: the log has only a keyed hash of it. The response is not kept. A request that is sent again with the same Idempotency-Key makes no other card, and has the same code."
)

// PromotionPath names a promotion.
type PromotionPath struct {
	Headers
	PromotionID string `path:"promotion_id" maxLength:"64" example:"spring"`
}

func (p *PromotionPath) id(bad *check) string {
	return inPath(bad, "promotion_id", p.PromotionID, unit.ParseCode)
}

// TargetInput names lines or shipping methods in a request.
type TargetInput struct {
	SKUs       []string `json:"skus,omitempty" maxItems:"1000" maxLength:"64" doc:"Left out, with categories: all lines."`
	Categories []string `json:"categories,omitempty" maxItems:"200" maxLength:"64"`
	Methods    []string `json:"methods,omitempty" maxItems:"200" maxLength:"64" doc:"Of a promotion of shipping. Left out: all methods."`
}

func (t TargetInput) target(bad *check, pointer string) pricing.Target {
	target := pricing.Target{Categories: t.Categories, Methods: t.Methods}
	for i, sku := range t.SKUs {
		target.SKUs = append(target.SKUs, inBody(bad, at(pointer+"/skus", i), sku, unit.ParseSKU))
	}
	return target
}

type definePromotionInput struct {
	PromotionPath
	Body struct {
		Title  string `json:"title" minLength:"1" maxLength:"200" doc:"Customers see it."`
		Kind   string `json:"kind" enum:"automatic,coupon" doc:"A coupon counts only with one of its codes."`
		Class  string `json:"class" enum:"item,order,shipping" doc:"What it takes something off."`
		Active bool   `json:"active,omitzero" doc:"Only an active promotion counts."`
		Action struct {
			Type              string       `json:"type" enum:"percent_off,fixed_off,buy_x_get_y,fixed_price,free_shipping"`
			Percent           string       `json:"percent,omitempty" maxLength:"12" example:"10"`
			Amounts           []MoneyInput `json:"amounts,omitempty" maxItems:"50" doc:"One for each currency."`
			Buy               int64        `json:"buy,omitzero" minimum:"0" maximum:"1000000000"`
			Get               int64        `json:"get,omitzero" minimum:"0" maximum:"1000000000"`
			MaxSets           int64        `json:"max_sets,omitzero" minimum:"0" maximum:"1000000000"`
			OnFreeUnits       bool         `json:"on_free_units,omitzero"`
			Target            TargetInput  `json:"target,omitzero"`
			IncludeOverridden bool         `json:"include_overridden,omitzero" doc:"Also take something off lines whose price a person gave."`
		} `json:"action"`
		Conditions struct {
			MinSubtotal    []MoneyInput `json:"min_subtotal,omitempty" maxItems:"50" doc:"One for each currency."`
			Measure        string       `json:"measure,omitempty" enum:"list,after_items,after_order"`
			MinQuantity    int64        `json:"min_quantity,omitzero" minimum:"0" maximum:"1000000000"`
			Of             TargetInput  `json:"of,omitzero" doc:"This must be in the cart."`
			CustomerGroups []string     `json:"customer_groups,omitempty" maxItems:"200" maxLength:"64"`
			Countries      []string     `json:"countries,omitempty" maxItems:"200" maxLength:"2"`
			Channels       []string     `json:"channels,omitempty" maxItems:"200" maxLength:"32"`
			FirstOrder     bool         `json:"first_order,omitzero" doc:"Only the first order of a customer."`
			Days           []int        `json:"days,omitempty" maxItems:"7" minimum:"1" maximum:"7" doc:"1 Monday to 7 Sunday, in UTC."`
			FromHour       int          `json:"from_hour,omitzero" minimum:"0" maximum:"23" doc:"In UTC."`
			UntilHour      int          `json:"until_hour,omitzero" minimum:"0" maximum:"24" doc:"In UTC. 0: no bound."`
		} `json:"conditions,omitzero"`
		Priority   int       `json:"priority,omitzero" minimum:"-1000000" maximum:"1000000"`
		Exclusive  string    `json:"exclusive,omitempty" enum:"none,class,all" default:"none"`
		ValidFrom  time.Time `json:"valid_from,omitzero"`
		ValidUntil time.Time `json:"valid_until,omitzero" doc:"The first moment at which it does not count any more."`
		Limits     struct {
			Uses            int         `json:"uses,omitzero" minimum:"0" maximum:"1000000000" doc:"In all. 0: no limit."`
			UsesPerCustomer int         `json:"uses_per_customer,omitzero" minimum:"0" maximum:"1000000000" doc:"0: no limit."`
			Budget          *MoneyInput `json:"budget,omitempty" doc:"What it may take off in all."`
		} `json:"limits,omitzero"`
		KeepUse bool `json:"keep_use_after_cancel,omitzero" doc:"A use stays used if everything is canceled before anything has shipped."`
	}
}

func moneys(bad *check, pointer string, given []MoneyInput) (all []unit.Money) {
	for i, one := range given {
		all = append(all, money(bad, at(pointer, i), one))
	}
	return all
}

func (a *api) definePromotion(ctx context.Context, c call, in *definePromotionInput) (*response[resource.Promotion], error) {
	var bad check
	id, b := in.id(&bad), in.Body
	act, cond := b.Action, b.Conditions
	wanted := promotion.Define{ID: id, Kind: pricing.PromotionKind(b.Kind), Class: pricing.Class(b.Class), Active: b.Active, Terms: promotion.Terms{
		Title: b.Title, Priority: b.Priority, Exclusive: pricing.Exclusivity(b.Exclusive), Window: window(b.ValidFrom, b.ValidUntil), KeepUseAfterCancel: b.KeepUse,
		Limits: pricing.Limits{Uses: b.Limits.Uses, UsesPerCustomer: b.Limits.UsesPerCustomer},
		Action: pricing.Action{
			Type: pricing.ActionType(act.Type), Percent: optional(&bad, "/action/percent", act.Percent, unit.ParsePercent), Amounts: moneys(&bad, "/action/amounts", act.Amounts),
			Buy: unit.Quantity(act.Buy), Get: unit.Quantity(act.Get), MaxSets: unit.Quantity(act.MaxSets), OnFreeUnits: act.OnFreeUnits,
			Target: act.Target.target(&bad, "/action/target"), IncludeOverridden: act.IncludeOverridden,
		},
		Conditions: pricing.Conditions{
			MinSubtotal: moneys(&bad, "/conditions/min_subtotal", cond.MinSubtotal), Measure: pricing.Measure(cond.Measure), MinQuantity: unit.Quantity(cond.MinQuantity),
			Of: cond.Of.target(&bad, "/conditions/of"), Groups: cond.CustomerGroups, Countries: upper(cond.Countries), Channels: cond.Channels, FirstOrder: cond.FirstOrder,
			Days: cond.Days, FromHour: cond.FromHour, UntilHour: cond.UntilHour,
		},
	}}
	if b.Limits.Budget != nil {
		wanted.Limits.Budget = []unit.Money{money(&bad, "/limits/budget", *b.Limits.Budget)}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	for _, fault := range wanted.Faults() {
		path := strings.Replace(fault.Path, "/conditions/groups", "/conditions/customer_groups", 1)
		path = strings.NewReplacer("/window/until", "/valid_until", "/window/from", "/valid_from", "/limits/budget/0", "/limits/budget").Replace(path)
		bad.fault(problem.InBody(path, fault.What))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changePromotion(ctx, c, id, wanted)
}

func (a *api) changePromotion(ctx context.Context, c call, id string, wanted promotion.Command) (*response[resource.Promotion], error) {
	done, err := a.service.Promotion(ctx, c.Call, id, wanted)
	if err != nil {
		return nil, err
	}
	reflected(ctx, a, done)
	shown, err := view(ctx, a.service.ViewPromotion, id, resource.PromotionOf)
	if err != nil {
		return nil, err
	}
	return respond(shown.Revision, done, shown), nil
}

type endPromotionInput struct {
	PromotionPath
	Reason string `query:"reason" maxLength:"500"`
}

func (a *api) endPromotion(ctx context.Context, c call, in *endPromotionInput) (*response[resource.Promotion], error) {
	var bad check
	id, reason := in.id(&bad), note(&bad, "reason", in.Reason)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changePromotion(ctx, c, id, promotion.End{Reason: reason})
}

type codesInput struct {
	PromotionPath
	Body struct {
		Codes []string `json:"codes" minItems:"1" maxItems:"500" minLength:"1" maxLength:"100" example:"SPRING-10"`
	}
}

// codes are the codes of a request, each in the form in which codes are compared.
func (in *codesInput) codes(bad *check) (codes []string) {
	for i, code := range in.Body.Codes {
		codes = append(codes, inBody(bad, at("/codes", i), code, coupon.Fold))
	}
	return codes
}

func (a *api) giveCodes(ctx context.Context, c call, in *codesInput) (*response[resource.PromotionCodes], error) {
	return a.changeCodes(ctx, c, in, a.service.GiveCodes)
}

func (a *api) withdrawCodes(ctx context.Context, c call, in *codesInput) (*response[resource.PromotionCodes], error) {
	return a.changeCodes(ctx, c, in, a.service.WithdrawCodes)
}

func (a *api) changeCodes(ctx context.Context, c call, in *codesInput, change func(context.Context, commands.Call, string, []string) (commands.CodesResult, error)) (*response[resource.PromotionCodes], error) {
	var bad check
	id, codes := in.id(&bad), in.codes(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	changed, err := change(ctx, c.Call, id, codes)
	if err != nil {
		return nil, err
	}
	done := aggregate.Result[coupon.Event]{Revision: changed.Revision, Position: changed.Position, Events: changed.Events, Replayed: changed.Replayed}
	reflected(ctx, a, done)
	return respond(done.Revision, done, resource.PromotionCodes{PromotionID: id, Codes: codes}), nil
}

type issueGiftCardInput struct {
	Headers
	Body struct {
		Amount     MoneyInput `json:"amount"`
		CustomerID string     `json:"customer_id,omitempty" maxLength:"64" doc:"The money goes to the credit account of this customer. Left out: a gift card with a code."`
		ExpiresAt  time.Time  `json:"expires_at,omitzero" doc:"Left out: never."`
		Reason     string     `json:"reason,omitempty" maxLength:"500"`
	}
}

// issueGiftCard is not kept under its key, because the response has a code. The command id that
// follows from the key keeps a repetition from making another card.
func (a *api) issueGiftCard(ctx context.Context, c call, in *issueGiftCardInput) (*response[resource.GiftCardCode], error) {
	var bad check
	wanted := commands.NewGiftCard{
		Amount: money(&bad, "/amount", in.Body.Amount), CustomerID: optional(&bad, "/customer_id", in.Body.CustomerID, unit.ParseCustomerID),
		ExpiresAt: resource.Moment(in.Body.ExpiresAt), Reason: in.Body.Reason,
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	id, code, done, err := a.service.IssueGiftCard(ctx, c.Call, wanted)
	if err != nil {
		return nil, err
	}
	out, err := a.card(ctx, id, code, done)
	if err == nil {
		out.Status, out.Location = http.StatusCreated, "/v1/gift-cards/"+string(id)
	}
	return out, err
}

// card responds with a gift card and its code. The response is not marked as changed, so it is not
// kept.
func (a *api) card(ctx context.Context, id giftcard.ID, code string, done aggregate.Result[giftcard.Event]) (*response[resource.GiftCardCode], error) {
	shown, err := a.giftCard(ctx, id)
	if err != nil {
		return nil, err
	}
	out := respond(shown.Revision, done, resource.GiftCardCode{GiftCard: shown, Code: code})
	out.changed = false
	return out, nil
}

func (a *api) giftCard(ctx context.Context, id giftcard.ID) (resource.GiftCard, error) {
	return view(ctx, a.service.ViewGiftCard, id, func(s giftcard.State, revision int64) resource.GiftCard {
		return resource.GiftCardOf(s, revision, a.service.Now())
	})
}

type findGiftCardInput struct {
	ProcessHeaders
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"40"`
	}
}

func (a *api) findGiftCard(ctx context.Context, _ call, in *findGiftCardInput) (*response[resource.GiftCard], error) {
	id, err := a.service.FindGiftCard(ctx, in.Body.Code)
	if err != nil {
		return nil, err
	}
	shown, err := a.giftCard(ctx, id)
	if err != nil {
		return nil, err
	}
	return &response[resource.GiftCard]{ETag: etag.OfRevision(shown.Revision), Body: &shown}, nil
}

// GiftCardPath names a gift card or a credit account.
type GiftCardPath struct {
	Headers
	GiftCardID string `path:"gift_card_id" maxLength:"64"`
}

func (p *GiftCardPath) id(bad *check) giftcard.ID {
	return giftcard.ID(inPath(bad, "gift_card_id", p.GiftCardID, unit.ParseCode))
}

func (a *api) showGiftCardCode(ctx context.Context, c call, in *GiftCardPath) (*response[resource.GiftCardCode], error) {
	var bad check
	id := in.id(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	code, done, err := a.service.ShowGiftCardCode(ctx, c.Call, id)
	if err != nil {
		return nil, err
	}
	return a.card(ctx, id, code, done)
}

type disableGiftCardInput struct {
	GiftCardPath
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

func (a *api) disableGiftCard(ctx context.Context, c call, in *disableGiftCardInput) (*response[resource.GiftCard], error) {
	var bad check
	id := in.id(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.DisableGiftCard(ctx, c.Call, id, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	shown, err := a.giftCard(ctx, id)
	if err != nil {
		return nil, err
	}
	return respond(shown.Revision, done, shown), nil
}
