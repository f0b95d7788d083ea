package commandapi

import (
	"context"
	"errors"
	"strconv"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/domain/cart"
	"daybook/domain/rule"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// at is the JSON pointer of a list's item.
func at(list string, i int) string { return list + "/" + strconv.Itoa(i) }

// LineInput is a line as a customer asks for it. It has no price, because the price comes from
// the catalogue.
type LineInput struct {
	SKU      string `json:"sku" minLength:"1" maxLength:"64" example:"MUG"`
	Quantity int64  `json:"quantity" minimum:"1" maximum:"1000000000" example:"1"`
}

func lines(bad *check, pointer string, given []LineInput, join bool) []commands.WantedLine {
	wanted := make([]commands.WantedLine, len(given))
	for i, line := range given {
		sku := inBody(bad, at(pointer, i)+"/sku", line.SKU, unit.ParseSKU)
		quantity := inBody(bad, at(pointer, i)+"/quantity", line.Quantity, unit.ParseQuantity)
		wanted[i] = commands.WantedLine{SKU: sku, Quantity: quantity, Join: join}
		if string(sku) != line.SKU {
			wanted[i].SKUText = line.SKU
		}
	}
	return wanted
}

type openCartInput struct {
	Headers
	Body struct {
		CartID     string      `json:"cart_id,omitempty" needs:"fields.trusted" maxLength:"64" doc:"Your own id. Without it the server makes one, which is the same for the same Idempotency-Key."`
		CustomerID string      `json:"customer_id,omitempty" maxLength:"64" doc:"Left out for a guest."`
		Currency   string      `json:"currency" minLength:"3" maxLength:"3" example:"GBP"`
		Country    string      `json:"country,omitempty" maxLength:"100" doc:"The country that the goods go to, in your own words."`
		Lines      []LineInput `json:"lines,omitempty" maxItems:"2000" doc:"The first lines; all are added, or none."`
		Join       bool        `json:"join,omitzero" doc:"If an earlier line has the same SKU at the same price, add the units to that line."`
	}
}

func (a *api) openCart(ctx context.Context, c call, in *openCartInput) (*response[resource.Cart], error) {
	var bad check
	id := orElse(&bad, "/cart_id", in.Body.CartID, unit.ParseCartID, c.derive(unit.NewCart))
	open := cart.Open{
		CartID:     id,
		CustomerID: c.customer(&bad, "/customer_id", in.Body.CustomerID),
		Currency:   inBody(&bad, "/currency", in.Body.Currency, unit.ParseCurrency),
		Country:    in.Body.Country,
	}
	wanted := lines(&bad, "/lines", in.Body.Lines, in.Body.Join)
	if guest := c.Who.Cart; guest != "" {
		if in.Body.CartID != "" && id != guest {
			bad.forbidden = append(bad.forbidden, problem.InBody("/cart_id", "a guest cannot choose the id of its cart"))
		}
		id, open.CartID = guest, guest
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	c.New = true
	done, err := a.service.AddLines(ctx, c.Call, id, &open, wanted)
	if err != nil {
		return nil, err
	}
	out, err := a.cart(ctx, id, done)
	if err != nil {
		return nil, err
	}
	if a.guestToken != nil && open.CustomerID == "" {
		out.Guest = a.guestToken(id)
	}
	return out.at(cartsAddress + string(id)), nil
}

// cartsAddress is the address of a cart without its id.
const cartsAddress = "/v1/carts/"

// CartPath names a cart.
type CartPath struct {
	Headers
	CartID string `path:"cart_id" maxLength:"64"`
}

type addLinesInput struct {
	CartPath
	Body struct {
		Lines []LineInput `json:"lines" minItems:"1" maxItems:"2000" doc:"All are added, or none."`
		Join  bool        `json:"join,omitzero" doc:"Add the units to the first line that has the same SKU at the same price. If there is no such line, a new line is added. By default each is a new line."`
	}
}

func (a *api) addLines(ctx context.Context, c call, in *addLinesInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	wanted := lines(&bad, "/lines", in.Body.Lines, in.Body.Join)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.AddLines(ctx, c.Call, id, nil, wanted)
	if err != nil {
		return nil, err
	}
	return a.cart(ctx, id, done)
}

type patchCartInput struct {
	CartPath
	Body struct {
		CustomerID Change[string]          `json:"customer_id,omitzero" maxLength:"64" doc:"Whose cart it is; null for a guest's."`
		Country    Change[string]          `json:"country,omitzero" maxLength:"100" doc:"The country that the goods go to, in your own words; null if it is not known."`
		Lines      Change[[]CartLinePatch] `json:"lines,omitzero" maxItems:"2000" doc:"All lines that the cart shall have. As in any merge patch, the list replaces the one before: a line that is not in it is taken out. New lines are added by add-cart-lines, because they are priced."`
	}
}

// CartLinePatch is the wanted state of one line of a cart.
type CartLinePatch struct {
	Line     int   `json:"line" minimum:"1"`
	Quantity int64 `json:"quantity" minimum:"0" maximum:"1000000000" doc:"0 takes the line out."`
}

func (a *api) patchCart(ctx context.Context, c call, in *patchCartInput) (*response[resource.Cart], error) {
	var bad check
	var wanted []cart.Command
	var set cart.SetLines
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if given := in.Body.CustomerID; given.Given {
		wanted = append(wanted, cart.ChangeCustomer{CustomerID: c.customer(&bad, "/customer_id", given.Value)})
	}
	if given := in.Body.Country; given.Given {
		wanted = append(wanted, cart.ChangeCountry{Country: given.Value})
	}
	if given := in.Body.Lines; given.Given {
		named := make(map[int]bool, len(given.Value))
		for i, l := range given.Value {
			if named[l.Line] {
				bad.fault(problem.InBody(at("/lines", i)+"/line", "this line is named twice"))
			}
			named[l.Line] = true
			set.Lines = append(set.Lines, cart.LineQuantity{Line: l.Line, Quantity: inBody(&bad, at("/lines", i)+"/quantity", l.Quantity, quantityOrNone)})
		}
		wanted = append(wanted, set)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	out, err := a.changeCart(ctx, c, id, wanted...)
	if errors.Is(err, cart.ErrLineUnknown) {
		return nil, a.unknownCartLines(ctx, id, set.Lines, err)
	}
	return out, err
}

// unknownCartLines names all lines that the cart does not have. refusal is about the first of them.
func (a *api) unknownCartLines(ctx context.Context, id unit.CartID, wanted []cart.LineQuantity, refusal error) error {
	var faults []problem.Invalid
	err := a.service.ViewCart(ctx, id, func(now cart.State, _ int64) {
		faults = unknownLines(len(wanted), "cart", func(i int) (int, bool) {
			_, err := cart.Decide(cart.SetLines{Lines: wanted[i : i+1]}, now)
			return wanted[i].Line, !errors.Is(err, cart.ErrLineUnknown)
		})
	})
	return withLines(refusal, faults, err)
}

// CartLinePath names a line of a cart.
type CartLinePath struct {
	CartPath
	Line int `path:"line" minimum:"1"`
}

type changeQuantityInput struct {
	CartLinePath
	Body struct {
		Quantity int64 `json:"quantity" minimum:"0" maximum:"1000000000" doc:"0 takes the line out."`
	}
}

func (a *api) changeQuantity(ctx context.Context, c call, in *changeQuantityInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	quantity := inBody(&bad, "/quantity", in.Body.Quantity, quantityOrNone)
	if err := bad.err(); err != nil {
		return nil, err
	}
	out, err := a.changeCart(ctx, c, id, cart.ChangeQuantity{Line: in.Line, Quantity: quantity})
	if refusal, is := errors.AsType[*rule.Rejection](err); is && isQuantityLimit(refusal) {
		return nil, problem.MemberRefused(err, problem.InBody("/quantity", refusal.Detail))
	}
	return out, err
}

// quantityOrNone reads the wanted quantity of a line. Zero means that the line is taken out.
func quantityOrNone(n int64) (unit.Quantity, error) {
	if n == 0 {
		return 0, nil
	}
	return unit.ParseQuantity(n)
}

func (a *api) removeLine(ctx context.Context, c call, in *CartLinePath) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.RemoveLine{Line: in.Line})
}

type abandonInput struct {
	CartPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

func (a *api) abandonCart(ctx context.Context, c call, in *abandonInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	abandon := cart.Abandon{}
	if in.Body != nil {
		abandon.Reason = in.Body.Reason
	}
	return a.changeCart(ctx, c, id, abandon)
}

func (a *api) expireCart(ctx context.Context, c call, in *CartPath) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.Expire{})
}

