package verify

import (
	"fmt"

	"daybook/domain/staff"
)

// foldStaff folds an event about people. Those of the staff are in one stream, and each login of a
// customer is in a stream of its own. An event about a person
// must come after the event that invited them, and a person is invited only once. After a person's
// access has ended, they must not do anything. Recovery codes belong to a second factor. An address
// changes as it was asked for last.
func (b *Book) foldStaff(e *event, value staff.Event) {
	id := personOf(value)
	if e.Stream != staff.StreamOf(id) {
		b.report(e, fmt.Sprintf("the person %s is in the stream %s only", id, staff.StreamOf(id)))
		return
	}
	person, known := b.Staff.People[id]
	_, invites := value.(staff.Invited)
	if _, signsUp := value.(staff.SignedUp); signsUp {
		invites = true
	}
	_, renews := value.(staff.RecoverySet)
	_, signsIn := value.(staff.SignedIn)
	changed, moves := value.(staff.EmailChanged)
	switch {
	case known && invites:
		b.report(e, fmt.Sprintf("the person %s was invited before", id))
	case !known && !invites:
		b.report(e, fmt.Sprintf("the person %s was not invited before", id))
	case renews && person.Factor == "":
		b.report(e, fmt.Sprintf("the person %s has no second factor, and gets recovery codes", id))
	case moves && (person.Change == "" || person.Change != changed.Change):
		b.report(e, fmt.Sprintf("the person %s has another address, and nobody has asked for this change", id))
	case signsIn && person.Status != staff.Active:
		b.report(e, fmt.Sprintf("the person %s is %s, and signs in", id, person.Status))
	default:
		b.Staff = staff.Evolve(b.Staff, value)
	}
}

// personOf is the person that an event is about.
func personOf(value staff.Event) staff.PersonID {
	switch value := value.(type) {
	case staff.Invited:
		return value.Person
	case staff.TokenGiven:
		return value.Person
	case staff.Joined:
		return value.Person
	case staff.PasswordSet:
		return value.Person
	case staff.RoleChanged:
		return value.Person
	case staff.Disabled:
		return value.Person
	case staff.FactorSet:
		return value.Person
	case staff.RecoverySet:
		return value.Person
	case staff.FactorRemoved:
		return value.Person
	case staff.SignedIn:
		return value.Person
	case staff.SignedOut:
		return value.Person
	case staff.GuessingNoticed:
		return value.Person
	case staff.EmailAsked:
		return value.Person
	case staff.EmailChanged:
		return value.Person
	case staff.BrowserKnown:
		return value.Person
	case staff.TriesCounted:
		return value.Person
	case staff.SignedUp:
		return value.Person
	}
	return ""
}
