package access

import (
	"fmt"
	"strings"
)

// maxID is the largest number of characters in the id of a key or the name of a role.
const maxID = 40

// ParseKeyID reads the id of an API key.
func ParseKeyID(text string) (KeyID, error) { return parseID[KeyID]("key id", text) }

// ParseRole reads the name of a role. It does not check that the role exists.
func ParseRole(text string) (Role, error) { return parseID[Role]("role", text) }

// ParsePermission reads the name of a permission.
func ParsePermission(text string) (Permission, error) {
	if permission := Permission(text); permission.Known() {
		return permission, nil
	}
	return "", fmt.Errorf("there is no permission %q", text)
}

// ParseChannel reads a channel to which a key is limited.
func ParseChannel(text string) (string, error) {
	if !isChannel(text) {
		return "", fmt.Errorf("channel %q: want 1 to %d printable ASCII characters, without blanks around them", text, MaxChannel)
	}
	return text, nil
}

func parseID[T ~string](what, text string) (T, error) {
	if !isID(text) {
		return "", fmt.Errorf("%s %q: want 1 to %d lower-case letters and digits", what, text, maxID)
	}
	return T(text), nil
}

// isID tells whether a text has 1 to 40 lower-case letters and digits.
func isID(text string) bool {
	return text != "" && len(text) <= maxID && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
