package customer

import (
	"fmt"
	"strings"

	"daybook/domain/unit"
)

// MaxNoteText is the longest note, in characters.
const MaxNoteText = 2000

// ParseAddressID reads the id of an address.
func ParseAddressID(text string) (AddressID, error) {
	id, err := parsePlain("address id", text)
	return AddressID(id), err
}

// ParseGroup reads the name of a group.
func ParseGroup(text string) (Group, error) {
	name, err := parsePlain("group", text)
	return Group(name), err
}

// parsePlain allows 1 to 64 letters, digits, '.', '_' and '-'.
func parsePlain(what, text string) (string, error) {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}
	if text == "" || len(text) > unit.MaxName || strings.IndexFunc(text, odd) >= 0 || strings.Trim(text, ".") == "" {
		return "", fmt.Errorf("%s %q: want 1 to %d letters, digits, '.', '_' and '-'", what, text, unit.MaxName)
	}
	return text, nil
}
