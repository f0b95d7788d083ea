package commandapi

import (
	"context"
	"errors"
	"time"

	"daybook/commands/keyring"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

type createKeyInput struct {
	ProcessHeaders
	Body struct {
		Name       string    `json:"name" minLength:"1" maxLength:"100" doc:"What the key is for."`
		Role       string    `json:"role" minLength:"1" maxLength:"40" doc:"Which role its holder has."`
		CustomerID string    `json:"customer_id,omitempty" maxLength:"64" doc:"The customer whose things it reaches. Needed for a role that reaches own things, and refused for others."`
		ExpiresAt  time.Time `json:"expires_at,omitzero" doc:"When it ends by itself. Left out: never."`
		Locations  []string  `json:"locations,omitempty" maxItems:"100" maxLength:"64" doc:"The only locations whose stock it reads and changes, and from which it fulfils orders. Left out: all."`
		Channels   []string  `json:"channels,omitempty" maxItems:"20" maxLength:"32" doc:"The only channels that its requests may record. The first is recorded if a request names none. Left out: all."`
	}
}

// createKey makes an API key. The response is never kept as an answer, because it has the secret.
// So a request that is sent again makes another key.
func (a *api) createKey(ctx context.Context, c call, in *createKeyInput) (*response[resource.APIKeySecret], error) {
	var bad check
	role := inBody(&bad, "/role", in.Body.Role, access.ParseRole)
	optional(&bad, "/customer_id", in.Body.CustomerID, unit.ParseCustomerID)
	var scope access.Scope
	for i, channel := range in.Body.Channels {
		scope.Channels = append(scope.Channels, inBody(&bad, at("/channels", i), channel, access.ParseChannel))
	}
	for i, location := range in.Body.Locations {
		scope.Locations = append(scope.Locations, inBody(&bad, at("/locations", i), location, parseLocation))
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	id := keyring.NewID()
	secret := keyring.NewSecret(id)
	return a.changeKey(ctx, c, id, secret.Text, access.IssueKey{
		Key: id, Name: in.Body.Name, Role: role, Customer: in.Body.CustomerID, Hash: secret.Hash,
		ExpiresAt: in.Body.ExpiresAt.UTC(), Scope: scope, Now: a.service.Now(),
	})
}

// parseLocation reads a location that must have a name.
func parseLocation(text string) (unit.LocationID, error) {
	if text == "" {
		return "", errors.New("a location has a name")
	}
	return unit.ParseLocationID(text)
}

// KeyPath names an API key.
type KeyPath struct {
	ProcessHeaders
	KeyID string `path:"key_id" maxLength:"40" doc:"As GET /v1/keys lists it."`
}

// key is the key's id.
func (p *KeyPath) key() (access.KeyID, error) {
	var bad check
	id := inPath(&bad, "key_id", p.KeyID, access.ParseKeyID)
	return id, bad.err()
}

type rotateKeyInput struct {
	KeyPath
	Body struct {
		OverlapSeconds int64 `json:"overlap_seconds,omitzero" minimum:"0" maximum:"2592000" doc:"How long the secret before stays good, so that its holder can change over."`
	}
}

// rotateKey gives a key a new secret.
func (a *api) rotateKey(ctx context.Context, c call, in *rotateKeyInput) (*response[resource.APIKeySecret], error) {
	id, err := in.key()
	if err != nil {
		return nil, err
	}
	secret := keyring.NewSecret(id)
	return a.changeKey(ctx, c, id, secret.Text, access.RotateKey{
		Key: id, Hash: secret.Hash, Overlap: time.Duration(in.Body.OverlapSeconds) * time.Second, Now: a.service.Now(),
	})
}

// changeKey carries out a command on a key, and responds with the key and its new secret.
func (a *api) changeKey(ctx context.Context, c call, id access.KeyID, secret string, command access.Command) (*response[resource.APIKeySecret], error) {
	shown, err := a.keyAfter(ctx, c, id, command)
	if err != nil {
		return nil, err
	}
	return &response[resource.APIKeySecret]{Body: &resource.APIKeySecret{Key: shown, Secret: secret}}, nil
}

// maxKeysWait is how long a response waits until this node knows a change of keys or roles.
const maxKeysWait = time.Second

// changeAccess carries out a command on keys and roles. It returns when this node has heard of the
// change. So a new key can be used at once, and a revoked key is refused at once. If this takes
// longer than maxKeysWait, it returns nil, because the change is recorded and the node will hear of
// it.
func (a *api) changeAccess(ctx context.Context, c call, command access.Command) error {
	done, err := a.service.Access(ctx, c.Call, command)
	if err != nil || a.keysRead == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maxKeysWait)
	defer cancel()
	_ = a.keysRead(ctx, done.Revision)
	return nil
}

// keyAfter carries out a command on a key, and returns the key as it is afterwards.
func (a *api) keyAfter(ctx context.Context, c call, id access.KeyID, command access.Command) (shown resource.APIKey, err error) {
	if err := a.changeAccess(ctx, c, command); err != nil {
		return shown, err
	}
	err = a.service.ViewAccess(ctx, func(state access.State, _ int64) { shown = resource.APIKeyOf(id, state.Keys[id], a.service.Now()) })
	return shown, err
}

type revokeKeyInput struct {
	KeyPath
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why it ends."`
	}
}

