package commandapi

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/commands/aggregate"
	"daybook/domain/access"
	"daybook/domain/contact"
	"daybook/domain/customer"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// CustomerPath names a customer.
type CustomerPath struct {
	Headers
	CustomerID string `path:"customer_id" maxLength:"64"`
}

// customersAddress is the address of a customer without its id.
const customersAddress = "/v1/customers/"

type registerInput struct {
	Headers
	Body struct {
		CustomerID string `json:"customer_id,omitempty" maxLength:"64" doc:"Left out for a new customer: the server makes the id. Given for a customer who has carts or orders under this id already; that needs the permission fields.trusted."`
		ProfileInput
	}
}

// ProfileInput says who a customer is.
type ProfileInput struct {
	Name   string `json:"name,omitempty" maxLength:"200" example:"Ann Example" doc:"What the customer is called."`
	Email  string `json:"email,omitempty" maxLength:"254" example:"ann@home.example"`
	Phone  string `json:"phone,omitempty" maxLength:"32" example:"+44 20 7946 0000"`
	Locale string `json:"locale,omitempty" maxLength:"35" example:"en-GB" doc:"The language of the customer."`
}

func (a *api) registerCustomer(ctx context.Context, c call, in *registerInput) (*response[resource.Customer], error) {
	var bad check
	id := c.customer(&bad, "/customer_id", in.Body.CustomerID)
	if in.Body.CustomerID != "" && c.Owner() == "" && !c.Who.May(access.TrustedFields) {
		bad.forbidden = append(bad.forbidden, problem.InBody("/customer_id", "needs the permission fields.trusted"))
	}
	if id == "" {
		id = a.newCustomer(c)
	}
	p := customer.Profile{Name: in.Body.Name, Email: in.Body.Email, Phone: in.Body.Phone, Locale: in.Body.Locale}
	checkProfile(&bad, &p.Name, &p.Email, &p.Phone, &p.Locale)
	if err := bad.err(); err != nil {
		return nil, err
	}
	c.New = true
	out, err := a.changeCustomer(ctx, c, id, customer.Register{CustomerID: id, Profile: p})
	if err != nil {
		return nil, err
	}
	return out.at(customersAddress + string(id)), nil
}

// newCustomer makes the id of a new customer. It is the same each time the request is repeated
// under its key. Without the secret of the nodes it could be guessed from the key.
func (a *api) newCustomer(c call) unit.CustomerID {
	if a.customerID != nil {
		return a.customerID(c.Meta.CommandID)
	}
	return unit.CustomerID("c" + strings.ReplaceAll(c.derive(unit.NewCustomer), "-", ""))
}

// checkProfile notes the faults of a profile. A member that is nil is not given.
func checkProfile(bad *check, name, email, phone, locale *string) {
	for _, text := range []struct {
		pointer string
		given   *string
		fault   func(string) string
	}{
		{"/name", name, func(text string) string { return unit.LineFault(text, unit.MaxTitle) }},
		{"/email", email, contact.EmailFault},
		{"/phone", phone, contact.PhoneFault},
		{"/locale", locale, contact.LocaleFault},
	} {
		if text.given == nil {
			continue
		}
		if fault := text.fault(*text.given); fault != "" {
			bad.fault(problem.InBody(text.pointer, fault))
		}
	}
}

type patchCustomerInput struct {
	CustomerPath
	Body struct {
		Name   Change[string] `json:"name,omitzero" maxLength:"200" doc:"What the customer is called; null for none."`
		Email  Change[string] `json:"email,omitzero" maxLength:"254"`
		Phone  Change[string] `json:"phone,omitzero" maxLength:"32"`
		Locale Change[string] `json:"locale,omitzero" maxLength:"35"`
	}
}

func (a *api) patchCustomer(ctx context.Context, c call, in *patchCustomerInput) (*response[resource.Customer], error) {
	var bad check
	given := func(member Change[string]) *string {
		if !member.Given {
			return nil
		}
		return &member.Value
	}
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	change := customer.ChangeProfile{Name: given(in.Body.Name), Email: given(in.Body.Email), Phone: given(in.Body.Phone), Locale: given(in.Body.Locale)}
	checkProfile(&bad, change.Name, change.Email, change.Phone, change.Locale)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, change)
}

