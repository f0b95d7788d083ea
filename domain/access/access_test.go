package access

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/domain/decidertest"
	"daybook/domain/unit"
)

var decider = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	hash   = strings.Repeat("a1", 32)
	second = strings.Repeat("b2", 32)
)

func rows() map[string]row {
	admin := KeyIssued{Key: "k1", Name: "first admin", Role: Admin, Hash: hash}
	another := KeyIssued{Key: "k2", Name: "second admin", Role: Admin, Hash: second}
	eve := KeyIssued{Key: "k3", Name: "Eve", Role: Customer, Customer: "17850", Hash: hash}
	brief := KeyIssued{Key: "k4", Name: "audit of May", Role: Auditor, Hash: hash, ExpiresAt: noon}
	picker := RoleDefined{Role: "picker", Grants: []Grant{{ReadOrders, All}, {ShipOrders, All}}}
	pickers := KeyIssued{Key: "k5", Name: "warehouse", Role: "picker", Hash: hash}
	issue := func(change func(*IssueKey)) IssueKey {
		cmd := IssueKey{Key: "k1", Name: "first admin", Role: Admin, Hash: hash, Now: noon}
		change(&cmd)
		return cmd
	}
	scoped := func(scope Scope) func(*IssueKey) {
		return func(c *IssueKey) { c.Role, c.Scope = Operator, scope }
	}
	field := func(name string) map[string]any { return map[string]any{"field": name} }
	limitedBoss := KeyIssued{Key: "k6", Name: "boss of a location", Role: "boss", Hash: hash, Scope: Scope{Locations: []unit.LocationID{"north"}}}
	return map[string]row{
		"a key can be issued":                       {When: issue(func(*IssueKey) {}), Then: []Event{admin}},
		"an id is used once":                        {Given: []Event{admin}, When: issue(func(*IssueKey) {}), Refused: ErrKeyExists},
		"an id is used once, even if the key ended": {Given: []Event{admin, KeyRevoked{Key: "k1"}}, When: issue(func(*IssueKey) {}), Refused: ErrKeyExists},
		"an id is plain":                            {When: issue(func(c *IssueKey) { c.Key = "K 1" }), Refused: ErrKeyInvalid},
		"an id is needed":                           {When: issue(func(c *IssueKey) { c.Key = "" }), Refused: ErrKeyInvalid},
		"a name is needed":                          {When: issue(func(c *IssueKey) { c.Name = "" }), Refused: ErrKeyInvalid},
		"a name is one line":                        {When: issue(func(c *IssueKey) { c.Name = "a\nb" }), Refused: ErrKeyInvalid},
		"a name has at most 100 characters":         {When: issue(func(c *IssueKey) { c.Name = strings.Repeat("x", 101) }), Refused: ErrKeyInvalid},
		"a role must exist":                         {When: issue(func(c *IssueKey) { c.Role = "king" }), Refused: ErrRoleNotFound.With("", map[string]any{"role": "king"})},
		"a hash is a SHA-256":                       {When: issue(func(c *IssueKey) { c.Hash = "secret" }), Refused: ErrKeyInvalid},
		"an end is in the future":                   {When: issue(func(c *IssueKey) { c.ExpiresAt = noon }), Refused: ErrKeyInvalid},
		"a customer's key needs a customer":         {When: issue(func(c *IssueKey) { c.Role = Customer }), Refused: ErrKeyInvalid},
		"a guest has no key":                        {When: issue(func(c *IssueKey) { c.Role, c.Customer = Guest, "17850" }), Refused: ErrKeyInvalid},
		"a customer's id is checked":                {When: issue(func(c *IssueKey) { c.Role, c.Customer = Customer, "a b\x00" }), Refused: ErrKeyInvalid},
		"an operator's key has no customer":         {When: issue(func(c *IssueKey) { c.Role, c.Customer = Operator, "17850" }), Refused: ErrKeyInvalid},
		"a customer's key": {
			When: IssueKey{Key: "k3", Name: "Eve", Role: Customer, Customer: "17850", Hash: hash, Now: noon}, Then: []Event{eve},
		},
		"a key that ends by itself": {
			When: IssueKey{Key: "k4", Name: "audit of May", Role: Auditor, Hash: hash, ExpiresAt: noon, Now: noon.Add(-time.Hour)}, Then: []Event{brief},
		},
		"a key can be limited to locations and channels": {
			When: issue(func(c *IssueKey) {
				c.Role, c.Scope = Operator, Scope{Locations: []unit.LocationID{"north"}, Channels: []string{"web"}}
			}),
			Then: []Event{KeyIssued{Key: "k1", Name: "first admin", Role: Operator, Hash: hash, Scope: Scope{Locations: []unit.LocationID{"north"}, Channels: []string{"web"}}}},
		},
		"a key that may make keys has no scope": {When: issue(func(c *IssueKey) { c.Scope = Scope{Channels: []string{"web"}} }), Refused: ErrKeyInvalid.With("", field("role"))},
		"a location of a scope has a name":      {When: issue(scoped(Scope{Locations: []unit.LocationID{""}})), Refused: ErrKeyInvalid.With("", field("locations"))},
		"a location of a scope is checked":      {When: issue(scoped(Scope{Locations: []unit.LocationID{"a b"}})), Refused: ErrKeyInvalid.With("", field("locations"))},
		"a location of a scope is named once":   {When: issue(scoped(Scope{Locations: []unit.LocationID{"a", "a"}})), Refused: ErrKeyInvalid.With("", field("locations"))},
		"a scope has at most 100 locations":     {When: issue(scoped(Scope{Locations: make([]unit.LocationID, 101)})), Refused: ErrKeyInvalid.With("", field("locations"))},
		"a channel of a scope has a name":       {When: issue(scoped(Scope{Channels: []string{""}})), Refused: ErrKeyInvalid.With("", field("channels"))},
		"a channel of a scope is plain":         {When: issue(scoped(Scope{Channels: []string{"wéb"}})), Refused: ErrKeyInvalid.With("", field("channels"))},
		"a channel of a scope is named once":    {When: issue(scoped(Scope{Channels: []string{"a", "a"}})), Refused: ErrKeyInvalid.With("", field("channels"))},
		"a scope has at most 20 channels":       {When: issue(scoped(Scope{Channels: make([]string, 21)})), Refused: ErrKeyInvalid.With("", field("channels"))},
		"a key with a scope does not count as an admin": {
			Given: []Event{admin, limitedBoss, RoleDefined{Role: "boss", Grants: []Grant{{WriteAccess, All}}}},
			When:  RevokeKey{Key: "k1"}, Refused: ErrLastAdmin,
		},
		"it can be revoked, because it makes no keys": {
			Given: []Event{limitedBoss, RoleDefined{Role: "boss", Grants: []Grant{{WriteAccess, All}}}},
			When:  RevokeKey{Key: "k6"}, Then: []Event{KeyRevoked{Key: "k6"}},
		},

		"a key gets a new secret": {
			Given: []Event{admin}, When: RotateKey{Key: "k1", Hash: second, Overlap: time.Hour, Now: noon},
			Then: []Event{KeyRotated{Key: "k1", Hash: second, OldUntil: noon.Add(time.Hour)}},
		},
		"the same secret again does nothing":     {Given: []Event{admin}, When: RotateKey{Key: "k1", Hash: hash, Now: noon}, Nothing: true},
		"a key that is not there is not rotated": {When: RotateKey{Key: "k1", Hash: second, Now: noon}, Refused: ErrKeyNotFound},
		"a revoked key is not rotated":           {Given: []Event{admin, KeyRevoked{Key: "k1"}}, When: RotateKey{Key: "k1", Hash: second, Now: noon}, Refused: ErrKeyEnded},
		"a key is not rotated at its end":        {Given: []Event{brief}, When: RotateKey{Key: "k4", Hash: second, Now: noon}, Refused: ErrKeyEnded},
		"a new hash is a SHA-256":                {Given: []Event{admin}, When: RotateKey{Key: "k1", Hash: "secret", Now: noon}, Refused: ErrKeyInvalid},
		"an overlap has an end":                  {Given: []Event{admin}, When: RotateKey{Key: "k1", Hash: second, Overlap: MaxOverlap + 1, Now: noon}, Refused: ErrKeyInvalid},

		"a key can be revoked":                   {Given: []Event{admin, another}, When: RevokeKey{Key: "k1", Reason: "lost"}, Then: []Event{KeyRevoked{Key: "k1", Reason: "lost"}}},
		"revoking it again does nothing":         {Given: []Event{admin, another, KeyRevoked{Key: "k1"}}, When: RevokeKey{Key: "k1"}, Nothing: true},
		"a key that is not there is not revoked": {When: RevokeKey{Key: "k1"}, Refused: ErrKeyNotFound},
		"the last admin stays":                   {Given: []Event{admin, eve}, When: RevokeKey{Key: "k1"}, Refused: ErrLastAdmin},
		"a key that cannot give every right is not enough": {
			Given: []Event{admin, RoleDefined{Role: "keymaker", Grants: []Grant{{WriteAccess, All}}}, KeyIssued{Key: "k5", Name: "tablets", Role: "keymaker", Hash: hash}},
			When:  RevokeKey{Key: "k1"}, Refused: ErrLastAdmin,
		},
		"but such a key can be revoked itself": {
			Given: []Event{admin, RoleDefined{Role: "keymaker", Grants: []Grant{{WriteAccess, All}}}, KeyIssued{Key: "k5", Name: "tablets", Role: "keymaker", Hash: hash}},
			When:  RevokeKey{Key: "k5"}, Then: []Event{KeyRevoked{Key: "k5"}},
		},
		"an admin whose key will expire is not enough":  {Given: []Event{admin, KeyIssued{Key: "k2", Name: "guest", Role: Admin, Hash: hash, ExpiresAt: noon}}, When: RevokeKey{Key: "k1"}, Refused: ErrLastAdmin},
		"a reason is a text":                            {Given: []Event{eve}, When: RevokeKey{Key: "k3", Reason: "\xff"}, Refused: ErrKeyInvalid},
		"a key ends at its time":                        {Given: []Event{admin, brief}, When: ExpireKeys{Now: noon}, Then: []Event{KeyExpired{Key: "k4"}}},
		"before its time it does not":                   {Given: []Event{admin, brief}, When: ExpireKeys{Now: noon.Add(-1)}, Nothing: true},
		"a key that was revoked does not expire":        {Given: []Event{brief, KeyRevoked{Key: "k4"}}, When: ExpireKeys{Now: noon}, Nothing: true},
		"a role can be defined":                         {When: DefineRole{Role: "picker", Grants: grant(All, ShipOrders, ReadOrders)}, Then: []Event{picker}},
		"the same grants again do nothing":              {Given: []Event{picker}, When: DefineRole{Role: "picker", Grants: grant(All, ShipOrders, ReadOrders)}, Nothing: true},
		"a role can be changed while a key has it":      {Given: []Event{picker, pickers}, When: DefineRole{Role: "picker", Grants: grant(All, ReadOrders)}, Then: []Event{RoleDefined{Role: "picker", Grants: []Grant{{ReadOrders, All}}}}},
		"but not to own things, which needs a customer": {Given: []Event{picker, pickers}, When: DefineRole{Role: "picker", Grants: grant(Own, ReadOrders)}, Refused: ErrRoleInUse},
		"the last role that may make keys keeps that": {
			Given: []Event{RoleDefined{Role: "boss", Grants: []Grant{{WriteAccess, All}}}, KeyIssued{Key: "k5", Name: "boss", Role: "boss", Hash: hash}},
			When:  DefineRole{Role: "boss", Grants: grant(All, ReadOrders)}, Refused: ErrLastAdmin,
		},
		"an end is within bounds":                   {When: issue(func(c *IssueKey) { c.ExpiresAt = noon.AddDate(7900, 0, 0) }), Refused: ErrKeyInvalid},
		"a role that every shop has stays":          {When: DefineRole{Role: Admin, Grants: grant(All, ReadOrders)}, Refused: ErrRoleFixed},
		"a role has a plain name":                   {When: DefineRole{Role: "Über", Grants: grant(All, ReadOrders)}, Refused: ErrRoleInvalid},
		"a role grants something":                   {When: DefineRole{Role: "picker"}, Refused: ErrRoleInvalid},
		"a permission must exist":                   {When: DefineRole{Role: "picker", Grants: grant(All, "orders.eat")}, Refused: ErrRoleInvalid},
		"a reach must exist":                        {When: DefineRole{Role: "picker", Grants: grant("some", ReadOrders)}, Refused: ErrRoleInvalid},
		"stock belongs to nobody":                   {When: DefineRole{Role: "picker", Grants: grant(Own, ReadStock)}, Refused: ErrRoleInvalid},
		"a key can have a role of the shop's own":   {Given: []Event{picker}, When: IssueKey{Key: "k5", Name: "warehouse", Role: "picker", Hash: hash, Now: noon}, Then: []Event{pickers}},
		"a role can be removed":                     {Given: []Event{picker}, When: RemoveRole{Role: "picker"}, Then: []Event{RoleRemoved{Role: "picker"}}},
		"a role that a person has is not removed":   {Given: []Event{picker}, When: RemoveRole{Role: "picker", OfPeople: true}, Refused: ErrRoleInUse},
		"a role of a person is not for customers":   {Given: []Event{picker}, When: DefineRole{Role: "picker", Grants: grant(Own, ReadOrders), OfPeople: true}, Refused: ErrRoleInUse},
		"a role of a person can get other grants":   {Given: []Event{picker}, When: DefineRole{Role: "picker", Grants: grant(All, ShipOrders), OfPeople: true}, Then: []Event{RoleDefined{Role: "picker", Grants: []Grant{{ShipOrders, All}}}}},
		"a role that a key has is not removed":      {Given: []Event{picker, pickers}, When: RemoveRole{Role: "picker"}, Refused: ErrRoleInUse},
		"a role that is not there is not removed":   {When: RemoveRole{Role: "picker"}, Refused: ErrRoleNotFound},
		"a role that every shop has is not removed": {When: RemoveRole{Role: Admin}, Refused: ErrRoleFixed},
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	decider.Run(t, rows())
}

func TestEveryRefusalHasARow(t *testing.T) {
	t.Parallel()
	full := State{Keys: map[KeyID]Key{}}
	for n := range MaxKeys {
		full.Keys[KeyID(strconv.Itoa(n))] = Key{}
	}
	if _, err := Decide(IssueKey{Key: "k", Name: "n", Role: Admin, Hash: hash, Now: noon}, full); !errors.Is(err, ErrKeyLimit) {
		t.Errorf("a key beyond the limit: %v", err)
	}
	decider.EveryRefusalHasARow(t, without(Rejections, ErrKeyLimit), rows())
}

func without[T comparable](list []T, one T) (rest []T) {
	for _, each := range list {
		if each != one {
			rest = append(rest, each)
		}
	}
	return rest
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		KeyIssued{Key: "k3f9a1c2", Name: "web shop", Role: Storefront, Hash: hash},
		KeyIssued{Key: "k3f9a1c2", Name: "Eve", Role: Customer, Customer: "17850", Hash: hash, ExpiresAt: noon},
		KeyIssued{Key: "k3f9a1c2", Name: "tablet", Role: Operator, Hash: hash, Scope: Scope{Locations: []unit.LocationID{"main", "north"}, Channels: []string{"web"}}},
		KeyRotated{Key: "k3f9a1c2", Hash: second, OldUntil: noon},
		KeyRevoked{Key: "k3f9a1c2", Reason: "lost"},
		KeyExpired{Key: "k3f9a1c2"},
		RoleDefined{Role: "picker", Grants: []Grant{{ReadOrders, All}, {ShipOrders, All}}},
		RoleRemoved{Role: "picker"},
	})
}

