package commandapi

import (
	"context"

	"daybook/domain/subject"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type eraseInput struct {
	ProcessHeaders
	Body struct {
		CustomerID string `json:"customer_id,omitempty" maxLength:"64" doc:"The customer. Send either this or cart_id."`
		CartID     string `json:"cart_id,omitempty" maxLength:"64" doc:"The cart of a guest, who has no customer id."`
		Reason     string `json:"reason" enum:"requested,retention,other" doc:"requested: the person has asked for it. retention: the shop keeps such data no longer."`
	}
}

type eraseCustomerInput struct {
	ProcessHeaders
	CustomerID string `path:"customer_id" maxLength:"64"`
}

// erase erases the personal texts of a customer or a guest.
func (a *api) erase(ctx context.Context, c call, in *eraseInput) (*response[resource.Erasure], error) {
	var bad check
	asked := subject.Erased{Reason: subject.Reason(in.Body.Reason)}
	switch {
	case (in.Body.CustomerID == "") == (in.Body.CartID == ""):
		bad.fault(problem.InBody("/customer_id", "want either customer_id or cart_id"))
	case in.Body.CustomerID != "":
		asked.CustomerID = inBody(&bad, "/customer_id", in.Body.CustomerID, unit.ParseCustomerID)
	default:
		asked.CartID = inBody(&bad, "/cart_id", in.Body.CartID, unit.ParseCartID)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.eraseOf(ctx, c, asked)
}

// eraseCustomer erases a customer at the customer's own wish.
func (a *api) eraseCustomer(ctx context.Context, c call, in *eraseCustomerInput) (*response[resource.Erasure], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.eraseOf(ctx, c, subject.Erased{CustomerID: id, Reason: subject.Requested})
}

// eraseOf erases, and tells how far the erasure is.
func (a *api) eraseOf(ctx context.Context, c call, asked subject.Erased) (*response[resource.Erasure], error) {
	result, err := a.service.Erase(ctx, c.Call, asked)
	if err != nil {
		return nil, err
	}
	state, _, err := a.service.Subject(ctx, asked.Owner())
	if err != nil {
		return nil, err
	}
	done := true
	if a.service.Eraser != nil {
		if done, err = a.service.Eraser.Done(ctx, asked.Owner()); err != nil {
			return nil, err
		}
	}
	body := resource.ErasureOf(state, done)
	return &response[resource.Erasure]{Position: result.Position.String(), Body: &body}, nil
}
