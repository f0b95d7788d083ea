package commandapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"daybook/commands/signin"
	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// deskProblem turns the errors of a desk into problems.
func deskProblem(err error) error {
	if wait, is := errors.AsType[*signin.WaitError](err); is {
		return problem.SignInDelayed(wait.After)
	}
	if fault, is := errors.AsType[*signin.FieldError](err); is {
		return problem.NotValid(problem.InBody("/"+fault.Field, fault.Detail))
	}
	if errors.Is(err, signin.ErrRefused) {
		return problem.SignInRefused()
	}
	if errors.Is(err, signin.ErrNoMail) {
		return problem.NoMail()
	}
	if errors.Is(err, signin.ErrBusy) {
		return problem.Overloaded(err)
	}
	return err
}

// SignInAs says who signs in.
type SignInAs struct {
	As string `json:"as,omitempty" enum:"staff,customer" doc:"Who signs in: a person of the staff (the default), or a customer. The same address can belong to both."`
}

func (s SignInAs) kind() signin.Kind {
	return cmp.Or(signin.Kind(s.As), signin.OfStaff)
}

type signInInput struct {
	ProcessHeaders
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254" doc:"The person's address."`
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The person's password."`
		SetUp    bool   `json:"set_up_factor,omitzero" doc:"Set up a second factor even if the role needs none."`
		SignInAs
	}
}

// signIn compares a password.
func (a *api) signIn(ctx context.Context, _ call, in *signInInput) (*response[resource.SignIn], error) {
	done, err := a.desk.SignIn(ctx, fromOf(ctx), in.Body.kind(), in.Body.Email, in.Body.Password, in.Body.SetUp)
	return signedIn(done, err)
}

type codeInput struct {
	ProcessHeaders
	Body struct {
		Step string `json:"step_token" minLength:"1" maxLength:"200"`
		Code string `json:"code" minLength:"6" maxLength:"40" doc:"What the app shows, or a recovery code."`
	}
}

// enterCode completes a sign-in.
func (a *api) enterCode(ctx context.Context, _ call, in *codeInput) (*response[resource.SignIn], error) {
	if err := checkStep(in.Body.Step); err != nil {
		return nil, err
	}
	return signedIn(a.desk.Code(ctx, fromOf(ctx), in.Body.Step, in.Body.Code))
}

// checkStep refuses a text that does not have the form of a step token.
func checkStep(token string) error {
	if signin.IsToken(token) {
		return nil
	}
	return problem.NotValid(problem.InBody("/step_token", "want the step_token of the step before"))
}

type beginFactorInput struct {
	ProcessHeaders
	Body struct {
		Step string `json:"step_token" minLength:"1" maxLength:"200"`
	}
}

// beginFactor makes the secret of a second factor.
func (a *api) beginFactor(ctx context.Context, _ call, in *beginFactorInput) (*response[resource.FactorSecret], error) {
	if err := checkStep(in.Body.Step); err != nil {
		return nil, err
	}
	factor, err := a.desk.BeginFactor(ctx, in.Body.Step)
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[resource.FactorSecret]{Body: &resource.FactorSecret{Secret: factor.Secret, URI: factor.URI}}, nil
}

// confirmFactor sets up a second factor, and completes the sign-in.
func (a *api) confirmFactor(ctx context.Context, _ call, in *codeInput) (*response[resource.SignIn], error) {
	if err := checkStep(in.Body.Step); err != nil {
		return nil, err
	}
	return signedIn(a.desk.ConfirmFactor(ctx, fromOf(ctx), in.Body.Step, in.Body.Code))
}

// fromOf says where a sign-in comes from.
func fromOf(ctx context.Context) signin.From {
	r := problem.RequestOf(ctx)
	return signin.From{Client: r.Client, Browser: r.Browser}
}

// signedIn is the response to a step of a sign-in.
func signedIn(done signin.SignedIn, err error) (*response[resource.SignIn], error) {
	if err != nil {
		return nil, deskProblem(err)
	}
	out := &response[resource.SignIn]{Body: &resource.SignIn{Next: string(done.Next), Recovery: done.Recovery}}
	if done.Next != signin.Complete {
		out.Body.Step = done.Token
		return out, nil
	}
	session := sessionOf(done.Session, true)
	out.Body.Session, out.Body.CustomerID = &session, string(done.Customer)
	out.Cookies = append(knownBy(done.Browser), cookie(problem.SessionCookie, done.Token, 0))
	return out, nil
}

func sessionOf(s signin.Session, current bool) resource.Session {
	return resource.Session{
		SessionID: s.ID, BeganAt: resource.Moment(s.BeganAt), UsedAt: resource.Moment(s.UsedAt), ExpiresAt: resource.Moment(s.ExpiresAt), Current: current,
	}
}

