package signin

import (
	"testing"

	"daybook/domain/access"
)

// Two people use one machine. The sign-in of one does not end what the browser is known by for the
// other. A sign-in of the same person does.
func TestASignInEndsOnlyTheBrowserOfItsPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	eve := o.hire("eve@shop.example", access.Operator)
	o.hire("bob@shop.example", access.Operator)
	known := func(browser string) bool {
		device, err := o.device(t.Context(), From{Browser: browser}, eve)
		if err != nil {
			t.Fatal(err)
		}
		return device != ""
	}
	hers := o.mustSignIn("eve@shop.example").Browser
	if _, err := o.signIn(From{Browser: hers}, "bob@shop.example", password); err != nil {
		t.Fatal(err)
	}
	if !known(hers) {
		t.Error("bob has signed in, and the browser is not known for eve any more")
	}
	done, err := o.signIn(From{Browser: hers}, "eve@shop.example", password)
	if err != nil || known(hers) || !known(done.Browser) {
		t.Errorf("eve has signed in again: %v, %t, %t", err, known(hers), known(done.Browser))
	}
}