type mergeCartInput struct {
	CartPath
	Body struct {
		From string `json:"from" minLength:"1" maxLength:"64" doc:"The cart whose lines come into this one. That cart then ends."`
	}
}

func (a *api) mergeCart(ctx context.Context, c call, in *mergeCartInput) (*response[resource.Cart], error) {
	var bad check
	into := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	from := inBody(&bad, "/from", in.Body.From, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.MergeCart(ctx, c.Call, into, from)
	if err != nil {
		return nil, withPosition(ctx, err, done.Position)
	}
	out, err := a.cart(ctx, into, done.Result)
	if err != nil {
		return nil, err
	}
	out.changed = out.changed || done.Begun
	return out, nil
}

type claimCartInput struct {
	CartPath
	Body struct {
		GuestToken string `json:"guest_token,omitempty" maxLength:"200" example:"dbg_Y2FydA_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" doc:"The token of the guest who filled the cart. Left out if the cart is the customer's already."`
		CustomerID string `json:"customer_id,omitempty" maxLength:"64" doc:"Left out by a customer, who claims a cart for themself."`
		IntoCartID string `json:"into_cart_id,omitempty" maxLength:"64" doc:"A cart of the customer that takes the lines. Left out: the cart itself becomes the customer's."`
	}
}

func (a *api) claimCart(ctx context.Context, c call, in *claimCartInput) (*response[resource.Cart], error) {
	var bad check
	claim := commands.Claim{
		CartID: inPath(&bad, "cart_id", in.CartID, unit.ParseCartID), Customer: c.customer(&bad, "/customer_id", in.Body.CustomerID),
		Into: optional(&bad, "/into_cart_id", in.Body.IntoCartID, unit.ParseCartID),
	}
	if claim.Customer == "" {
		bad.fault(problem.InBody("/customer_id", "say for whom the cart is claimed"))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if in.Body.GuestToken != "" && a.guestOf != nil {
		cartID, good := a.guestOf(in.Body.GuestToken)
		claim.Proven = good && cartID == claim.CartID
	}
	done, err := a.service.ClaimCart(ctx, c.Call, claim)
	if err != nil {
		return nil, withPosition(ctx, err, done.Position)
	}
	id := claim.CartID
	if claim.Into != "" {
		id = claim.Into
	}
	out, err := a.cart(ctx, id, done.Result)
	if err != nil {
		return nil, err
	}
	out.changed = out.changed || done.Begun
	return out, nil
}

func (a *api) changeCart(ctx context.Context, c call, id unit.CartID, wanted ...cart.Command) (*response[resource.Cart], error) {
	done, err := a.service.Cart(ctx, c.Call, id, wanted...)
	if err != nil {
		return nil, err
	}
	return a.cart(ctx, id, done)
}

// cart responds with the cart as it is after the request.
func (a *api) cart(ctx context.Context, id unit.CartID, done aggregate.Result[cart.Event]) (*response[resource.Cart], error) {
	if state, revision, whole := foldNew(cart.Evolve, done); whole {
		return respond(revision, done, resource.CartOf(state, revision)), nil
	}
	state, err := viewFrom(ctx, a.service.ViewCartFrom, id, done.Revision, resource.CartOf)
	if err != nil {
		return nil, err
	}
	return respond(state.Revision, done, state), nil
}
