package signin

import (
	"errors"
	"fmt"
	"testing"

	"daybook/domain/access"
	"daybook/domain/staff"
)

// Somebody with a stolen session guesses the present password from ever new addresses. They get few
// tries, and the owner still sets a new password with a link.
func TestAStolenSessionGetsFewTriesForThePassword(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(o *office, id staff.PersonID, client string) error{
		"a change of password": func(o *office, id staff.PersonID, client string) error {
			return o.ChangePassword(t.Context(), id, client, "Summer2026!Summer", "a brand new password")
		},
		"another address": func(o *office, id staff.PersonID, client string) error {
			return o.AskEmail(t.Context(), id, client, "Summer2026!Summer", "thief@evil.example")
		},
	} {
		o, mails, _ := newPostOffice(t)
		id := o.hireByMail(mails, "eve@shop.example", access.Operator)
		compared := 0
		for i := range 100 {
			switch err := try(o, id, fmt.Sprint("bot", i)); {
			case errors.Is(err, ErrRefused):
				compared++
			case !isWait(err):
				t.Fatalf("%s: %v", name, err)
			}
		}
		if compared != freeOfPresent {
			t.Errorf("%s: %d of 100 guesses were compared", name, compared)
		}
		if _, err := o.Redeem(t.Context(), o.link(mails, "eve@shop.example"), "a password by link"); err != nil {
			t.Errorf("%s: the owner sets a password: %v", name, err)
		}
	}
}