// AddressInput is an address as it is given.
type AddressInput struct {
	Name     string   `json:"name,omitempty" maxLength:"100" example:"Ann Example" doc:"Who gets the parcel."`
	Company  string   `json:"company,omitempty" maxLength:"100"`
	Lines    []string `json:"lines" minItems:"1" maxItems:"4" minLength:"1" maxLength:"100" example:"1 High Street" doc:"The street with its number, and the like."`
	Postcode string   `json:"postcode,omitempty" maxLength:"20" example:"LS1 4AP"`
	City     string   `json:"city,omitempty" maxLength:"100" example:"Leeds"`
	Region   string   `json:"region,omitempty" maxLength:"3" example:"CA" doc:"The code of a state or province: the second part of an ISO 3166-2 code."`
	Country  string   `json:"country" minLength:"2" maxLength:"2" example:"GB" doc:"ISO 3166-1."`
	Phone    string   `json:"phone,omitempty" maxLength:"32" example:"+44 20 7946 0000"`
}

// address reads an address at a place of the body.
func address(bad *check, pointer string, given AddressInput) contact.Address {
	a := contact.Address{
		Name: given.Name, Company: given.Company, Lines: given.Lines, Postcode: given.Postcode, City: given.City,
		Region: strings.ToUpper(given.Region), Country: unit.Country(strings.ToUpper(given.Country)), Phone: given.Phone,
	}
	for _, fault := range a.Faults() {
		bad.fault(problem.InBody(pointer+"/"+fault.Member, fault.Text))
	}
	return a
}

type addAddressInput struct {
	CustomerPath
	Body SavedAddressInput
}

// SavedAddressInput is an address of a customer, and whether it is a default.
type SavedAddressInput struct {
	AddressInput
	Billing  bool `json:"default_billing,omitzero" doc:"Make it the address for bills. The first address is the default of both kinds."`
	Shipping bool `json:"default_shipping,omitzero" doc:"Make it the address for parcels."`
}

func (a *api) addAddress(ctx context.Context, c call, in *addAddressInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	add := customer.AddAddress{
		AddressID: customer.AddressID("a" + c.derive(unit.NewAddress)), Address: address(&bad, "", in.Body.AddressInput),
		Billing: in.Body.Billing, Shipping: in.Body.Shipping,
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, add)
}

// CustomerAddressPath names an address of a customer.
type CustomerAddressPath struct {
	CustomerPath
	AddressID string `path:"address_id" maxLength:"64"`
}

type changeAddressInput struct {
	CustomerAddressPath
	Body SavedAddressInput
}

func (a *api) changeAddress(ctx context.Context, c call, in *changeAddressInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	change := customer.ChangeAddress{
		AddressID: inPath(&bad, "address_id", in.AddressID, customer.ParseAddressID), Address: address(&bad, "", in.Body.AddressInput),
		Billing: in.Body.Billing, Shipping: in.Body.Shipping,
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, change)
}

func (a *api) removeAddress(ctx context.Context, c call, in *CustomerAddressPath) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	remove := customer.RemoveAddress{AddressID: inPath(&bad, "address_id", in.AddressID, customer.ParseAddressID)}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, remove)
}

type consentInput struct {
	CustomerPath
	Body struct {
		Purpose string `json:"purpose" enum:"marketing,analytics,terms"`
		Version string `json:"version,omitempty" maxLength:"64" example:"2026-01" doc:"Of the text to which the customer agrees. Needed if given is true."`
		Given   bool   `json:"given" doc:"false withdraws the consent."`
	}
}

func (a *api) recordConsent(ctx context.Context, c call, in *consentInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if in.Body.Given && in.Body.Version == "" {
		bad.fault(problem.InBody("/version", "a consent names the version of the text"))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.Consent{Purpose: customer.Purpose(in.Body.Purpose), Version: in.Body.Version, Given: in.Body.Given, At: a.effective(c)})
}

