package access

import (
	"errors"
	"slices"
	"testing"

	"daybook/domain/unit"
)

// A scope takes away exactly the permissions that would reach past it.
func TestAScopeBarsWhatReachesPastIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope Scope
		bars  []Permission
	}{
		"none":      {Scope{}, nil},
		"channels":  {Scope{Channels: []string{"web"}}, []Permission{WriteAccess}},
		"locations": {Scope{Locations: []unit.LocationID{"north"}}, []Permission{ReadEvents, WriteEvents, WriteProcesses, WriteAccess}},
	} {
		who := State{Keys: map[KeyID]Key{"k": {Role: Admin, Scope: c.scope}}}.PrincipalOf("k")
		for _, permission := range Permissions() {
			if barred := slices.Contains(c.bars, permission); who.May(permission) == barred {
				t.Errorf("an admin's key with the scope %s: %s is barred: %t", name, permission, barred)
			}
		}
	}
}

func TestAScopeReachesItsLocationsAndChannels(t *testing.T) {
	t.Parallel()
	scope := Scope{Locations: []unit.LocationID{"north", "south"}, Channels: []string{"web", "shop"}}
	for _, all := range []Scope{scope, {}} {
		if err := errors.Join(all.ReachesLocations("south", "north"), all.ReachesChannel("shop"), Scope{}.ReachesLocations("main"), Scope{}.ReachesChannel("")); err != nil {
			t.Error(err)
		}
	}
	if got, want := scope.ReachesLocations("north", "main").Error(), "The key is not for the location main, but only for: north, south."; got != want {
		t.Error(got)
	}
	if got, want := scope.ReachesChannel("api").Error(), `The key may record only these channels, and not "api": web, shop.`; got != want {
		t.Error(got)
	}
	if scope.ReachesChannel("") == nil {
		t.Error("no channel at all is let through")
	}
	for fallback, want := range map[string]string{"api": "web", "shop": "shop"} {
		if got := scope.Channel(fallback); got != want {
			t.Errorf("instead of %s: %s, want %s", fallback, got, want)
		}
	}
	if got := (Scope{}).Channel("api"); got != "api" {
		t.Errorf("without a scope: %s", got)
	}
}

func TestAChannelIsPlain(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{"web": true, "web shop 2": true, "": false, " web": false, "web ": false, "wéb": false, "a\tb": false, "123456789012345678901234567890123": false} {
		if got, err := ParseChannel(text); (err == nil) != good || good && got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// A rotation keeps the scope.
func TestARotationKeepsTheScope(t *testing.T) {
	t.Parallel()
	scope := Scope{Locations: []unit.LocationID{"north"}, Channels: []string{"web"}}
	state := Evolve(Evolve(State{}, KeyIssued{Key: "k", Role: Operator, Hash: hash, Scope: scope}), KeyRotated{Key: "k", Hash: second})
	who := state.PrincipalOf("k")
	if !slices.Equal(who.Scope.Locations, scope.Locations) || !slices.Equal(who.Scope.Channels, scope.Channels) {
		t.Errorf("after a rotation the scope is %+v", who.Scope)
	}
}