// revokeKey ends a key. A key that has ended stays as it is.
func (a *api) revokeKey(ctx context.Context, c call, in *revokeKeyInput) (*response[resource.APIKey], error) {
	id, err := in.key()
	if err != nil {
		return nil, err
	}
	shown, err := a.keyAfter(ctx, c, id, access.RevokeKey{Key: id, Reason: in.Body.Reason})
	if err != nil {
		return nil, err
	}
	return &response[resource.APIKey]{Body: &shown}, nil
}

// RolePath names a role.
type RolePath struct {
	ProcessHeaders
	Role string `path:"role" maxLength:"40" doc:"The role's name."`
}

// GrantInput is one permission of a role in a request.
type GrantInput struct {
	Permission string `json:"permission" minLength:"1" maxLength:"40"`
	Reach      string `json:"reach" enum:"own,all" doc:"own: for what belongs to the key's customer. Only carts, orders, returns and customers belong to somebody."`
}

type defineRoleInput struct {
	RolePath
	Body struct {
		Grants []GrantInput `json:"grants" minItems:"1" maxItems:"100" doc:"What the role may do. It replaces what the role could do before."`
	}
}

// defineRole makes or changes a custom role.
func (a *api) defineRole(ctx context.Context, c call, in *defineRoleInput) (*response[resource.Role], error) {
	var bad check
	role := inPath(&bad, "role", in.Role, access.ParseRole)
	grants := make(access.Grants, len(in.Body.Grants))
	for i, grant := range in.Body.Grants {
		permission := inBody(&bad, at("/grants", i)+"/permission", grant.Permission, access.ParsePermission)
		if _, twice := grants[permission]; twice && permission != "" {
			bad.fault(problem.InBody(at("/grants", i)+"/permission", "this permission is named twice"))
		}
		grants[permission] = access.Reach(grant.Reach)
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	if err := a.changeAccess(ctx, c, access.DefineRole{Role: role, Grants: grants}); err != nil {
		return nil, err
	}
	shown := resource.RoleOf(role, grants)
	return &response[resource.Role]{Body: &shown}, nil
}

// removeRole ends a custom role.
func (a *api) removeRole(ctx context.Context, c call, in *struct{ RolePath }) (*response[resource.Role], error) {
	var bad check
	role := inPath(&bad, "role", in.Role, access.ParseRole)
	if err := bad.err(); err != nil {
		return nil, err
	}
	if err := a.changeAccess(ctx, c, access.RemoveRole{Role: role}); err != nil {
		return nil, err
	}
	shown := resource.RoleOf(role, nil)
	return &response[resource.Role]{Body: &shown}, nil
}
