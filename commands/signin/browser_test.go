package signin

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore/memory"
)

// Two people use one machine. The sign-in of one does not end what the browser is known by for the
// other. A sign-in of the same person does.
func TestASignInEndsOnlyTheBrowserOfItsPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	eve := o.hire("eve@shop.example", access.Operator)
	o.hire("bob@shop.example", access.Operator)
	deviceOf := func(browser string) bool {
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
	if !deviceOf(hers) {
		t.Error("bob has signed in, and the browser is not known for eve any more")
	}
	done, err := o.signIn(From{Browser: hers}, "eve@shop.example", password)
	if err != nil || deviceOf(hers) || !deviceOf(done.Browser) {
		t.Errorf("eve has signed in again: %v, %t, %t", err, deviceOf(hers), deviceOf(done.Browser))
	}
}

// Each known browser has tries of its own. So a person has few of them, and somebody who signed in
// with the old password has none once the owner has set a password with a link.
func TestKnownBrowsersAreFewAndEndWithThePassword(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	eve := o.hireByMail(mails, "eve@shop.example", access.Operator)
	var browsers []string
	deviceOf := func() (all []bool) {
		for _, browser := range browsers {
			device, err := o.device(t.Context(), From{Browser: browser}, eve)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, device != "")
		}
		return all
	}
	for range maxBrowsers + 2 {
		browsers = append(browsers, o.mustSignIn("eve@shop.example").Browser)
		o.later(time.Minute)
	}
	if all := deviceOf(); all[0] || all[1] || slices.Contains(all[2:], false) {
		t.Errorf("of %d browsers are known: %v", len(browsers), all)
	}
	done, err := o.Redeem(t.Context(), o.link(mails, "eve@shop.example"), "quite another password")
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(deviceOf(), true) {
		t.Errorf("known after a new password: %v", deviceOf())
	}
	browsers = []string{done.Browser}
	if !deviceOf()[0] {
		t.Error("the browser in which the password was set is not known")
	}
}

// The log is away while a link makes a browser known. The link is not used up, and afterwards it is
// good once.
func TestALinkIsNotUsedUpWhileTheLogIsAway(t *testing.T) {
	t.Parallel()
	log := &refusing{Store: memory.New()}
	o, mails := newOfficeOn(t, log), &postBox{}
	o.mailer, o.publicURL = mails, "https://shop.example"
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	link := o.link(mails, "eve@shop.example")
	log.away = true
	if _, err := o.KnowBrowser(t.Context(), link); err == nil || errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("while the log is away: %v", err)
	}
	log.away = false
	if browser, err := o.KnowBrowser(t.Context(), link); err != nil || browser == "" {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := o.KnowBrowser(t.Context(), link); !errors.Is(err, staff.ErrTokenRefused) {
		t.Errorf("once more: %v", err)
	}
}

// One client asks for links for very many names that nobody has. Its requests do not fill the
// queue, so others get their links.
func TestOneClientDoesNotFillTheQueueOfLinks(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	flood := func() {
		for i := range maxResets + 1 {
			if err := o.askReset("bot", fmt.Sprintf("nobody%d@shop.example", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood()
	if len(o.links) != maxOfClient {
		t.Errorf("%d requests of one client wait", len(o.links))
	}
	o.link(mails, "eve@shop.example")
	if flood(); len(o.links) != maxOfClient {
		t.Errorf("%d requests wait after the first were done", len(o.links))
	}
}