// effective is when a request takes effect: the time that it names, or now.
func (a *api) effective(c call) time.Time {
	if !c.Meta.OccurredAt.IsZero() {
		return c.Meta.OccurredAt
	}
	return a.service.Now().UTC()
}

type setGroupsInput struct {
	CustomerPath
	Body struct {
		Groups []string `json:"groups" maxItems:"50" minLength:"1" maxLength:"64" example:"trade" doc:"All groups that the customer shall be in."`
	}
}

func (a *api) setGroups(ctx context.Context, c call, in *setGroupsInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	set := customer.SetGroups{Groups: make([]customer.Group, len(in.Body.Groups))}
	for i, name := range in.Body.Groups {
		set.Groups[i] = inBody(&bad, at("/groups", i), name, customer.ParseGroup)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, set)
}

type addNoteInput struct {
	CustomerPath
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"2000" example:"asks for late deliveries"`
	}
}

func (a *api) addNote(ctx context.Context, c call, in *addNoteInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.AddNote{NoteID: customer.NoteID("n" + c.derive(unit.NewNote)), Text: in.Body.Text, At: a.effective(c)})
}

type blockInput struct {
	CustomerPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *api) blockCustomer(ctx context.Context, c call, in *blockInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	return a.changeCustomer(ctx, c, id, customer.Block{Reason: in.Body.Reason})
}

type unblockInput struct {
	CustomerPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

func (a *api) unblockCustomer(ctx context.Context, c call, in *unblockInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	unblock := customer.Unblock{}
	if in.Body != nil {
		unblock.Reason = in.Body.Reason
	}
	return a.changeCustomer(ctx, c, id, unblock)
}

type mergeCustomerInput struct {
	CustomerPath
	Body struct {
		Into string `json:"into_customer_id" minLength:"1" maxLength:"64" example:"17850" doc:"The account that answers for this one from now on."`
	}
}

func (a *api) mergeCustomer(ctx context.Context, c call, in *mergeCustomerInput) (*response[resource.Customer], error) {
	var bad check
	id := inPath(&bad, "customer_id", in.CustomerID, unit.ParseCustomerID)
	into := inBody(&bad, "/into_customer_id", in.Body.Into, unit.ParseCustomerID)
	if err := bad.err(); err != nil {
		return nil, err
	}
	if err := a.desk.MayMerge(ctx, c.Call, id); err != nil {
		return nil, err
	}
	done, err := a.service.MergeCustomer(ctx, c.Call, id, into)
	if err != nil {
		return nil, err
	}
	return a.showCustomer(ctx, c, id, done)
}

// changeCustomer sends commands on an account, and responds with the account as it is then.
func (a *api) changeCustomer(ctx context.Context, c call, id unit.CustomerID, wanted ...customer.Command) (*response[resource.Customer], error) {
	done, err := a.service.Customer(ctx, c.Call, id, wanted...)
	if err != nil {
		return nil, err
	}
	return a.showCustomer(ctx, c, id, done)
}

// showCustomer responds with an account after a change.
func (a *api) showCustomer(ctx context.Context, c call, id unit.CustomerID, done aggregate.Result[customer.Event]) (*response[resource.Customer], error) {
	_, limited := c.Who.Owned(c.Needs)
	body := func(s customer.State, revision int64) resource.Customer {
		return resource.CustomerOf(id, s, revision, !limited)
	}
	if state, revision, whole := foldNew(customer.Evolve, done); whole {
		return respond(revision, done, body(state, revision)), nil
	}
	state, err := view(ctx, a.service.ViewCustomer, id, body)
	if err != nil {
		return nil, err
	}
	return respond(state.Revision, done, state), nil
}

// CustomerIDs makes the ids of new customers from the ids of the commands that register them. With
// nil, an id follows from the command id alone.
type CustomerIDs func(uuid.UUID) unit.CustomerID
