package commandapi

import (
	"context"

	"daybook/commands/signin"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// beginNewFactor makes the secret of another second factor for the caller.
func (a *api) beginNewFactor(ctx context.Context, c call, _ *struct{ ProcessHeaders }) (*response[resource.NewFactor], error) {
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	factor, token, err := a.desk.BeginNewFactor(ctx, id)
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[resource.NewFactor]{Body: &resource.NewFactor{Secret: factor.Secret, URI: factor.URI, Step: token}}, nil
}

// given is how the caller proves who they are.
func given(ctx context.Context, password, code string) signin.Given {
	return signin.Given{Client: problem.RequestOf(ctx).Client, Password: password, Code: code}
}

type replaceFactorInput struct {
	ProcessHeaders
	Body struct {
		Step     string `json:"step_token" minLength:"1" maxLength:"200"`
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The present password."`
		Code     string `json:"code" minLength:"6" maxLength:"40" doc:"What the present app shows, or a recovery code."`
		New      string `json:"new_code" minLength:"6" maxLength:"40" doc:"What the new app shows."`
	}
}

// replaceFactor replaces the caller's second factor. All their sessions end, also the one of this
// request.
func (a *api) replaceFactor(ctx context.Context, c call, in *replaceFactorInput) (*response[resource.RecoveryCodes], error) {
	if err := checkStep(in.Body.Step); err != nil {
		return nil, err
	}
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	codes, err := a.desk.ReplaceFactor(ctx, id, given(ctx, in.Body.Password, in.Body.Code), in.Body.Step, in.Body.New)
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[resource.RecoveryCodes]{Body: &resource.RecoveryCodes{Recovery: codes}, Cookies: signedOut().Cookies}, nil
}

type renewRecoveryInput struct {
	ProcessHeaders
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The present password."`
		Code     string `json:"code" minLength:"6" maxLength:"40" doc:"What the app shows, or a recovery code."`
	}
}

// renewRecovery gives the caller new recovery codes.
func (a *api) renewRecovery(ctx context.Context, c call, in *renewRecoveryInput) (*response[resource.RecoveryCodes], error) {
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	codes, err := a.desk.RenewRecovery(ctx, id, given(ctx, in.Body.Password, in.Body.Code))
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[resource.RecoveryCodes]{Body: &resource.RecoveryCodes{Recovery: codes}}, nil
}

type endStaffSessionInput struct {
	PersonPath
	SessionID string `path:"session_id" maxLength:"40" doc:"As GET /v1/staff/{person_id}/sessions lists it."`
}

// endStaffSession ends a session of another person.
func (a *api) endStaffSession(ctx context.Context, c call, in *endStaffSessionInput) (*response[resource.StaffMember], error) {
	var bad check
	id := in.person(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return member(a.desk.EndSessionOf(ctx, c.Call, id, in.SessionID))
}
