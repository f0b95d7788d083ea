package commandapi

import (
	"context"

	"daybook/commands/signin"
	"daybook/internal/resource"
)

type signUpInput struct {
	ProcessHeaders
	Body struct {
		Email string `json:"email" minLength:"1" maxLength:"254" doc:"The customer's address."`
	}
}

// requestSignUp lets a link be sent with which a customer makes a login. The response is the same
// for every address.
func (a *api) requestSignUp(ctx context.Context, _ call, in *signUpInput) (*response[Nothing], error) {
	if err := a.desk.RequestSignUp(ctx, fromOf(ctx), in.Body.Email); err != nil {
		return nil, deskProblem(err)
	}
	return &response[Nothing]{Body: &Nothing{}}, nil
}

type confirmSignUpInput struct {
	ProcessHeaders
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"900" doc:"The token of the link."`
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The new password: 12 to 200 characters."`
		Name     string `json:"name,omitempty" maxLength:"100" doc:"What a new customer is called."`
	}
}

// confirmSignUp makes a login, and signs in.
func (a *api) confirmSignUp(ctx context.Context, _ call, in *confirmSignUpInput) (*response[resource.SignIn], error) {
	var bad check
	inBody(&bad, "/token", in.Body.Token, signin.ParseSignUpToken)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return signedIn(a.desk.ConfirmSignUp(ctx, fromOf(ctx), in.Body.Token, in.Body.Password, in.Body.Name))
}

type inviteCustomerInput struct {
	ProcessHeaders
	Body struct {
		CustomerID string `json:"customer_id" minLength:"1" maxLength:"64" doc:"Who is invited."`
		Email      string `json:"email" minLength:"1" maxLength:"254" doc:"The address to which the link goes, and with which the customer will sign in."`
	}
}

// inviteCustomer sends a customer a link with which they make a login for their account.
func (a *api) inviteCustomer(ctx context.Context, c call, in *inviteCustomerInput) (*response[resource.Invitation], error) {
	var bad check
	id := c.customer(&bad, "/customer_id", in.Body.CustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	token, err := a.desk.InviteCustomer(ctx, c.Call, id, in.Body.Email)
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[resource.Invitation]{Body: &resource.Invitation{Until: resource.Moment(token.Until), Mail: string(token.Delivery)}}, nil
}