// The lists of permissions and roles are complete. The built-in roles follow the rules for custom
// roles.
func TestBuiltInRolesAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, role := range Roles() {
		grants, known := BuiltIn(role)
		if !known {
			t.Errorf("role %s has no grants", role)
		}
		if _, err := Decide(DefineRole{Role: "copy", Grants: grants}, State{}); err != nil {
			t.Errorf("role %s: %v", role, err)
		}
		if grants[Look] != All {
			t.Errorf("role %s may not even look", role)
		}
	}
	for _, permission := range Permissions() {
		if builtIn[Admin][permission] != All {
			t.Errorf("an admin lacks %s", permission)
		}
	}
	for _, granted := range []Permission{WriteAccess, WriteCatalogue, ReadEvents, ActForCustomers} {
		if builtIn[Customer][granted] != None || builtIn[Operator][granted] != None {
			t.Errorf("a customer or an operator has %s", granted)
		}
	}
	for permission := range builtIn[Auditor] {
		if strings.Contains(string(permission), "read") || permission == Look || permission == ExportPersonal { // an export only reads
			continue
		}
		t.Errorf("an auditor has %s", permission)
	}
}

// The document of the API says that each permission has this form.
func TestPermissionsHaveOneForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z]+[.][a-z]+$`)
	for _, permission := range Permissions() {
		if !form.MatchString(string(permission)) {
			t.Errorf("%s is not of the form %s", permission, form)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	key := func(role Role, customer, actsFor string) Principal {
		p := State{Keys: map[KeyID]Key{"k": {Role: role, Customer: customer}}}.PrincipalOf("k")
		p.ActsFor = unit.CustomerID(actsFor)
		return p
	}
	for name, c := range map[string]struct {
		who     Principal
		what    Permission
		owner   string
		limited bool
		may     bool
	}{
		"a customer reads own orders":                    {key(Customer, "17850", ""), ReadOrders, "17850", true, true},
		"a customer reads the whole catalogue":           {key(Customer, "17850", ""), ReadCatalogue, "", false, true},
		"a customer moves no stock":                      {key(Customer, "17850", ""), WriteStock, "17850", true, false},
		"a shop front reads all orders":                  {key(Storefront, "", ""), ReadOrders, "", false, true},
		"a shop front for a customer reads theirs":       {key(Storefront, "", "17850"), ReadOrders, "17850", true, true},
		"a shop front for a customer sees no stock":      {key(Storefront, "", "17850"), ReadStock, "17850", true, false},
		"a shop front for a customer sees the catalogue": {key(Storefront, "", "17850"), ReadCatalogue, "", false, true},
		"a shop front for a customer confirms theirs":    {key(Storefront, "", "17850"), ConfirmOrder, "17850", true, true},
		"an admin for a customer reads no events":        {key(Admin, "", "17850"), ReadEvents, "17850", true, false},
		"a customer does not become another":             {key(Customer, "1", "2"), ReadOrders, "2", true, false},
		"nobody may do anything":                         {Principal{}, Look, "", true, false},
	} {
		owner, limited := c.who.Owner(c.what)
		if string(owner) != c.owner || limited != c.limited || c.who.May(c.what) != c.may {
			t.Errorf("%s: owner %q, limited %t, may %t", name, owner, limited, c.who.May(c.what))
		}
	}
}

// Each command concerns the grants that it gives, changes or ends, and only those.
func TestWhatACommandConcerns(t *testing.T) {
	t.Parallel()
	before, after := grant(All, ReadCarts), grant(All, ReadOrders)
	state := Evolve(Evolve(State{}, RoleDefined{Role: "picker", Grants: before.list()}), KeyIssued{Key: "k1", Name: "tablet", Role: "picker", Hash: hash})
	cases := map[string]struct {
		command Command
		want    []Grants
	}{
		"IssueKey":   {IssueKey{Key: "k2", Role: Auditor}, []Grants{builtIn[Auditor]}},
		"RotateKey":  {RotateKey{Key: "k1"}, []Grants{before}},
		"RevokeKey":  {RevokeKey{Key: "k1"}, []Grants{before}},
		"DefineRole": {DefineRole{Role: "picker", Grants: after}, []Grants{before, after}},
		"RemoveRole": {RemoveRole{Role: "picker"}, []Grants{before}},
		"ExpireKeys": {ExpireKeys{}, nil},
	}
	for _, name := range decidertest.Sealed(t, "Command") {
		c, known := cases[name]
		if !known {
			t.Errorf("%s: say which grants it concerns", name)
			continue
		}
		if got := state.Concerns(c.command); !slices.EqualFunc(got, c.want, maps.Equal[Grants, Grants]) {
			t.Errorf("%s concerns %v, want %v", name, got, c.want)
		}
	}
}

func TestAPrincipalLacksWhatItHasNotForEverything(t *testing.T) {
	t.Parallel()
	who := Principal{ID: "key:k1", Customer: "17850", Grants: grant(All, ReadOrders, WriteAccess).and(grant(Own, ReadCarts))}
	for _, c := range []struct {
		grants Grants
		want   Permission
	}{
		{nil, ""},
		{grant(All, ReadOrders), ""},
		{grant(All, WriteAccess).and(grant(Own, ReadOrders)), ""},
		{grant(Own, ReadCarts), ReadCarts},
		{grant(All, ShipOrders, ReadOrders, ReadStock), ShipOrders},
		{builtIn[Admin], ReadAccess},
	} {
		if got := who.Lacks(c.grants); got != c.want {
			t.Errorf("it lacks %q of %v, want %q", got, c.grants, c.want)
		}
	}
	if got := System("reactor").Lacks(builtIn[Admin]); got != "" {
		t.Errorf("a part of the program lacks %q", got)
	}
	who.ActsFor = "17850"
	if got := who.Lacks(grant(All, ReadOrders)); got != ReadOrders {
		t.Errorf("who acts for a customer lacks %q", got)
	}
}

// What is about the caller is shown to every caller. The things of others need the permission.
func TestWhoSeesPersonalData(t *testing.T) {
	t.Parallel()
	of := func(role Role) Principal {
		grants, _ := BuiltIn(role)
		return Principal{ID: "key:k1", Role: role, Grants: grants}
	}
	customer, acting := of(Customer), of(Storefront)
	customer.Customer, acting.ActsFor = "17850", "17850"
	looker := acting
	looker.Grants = grant(All, Look, ReadOrders, ActForCustomers)
	for name, c := range map[string]struct {
		who   Principal
		needs Permission
		sees  bool
	}{
		"nobody, by a link":                    {Principal{}, Open, true},
		"an analyst, about themself":           {of(Analyst), Look, true},
		"an analyst, orders":                   {of(Analyst), ReadOrders, false},
		"an auditor, orders":                   {of(Auditor), ReadOrders, true},
		"a customer, their orders":             {customer, ReadOrders, true},
		"a shop front, orders of a customer":   {acting, ReadOrders, true},
		"a program that may act, without it":   {looker, ReadOrders, false},
		"nobody, orders":                       {Principal{}, ReadOrders, false},
		"an analyst, what nobody else may see": {of(Analyst), ReadAccess, false},
	} {
		if sees := c.who.SeesPersonal(c.needs); sees != c.sees {
			t.Errorf("%s: %t", name, sees)
		}
	}
}