// cookie makes a cookie that no page can read. A browser sends it only to this host, and only for
// pages of this host. If lasts is 0, the cookie ends when the browser is closed. If lasts is
// negative, the browser deletes the cookie.
func cookie(name, value string, lasts time.Duration) http.Cookie {
	return http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(lasts / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// Nothing is a response without members.
type Nothing struct{}

type redeemInput struct {
	ProcessHeaders
	Body struct {
		Token    string `json:"token" minLength:"1" maxLength:"200"`
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The new password: 12 to 200 characters."`
	}
}

// redeemToken sets a password with a token.
func (a *api) redeemToken(ctx context.Context, _ call, in *redeemInput) (*response[resource.StaffMember], error) {
	var bad check
	inBody(&bad, "/token", in.Body.Token, signin.ParseToken)
	if err := bad.err(); err != nil {
		return nil, err
	}
	done, err := a.desk.Redeem(ctx, in.Body.Token, in.Body.Password)
	out, err := member(done.Member, err)
	if err != nil {
		return nil, err
	}
	out.Cookies = knownBy(done.Browser)
	return out, nil
}

// knownBy are the cookies of a browser that is known from now on; browser is its token. It is empty
// if the browser is not known.
func knownBy(browser string) []http.Cookie {
	if browser == "" {
		return nil
	}
	return []http.Cookie{cookie(problem.BrowserCookie, browser, signin.BrowserFor)}
}

type knowBrowserInput struct {
	ProcessHeaders
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"200"`
	}
}

// knowBrowser makes the browser that sends the request known.
func (a *api) knowBrowser(ctx context.Context, _ call, in *knowBrowserInput) (*response[Nothing], error) {
	var bad check
	inBody(&bad, "/token", in.Body.Token, signin.ParseLinkToken)
	if err := bad.err(); err != nil {
		return nil, err
	}
	browser, err := a.desk.KnowBrowser(ctx, in.Body.Token)
	if err != nil {
		return nil, deskProblem(err)
	}
	return &response[Nothing]{Body: &Nothing{}, Cookies: knownBy(browser)}, nil
}

type resetInput struct {
	ProcessHeaders
	Body struct {
		Email string `json:"email" minLength:"1" maxLength:"254" doc:"The person's address."`
		SignInAs
	}
}

// requestReset lets a link for a new password be sent. The response is the same for every address.
func (a *api) requestReset(ctx context.Context, _ call, in *resetInput) (*response[Nothing], error) {
	if err := a.desk.RequestReset(ctx, fromOf(ctx), in.Body.kind(), in.Body.Email); err != nil {
		return nil, deskProblem(err)
	}
	return &response[Nothing]{Body: &Nothing{}}, nil
}

func member(m signin.Member, err error) (*response[resource.StaffMember], error) {
	if err != nil {
		return nil, deskProblem(err)
	}
	shown := resource.StaffMemberOf(m.ID, m.Person, m.Name, m.Email)
	return &response[resource.StaffMember]{Body: &shown}, nil
}

// person returns the person who sends a request.
func (c call) person() (staff.PersonID, error) {
	if id := signin.PersonOf(c.Who); id != "" {
		return id, nil
	}
	return "", problem.SessionRequired()
}

type changePasswordInput struct {
	ProcessHeaders
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The present password."`
		New      string `json:"new_password" minLength:"1" maxLength:"1000" doc:"The new password: 12 to 200 characters."`
	}
}

// changePassword sets the caller's password. All their sessions end, also the one of this request.
func (a *api) changePassword(ctx context.Context, c call, in *changePasswordInput) (*response[Nothing], error) {
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	if err := a.desk.ChangePassword(ctx, id, problem.RequestOf(ctx).Client, in.Body.Password, in.Body.New); err != nil {
		return nil, deskProblem(err)
	}
	return signedOut(), nil
}

type askEmailInput struct {
	ProcessHeaders
	Body struct {
		Password string `json:"password" minLength:"1" maxLength:"1000" doc:"The present password."`
		Email    string `json:"email" minLength:"1" maxLength:"254" doc:"The new address. A link goes there."`
	}
}

// askEmail begins a change of the caller's address. The response is the same if somebody else has
// the new address.
func (a *api) askEmail(ctx context.Context, c call, in *askEmailInput) (*response[Nothing], error) {
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	if err := a.desk.AskEmail(ctx, id, problem.RequestOf(ctx).Client, in.Body.Password, in.Body.Email); err != nil {
		return nil, deskProblem(err)
	}
	return &response[Nothing]{Body: &Nothing{}}, nil
}

type confirmEmailInput struct {
	ProcessHeaders
	Body struct {
		Token string `json:"token" minLength:"1" maxLength:"700" doc:"The token of the link."`
	}
}

// confirmEmail completes a change of an address.
func (a *api) confirmEmail(ctx context.Context, _ call, in *confirmEmailInput) (*response[resource.StaffMember], error) {
	var bad check
	inBody(&bad, "/token", in.Body.Token, signin.ParseEmailToken)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return member(a.desk.ConfirmEmail(ctx, in.Body.Token))
}

type changeEmailInput struct {
	PersonPath
	Body struct {
		Email string `json:"email" minLength:"1" maxLength:"254" doc:"The new address. The token that confirms it goes there."`
	}
}

// changeEmail begins a change of another person's address.
func (a *api) changeEmail(ctx context.Context, c call, in *changeEmailInput) (*response[resource.StaffToken], error) {
	var bad check
	id := in.person(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return withToken(a.desk.ChangeEmail(ctx, c.Call, id, in.Body.Email))
}

// signOut ends the caller's session.
func (a *api) signOut(ctx context.Context, c call, _ *struct{ ProcessHeaders }) (*response[Nothing], error) {
	if _, err := c.person(); err != nil {
		return nil, err
	}
	if err := a.desk.SignOut(ctx, c.Who); err != nil {
		return nil, err
	}
	return signedOut(), nil
}

func signedOut() *response[Nothing] {
	return &response[Nothing]{Body: &Nothing{}, Cookies: []http.Cookie{cookie(problem.SessionCookie, "", -time.Second)}}
}

type endSessionInput struct {
	ProcessHeaders
	SessionID string `path:"session_id" maxLength:"40" doc:"As GET /v1/auth/sessions lists it."`
}

// endSession ends a session of the caller.
func (a *api) endSession(ctx context.Context, c call, in *endSessionInput) (*response[Nothing], error) {
	id, err := c.person()
	if err != nil {
		return nil, err
	}
	return &response[Nothing]{Body: &Nothing{}}, a.desk.EndSession(ctx, id, in.SessionID)
}

type inviteInput struct {
	ProcessHeaders
	Body struct {
		Email string `json:"email" minLength:"1" maxLength:"254" doc:"The address with which the person will sign in."`
		Name  string `json:"name" minLength:"1" maxLength:"100" doc:"What the person is called."`
		Role  string `json:"role" minLength:"1" maxLength:"40" doc:"A role that reaches everything, so not customer."`
	}
}

// inviteStaff invites a person. The response is never kept as an answer, because it may have a
// token.
func (a *api) inviteStaff(ctx context.Context, c call, in *inviteInput) (*response[resource.StaffToken], error) {
	var bad check
	role := inBody(&bad, "/role", in.Body.Role, access.ParseRole)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return withToken(a.desk.Invite(ctx, c.Call, signin.Contact{Email: in.Body.Email, Name: in.Body.Name}, role))
}

func withToken(m signin.Member, token signin.Token, err error) (*response[resource.StaffToken], error) {
	if err != nil {
		return nil, deskProblem(err)
	}
	shown := resource.StaffToken{Person: resource.StaffMemberOf(m.ID, m.Person, m.Name, m.Email), Token: token.Text, Until: resource.Moment(token.Until), Mail: string(token.Delivery)}
	return &response[resource.StaffToken]{Body: &shown}, nil
}

// PersonPath names a person.
type PersonPath struct {
	ProcessHeaders
	PersonID string `path:"person_id" maxLength:"40" doc:"As GET /v1/staff lists it."`
}

func (p *PersonPath) person(bad *check) staff.PersonID {
	return inPath(bad, "person_id", p.PersonID, staff.ParsePersonID)
}

// giveToken gives a person another token.
func (a *api) giveToken(ctx context.Context, c call, in *struct{ PersonPath }) (*response[resource.StaffToken], error) {
	var bad check
	id := in.person(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return withToken(a.desk.GiveToken(ctx, c.Call, id))
}

type changeRoleInput struct {
	PersonPath
	Body struct {
		Role string `json:"role" minLength:"1" maxLength:"40" doc:"A role that reaches everything, so not customer."`
	}
}

// changeRole gives a person another role.
func (a *api) changeRole(ctx context.Context, c call, in *changeRoleInput) (*response[resource.StaffMember], error) {
	var bad check
	id, role := in.person(&bad), inBody(&bad, "/role", in.Body.Role, access.ParseRole)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return member(a.desk.ChangeRole(ctx, c.Call, id, role))
}

type disableInput struct {
	PersonPath
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why it ends."`
	}
}

// disableStaff ends a person's access.
func (a *api) disableStaff(ctx context.Context, c call, in *disableInput) (*response[resource.StaffMember], error) {
	var bad check
	id := in.person(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return member(a.desk.Disable(ctx, c.Call, id, in.Body.Reason))
}

// removeFactor takes a person's second factor away.
func (a *api) removeFactor(ctx context.Context, c call, in *struct{ PersonPath }) (*response[resource.StaffMember], error) {
	var bad check
	id := in.person(&bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return member(a.desk.RemoveFactor(ctx, c.Call, id))
}
