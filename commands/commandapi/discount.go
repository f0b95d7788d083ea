package commandapi

import (
	"context"
	"strings"
	"time"

	"daybook/domain/access"
	"daybook/domain/cart"
	"daybook/domain/customer"
	"daybook/domain/money/pricing"
	"daybook/domain/unit"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// discountRoutes are the routes of what persons take off carts, and of the tax status of a cart's
// buyer.
func (a *api) discountRoutes() {
	const (
		aCart     = "/v1/carts/{cart_id}"
		aDiscount = aCart + "/discounts/{discount_id}"
	)
	add(a, apidoc.TagCarts, op{method: put, path: aDiscount, id: "give-cart-discount", needs: access.GiveDiscounts, summary: "Take something off a cart by hand", about: aboutDiscount, refusals: refusals{cart.ErrNotFound, cart.ErrNotOpen, cart.ErrLineUnknown, cart.ErrDiscountInvalid, cart.ErrDiscountCount, cart.ErrDiscountLimit}}, a.giveDiscount)
	add(a, apidoc.TagCarts, op{method: remove, path: aDiscount, id: "withdraw-cart-discount", needs: access.GiveDiscounts, summary: "Take a discount back", about: "A discount that is not there changes nothing.", refusals: refusals{cart.ErrNotFound, cart.ErrNotOpen}}, a.withdrawDiscount)
	add(a, apidoc.TagCarts, op{method: put, path: aCart + "/tax-status", id: "set-cart-tax-status", needs: access.SetTaxStatus, summary: "Say what the buyer of a cart is for the law of taxes", about: "For a guest, or in place of what the account of the customer says. " + aboutTaxStatus, refusals: refusals{cart.ErrNotFound, cart.ErrNotOpen, cart.ErrTaxStatusInvalid}}, a.setCartTaxStatus)
	add(a, apidoc.TagCarts, op{method: remove, path: aCart + "/tax-status", id: "withdraw-cart-tax-status", needs: access.SetTaxStatus, summary: "Take the tax status off a cart", about: "From then on, what the account of the customer says counts.", refusals: refusals{cart.ErrNotFound, cart.ErrNotOpen}}, a.withdrawCartTaxStatus)
}

const (
	aboutDiscount = "An amount or a percentage off one line, or off the whole cart. A discount of the cart with the same id is replaced. " +
		"It is taken off after the promotions of its class, and never takes off more than is left. A promotion that excludes others excludes it, too. Gift cards keep their price. " +
		"Above the shop's `--discount-limit`, all discounts of one cart together need the permission `discounts.unlimited`; a percentage is then bounded by what is left of the limit."
	aboutTaxStatus = "The caller has checked the tax id or the certificate, and says how (`checked_by` and `proof`). " +
		"If nobody has checked it, or the certificate has ended, tax is charged, and the quote says why (`tax_status_used`). An order keeps the tax status of its checkout."
)

// CartDiscountPath names a discount of a cart.
type CartDiscountPath struct {
	CartPath
	DiscountID string `path:"discount_id" maxLength:"64" example:"sorry-1" doc:"Your own name for the discount. It is unique in the cart."`
}

type giveDiscountInput struct {
	CartDiscountPath
	Body struct {
		Line    int         `json:"line,omitzero" minimum:"1" doc:"Left out: the whole cart."`
		Amount  *MoneyInput `json:"amount,omitempty" doc:"This, or a percentage."`
		Percent string      `json:"percent,omitempty" maxLength:"11" example:"10" doc:"More than 0, at most 100."`
		Reason  string      `json:"reason_code" minLength:"1" maxLength:"64" example:"damaged" doc:"Why, as a word of the shop: letters, digits, '.', '_' and '-'."`
	}
}

func (a *api) giveDiscount(ctx context.Context, c call, in *giveDiscountInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	given := pricing.Manual{
		ID: inPath(&bad, "discount_id", in.DiscountID, unit.ParseCode), Line: in.Body.Line,
		Reason: inBody(&bad, "/reason_code", in.Body.Reason, unit.ParseCode), Percent: optional(&bad, "/percent", in.Body.Percent, unit.ParsePercent),
	}
	if in.Body.Amount != nil {
		given.Amount = new(money(&bad, "/amount", *in.Body.Amount))
	}
	if (in.Body.Amount == nil) == (in.Body.Percent == "") {
		bad.fault(problem.InBody("/percent", "want an amount or a percentage"))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.GiveDiscount{Discount: given})
}

func (a *api) withdrawDiscount(ctx context.Context, c call, in *CartDiscountPath) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	discount := inPath(&bad, "discount_id", in.DiscountID, unit.ParseCode)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.WithdrawDiscount{ID: discount})
}

// TaxStatusInput is what the law of taxes says of a buyer, as a caller has found it out.
type TaxStatusInput struct {
	Kind      string    `json:"kind" enum:"business,exempt" doc:"What the buyer is for the law of taxes."`
	Country   string    `json:"country,omitempty" minLength:"2" maxLength:"2" example:"NL" doc:"The country that gave a business its tax id. ISO 3166-1: Greece is GR."`
	TaxID     string    `json:"tax_id,omitempty" maxLength:"40" example:"NL001234567B01" doc:"The tax id of a business."`
	CheckedBy string    `json:"checked_by,omitempty" maxLength:"100" example:"vies" doc:"Who or what has checked the tax id or the certificate. Left out: nobody has, so tax is charged."`
	CheckedAt time.Time `json:"checked_at,omitzero" doc:"When it was checked. Left out: now, if checked_by is given."`
	Proof     string    `json:"proof,omitempty" maxLength:"100" example:"WAPIAAAAYxqn1Rsv" doc:"The reference of the check, or the number of the certificate of an exempt buyer."`
	Until     time.Time `json:"certificate_until,omitzero" example:"2046-01-31T12:00:00Z" doc:"When the certificate of an exempt buyer ends."`
}

func (a *api) taxStatus(bad *check, c call, given TaxStatusInput) pricing.TaxStatus {
	status := pricing.TaxStatus{
		Kind: pricing.BuyerKind(given.Kind), Country: strings.ToUpper(given.Country), TaxID: given.TaxID,
		CheckedBy: given.CheckedBy, Proof: given.Proof,
	}
	switch {
	case !given.CheckedAt.IsZero():
		status.CheckedAt = given.CheckedAt.UTC()
	case given.CheckedBy != "":
		status.CheckedAt = a.effective(c)
	}
	if !given.Until.IsZero() {
		status.Until = given.Until.UTC()
	}
	if member, why := status.Fault(); member != "" {
		bad.fault(problem.InBody("/"+member, why))
	}
	return status
}

type cartTaxStatusInput struct {
	CartPath
	Body TaxStatusInput
}

func (a *api) setCartTaxStatus(ctx context.Context, c call, in *cartTaxStatusInput) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	status := a.taxStatus(&bad, c, in.Body)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.SetTaxStatus{Status: &status})
}

func (a *api) withdrawCartTaxStatus(ctx context.Context, c call, in *CartPath) (*response[resource.Cart], error) {
	var bad check
	id := inPath(&bad, "cart_id", in.CartID, unit.ParseCartID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCart(ctx, c, id, cart.SetTaxStatus{})
}

type customerTaxStatusInput struct {
	CustomerPath
	Body TaxStatusInput
}

func (a *api) setTaxStatus(ctx context.Context, c call, in *customerTaxStatusInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	status := a.taxStatus(&bad, c, in.Body)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.SetTaxStatus{Status: status})
}

func (a *api) withdrawTaxStatus(ctx context.Context, c call, in *CustomerPath) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.WithdrawTaxStatus{})
}
