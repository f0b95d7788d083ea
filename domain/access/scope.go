package access

import (
	"fmt"
	"slices"
	"strings"

	"daybook/domain/unit"
)

// Scope limits a key to some locations and channels. It takes rights away from the key's role and
// never adds any. A key keeps its scope for life: a rotation does not change it.
type Scope struct {
	// Locations are those whose stock the key may read and change, and from which it may fulfil
	// orders. If there are none, the key is not limited to locations.
	Locations []unit.LocationID `json:"locations,omitempty"`
	// Channels are those that events of the key may have. The first one is recorded if a request
	// names none. If there are none, the key is not limited to channels.
	Channels []string `json:"channels,omitempty" class:"open"`
}

// The bounds of a scope.
const (
	MaxLocations = 100 // of one key
	MaxChannels  = 20  // of one key
	MaxChannel   = 32  // characters
)

// Limited tells whether the scope limits anything.
func (s Scope) Limited() bool { return len(s.Locations) > 0 || len(s.Channels) > 0 }

// Bars tells whether a key with this scope lacks a permission that its role has. Such a permission
// would reach past the scope. Example: a key for one location may not read all events, because they
// tell the stock of all locations.
func (s Scope) Bars(permission Permission) bool {
	if permission == WriteAccess && s.Limited() {
		return true // it could make a key without a scope
	}
	return len(s.Locations) > 0 && slices.Contains(ofAllLocations, permission)
}

// ofAllLocations are permissions that always reach all locations.
var ofAllLocations = []Permission{ReadEvents, WriteEvents, WriteProcesses}

// ReachesLocations returns a *ScopeError for the first location that is outside the scope.
func (s Scope) ReachesLocations(locations ...unit.LocationID) error {
	if len(s.Locations) == 0 {
		return nil
	}
	for _, location := range locations {
		if !slices.Contains(s.Locations, location) {
			return &ScopeError{Location: location, Scope: s}
		}
	}
	return nil
}

// ReachesChannel returns a *ScopeError if a channel is outside the scope.
func (s Scope) ReachesChannel(channel string) error {
	if len(s.Channels) == 0 || slices.Contains(s.Channels, channel) {
		return nil
	}
	return &ScopeError{Channel: channel, Scope: s}
}

// Channel returns the channel that is recorded for a request that names none. fallback is that of a
// key without a channel in its scope.
func (s Scope) Channel(fallback string) string {
	if len(s.Channels) == 0 || slices.Contains(s.Channels, fallback) {
		return fallback
	}
	return s.Channels[0]
}

// fault says what is wrong with the scope, and with which member. It is empty for a good scope.
func (s Scope) fault() (member, detail string) {
	if len(s.Locations) > MaxLocations {
		return "locations", fmt.Sprintf("A key has at most %d locations.", MaxLocations)
	}
	if len(s.Channels) > MaxChannels {
		return "channels", fmt.Sprintf("A key has at most %d channels.", MaxChannels)
	}
	for i, location := range s.Locations {
		parsed, err := unit.ParseLocationID(string(location))
		switch {
		case location == "":
			return "locations", "A location has a name."
		case err != nil:
			return "locations", err.Error()
		case parsed != location:
			return "locations", fmt.Sprintf("The location %q is written %q.", location, parsed)
		case slices.Contains(s.Locations[:i], location):
			return "locations", fmt.Sprintf("The location %q is named twice.", location)
		}
	}
	for i, channel := range s.Channels {
		switch {
		case !isChannel(channel):
			return "channels", fmt.Sprintf("A channel has 1 to %d printable ASCII characters.", MaxChannel)
		case slices.Contains(s.Channels[:i], channel):
			return "channels", fmt.Sprintf("The channel %q is named twice.", channel)
		}
	}
	return "", ""
}

// isChannel tells whether a text may be a channel. A blank at its beginning or end would get lost
// in a header.
func isChannel(text string) bool {
	strange := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	return text != "" && len(text) <= MaxChannel && !strange && strings.TrimSpace(text) == text
}

// ScopeError means that a key may not do something, because its scope has other locations or
// channels. Either Location or Channel is set: the one that is outside.
type ScopeError struct {
	Location unit.LocationID
	Channel  string
	Scope    Scope
}

func (e *ScopeError) Error() string {
	if e.Channel != "" || e.Location == "" {
		return fmt.Sprintf("The key may record only these channels, and not %q: %s.", e.Channel, strings.Join(e.Scope.Channels, ", "))
	}
	names := make([]string, len(e.Scope.Locations))
	for i, location := range e.Scope.Locations {
		names[i] = string(location)
	}
	return fmt.Sprintf("The key is not for the location %s, but only for: %s.", e.Location, strings.Join(names, ", "))
}
