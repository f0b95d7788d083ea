package commandapi

import (
	"context"
	"errors"
	"slices"

	"daybook/commands"
	"daybook/commands/keyring"
	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// WishListPath names a wish list of a customer.
type WishListPath struct {
	CustomerPath
	ListID string `path:"list_id" maxLength:"64"`
}

// list reads the path of a wish list.
func (p *WishListPath) list(bad *check) (unit.CustomerID, customer.WishListID) {
	return inPath(bad, "customer_id", p.CustomerID, unit.ParseCustomerID), inPath(bad, "list_id", p.ListID, customer.ParseWishListID)
}

// WishListNameInput names a wish list.
type WishListNameInput struct {
	Name string `json:"name" minLength:"1" maxLength:"200" example:"Birthday" doc:"What the list is called."`
}

func (n WishListNameInput) check(bad *check) {
	if fault := unit.LineFault(n.Name, unit.MaxTitle); fault != "" {
		bad.fault(problem.InBody("/name", fault))
	}
}

type makeWishListInput struct {
	CustomerPath
	Body WishListNameInput
}

func (a *api) makeWishList(ctx context.Context, c call, in *makeWishListInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	in.Body.check(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.MakeWishList{ListID: customer.WishListID("w" + c.derive(unit.NewWishList)), Name: in.Body.Name})
}

type renameWishListInput struct {
	WishListPath
	Body WishListNameInput
}

func (a *api) renameWishList(ctx context.Context, c call, in *renameWishListInput) (*response[resource.Customer], error) {
	var bad check
	id, list := in.list(&bad)
	in.Body.check(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.RenameWishList{ListID: list, Name: in.Body.Name})
}

func (a *api) removeWishList(ctx context.Context, c call, in *WishListPath) (*response[resource.Customer], error) {
	var bad check
	id, list := in.list(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.RemoveWishList{ListID: list})
}

type setWishInput struct {
	WishListPath
	SKU  string `path:"sku" maxLength:"64" example:"MUG" doc:"Percent-encode blanks and slashes."`
	Body struct {
		Quantity int64 `json:"quantity" minimum:"0" maximum:"1000000000" example:"1" doc:"How many units are wanted; 0 takes the product off the list."`
	}
}

func (a *api) setWish(ctx context.Context, c call, in *setWishInput) (*response[resource.Customer], error) {
	var bad check
	id, list := in.list(&bad)
	set := customer.SetWish{ListID: list, SKU: inPath(&bad, "sku", in.SKU, unit.ParseSKU), Quantity: inBody(&bad, "/quantity", in.Body.Quantity, quantityOrNone)}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, set)
}

func (a *api) unshareWishList(ctx context.Context, c call, in *WishListPath) (*response[resource.Customer], error) {
	var bad check
	id, list := in.list(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.UnshareWishList{ListID: list})
}

type shareInput struct {
	ProcessHeaders
	CustomerID string `path:"customer_id" maxLength:"64"`
	ListID     string `path:"list_id" maxLength:"64"`
}

// shareWishList answers with a token. The token is not kept under an Idempotency-Key, and each
// request gets another one for the same share.
func (a *api) shareWishList(ctx context.Context, c call, in *shareInput) (*response[resource.WishListShare], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	list := inPath(&bad, "list_id", in.ListID, customer.ParseWishListID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.Customer(ctx, c.Call, id, customer.ShareWishList{ListID: list})
	if err != nil {
		return nil, err
	}
	share := keyring.Share{CustomerID: id, ListID: list}
	err = a.service.ViewCustomer(ctx, id, func(state customer.State, _ int64) {
		now, _ := state.WishList(list)
		share.Number = now.Shares
	})
	if err != nil {
		return nil, err
	}
	body := resource.WishListShare{ListID: string(list)}
	if a.shares.Token != nil {
		body.Token = a.shares.Token(share)
	}
	return respond(done.Revision, done, body), nil
}

// Shares makes and reads the tokens of shared wish lists.
type Shares struct {
	Token func(keyring.Share) string
	Read  func(token string) (share keyring.Share, good bool)
}

type addWishesInput struct {
	CartPath
	Body struct {
		CustomerID string   `json:"customer_id,omitempty" maxLength:"64" doc:"Whose list it is, if the caller acts for nobody and has no token."`
		ListID     string   `json:"list_id,omitempty" maxLength:"64" doc:"A wish list of the customer."`
		ShareToken string   `json:"share_token,omitempty" maxLength:"400" doc:"The token of a list that somebody has shared."`
		SKUs       []string `json:"skus,omitempty" maxItems:"200" minLength:"1" maxLength:"64" example:"MUG" doc:"Only these products of the list. Left out: all."`
	}
}

func (a *api) addWishes(ctx context.Context, c call, in *addWishesInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	var from commands.Wishes
	for i, sku := range in.Body.SKUs {
		from.Only = append(from.Only, inBody(&bad, at("/skus", i), sku, unit.ParseSKU))
	}
	switch {
	case in.Body.ShareToken != "" && in.Body.ListID != "" || in.Body.ShareToken == "" && in.Body.ListID == "":
		bad.fault(problem.InBody("/list_id", "give either list_id or share_token"))
	case in.Body.ShareToken != "":
		share, good := keyring.Share{}, false
		if a.shares.Read != nil {
			share, good = a.shares.Read(in.Body.ShareToken)
		}
		if !good {
			return nil, customer.ErrWishListUnknown
		}
		from.Customer, from.List, from.Share = share.CustomerID, share.ListID, share.Number
	default:
		from.Customer = c.customer(&bad, "/customer_id", in.Body.CustomerID)
		from.List = inBody(&bad, "/list_id", in.Body.ListID, customer.ParseWishListID)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.service.AddWishes(ctx, c.Call, id, from)
	if lines, is := errors.AsType[*commands.LinesError](err); is {
		return nil, wishesRefused(lines, in.Body.ListID != "", from.Only)
	}
	if err != nil {
		return nil, err
	}
	return a.cart(ctx, id, done)
}

// wishesRefused names each refused wish where the body names its product, or else at the list.
func wishesRefused(lines *commands.LinesError, own bool, only []unit.SKU) error {
	list := "/share_token"
	if own {
		list = "/list_id"
	}
	var faults []problem.Invalid
	for _, line := range lines.Refused {
		pointer := list
		if i := slices.Index(only, line.SKU); i >= 0 {
			pointer = at("/skus", i)
		}
		faults = append(faults, problem.InBody(pointer, string(line.SKU)+": "+line.Cause.Detail))
	}
	return problem.LinesRefused(lines.Unwrap(), string(lines.Refused[0].SKU), faults)
}
