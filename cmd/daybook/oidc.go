package main

import (
	"context"

	"daybook/domain/unit"
	"daybook/internal/idtoken"
)

// oidcFlags say whose JSON web tokens are good.
type oidcFlags struct {
	Issuer        string `name:"oidc-issuer" placeholder:"URL" from:"DAYBOOK_OIDC_ISSUER" help:"The issuer of OpenID Connect whose tokens are accepted beside API keys, such as https://login.shop.example. Its address must be exactly as its tokens have it."`
	Audience      string `name:"oidc-audience" placeholder:"NAME" from:"DAYBOOK_OIDC_AUDIENCE" help:"How the issuer names this shop. Only tokens for this audience are accepted. Needed with --oidc-issuer."`
	RoleClaim     string `name:"oidc-role-claim" default:"daybook_role" placeholder:"NAME" from:"DAYBOOK_OIDC_ROLE_CLAIM" help:"The member of a token that names the role, or a list with one role among other names. Default: ${default}."`
	CustomerClaim string `name:"oidc-customer-claim" default:"daybook_customer" placeholder:"NAME" from:"DAYBOOK_OIDC_CUSTOMER_CLAIM" help:"The member of a token that names the customer. If a token with the role customer lacks it, the customer's id is made from the token's subject. Default: ${default}."`
}

func (f oidcFlags) check(access string) error {
	for flag, name := range map[string]string{"--oidc-role-claim": f.RoleClaim, "--oidc-customer-claim": f.CustomerClaim} {
		if !unit.FitsLine(name, unit.MaxReference) {
			return usagef("%s must be one line of 1 to %d characters", flag, unit.MaxReference)
		}
	}
	switch {
	case f.Issuer == "" && f.Audience == "":
		return nil
	case f.Issuer == "":
		return usagef("--oidc-audience needs --oidc-issuer")
	case !unit.FitsLine(f.Audience, unit.MaxTitle):
		return usagef("--oidc-issuer needs --oidc-audience, because otherwise tokens for other programs would be accepted")
	case access == accessOff:
		return usagef("--oidc-issuer and --access off exclude each other")
	}
	if err := idtoken.ParseIssuer(f.Issuer); err != nil {
		return usagef("--oidc-issuer: %v", err)
	}
	return nil
}

// verifier returns what checks tokens. It is nil if no issuer is named, and then no token is good.
func (f oidcFlags) verifier(n *node) *idtoken.Verifier {
	if f.Issuer == "" {
		return nil
	}
	return idtoken.New(idtoken.Config{
		Issuer: f.Issuer, Audience: f.Audience, RoleClaim: f.RoleClaim, CustomerClaim: f.CustomerClaim,
		CustomerOf: func(ctx context.Context, subject string) (unit.CustomerID, error) {
			return n.desk.CustomerOfSubject(ctx, f.Issuer, subject)
		},
		Grants: n.keys.Grants, Now: n.now,
	})
}
