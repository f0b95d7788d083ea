package customer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/contact"
	"daybook/domain/decidertest"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

var customers = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

var (
	noon    = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	profile = Profile{Name: "Ann Example", Email: "ann@home.example", Phone: "+44 20 7946 0000", Locale: "en-GB"}
	home    = contact.Address{Name: "Ann Example", Company: "Ann Ltd", Lines: []string{"1 High Street", "Flat 2"}, Postcode: "LS1 4AP", City: "Leeds", Region: "ENG", Country: "GB", Phone: "+44 113 496 0000"}
	work    = contact.Address{Lines: []string{"Gasse 1"}, Country: "AT"}

	registered = Registered{CustomerID: "c1", Profile: profile}
	added      = AddressAdded{AddressID: "a1", Address: home}
	both       = DefaultsSet{Billing: "a1", Shipping: "a1"}
	note       = NoteAdded{NoteID: "n1", Text: "calls often", At: noon}
	agreed     = ConsentGiven{Purpose: Marketing, Version: "2026-01", At: noon}
)

func field(name string) map[string]any { return map[string]any{"field": name} }

func with[T any](of T, change func(*T)) T {
	change(&of)
	return of
}

func accounts() map[string]row {
	old := []Event{registered}
	return map[string]row{
		"a customer can be registered":                          {When: Register{"c1", profile}, Then: []Event{registered}},
		"a customer can be registered without a profile":        {When: Register{CustomerID: "c1"}, Then: []Event{Registered{CustomerID: "c1"}}},
		"a customer is registered once":                         {Given: old, When: Register{"c1", profile}, Refused: ErrExists},
		"an e-mail address has its form":                        {When: Register{"c1", Profile{Email: "ann"}}, Refused: ErrTextInvalid.With("", field("email"))},
		"a phone number has its form":                           {When: Register{"c1", Profile{Phone: "call me"}}, Refused: ErrTextInvalid.With("", field("phone"))},
		"a locale has its form":                                 {When: Register{"c1", Profile{Locale: "english"}}, Refused: ErrTextInvalid.With("", field("locale"))},
		"a name has at most 200 characters":                     {When: Register{"c1", Profile{Name: strings.Repeat("x", 201)}}, Refused: ErrTextInvalid.With("", field("name"))},
		"a customer who is not registered has no profile":       {When: ChangeProfile{Name: new("Ann")}, Refused: ErrNotFound},
		"a member of the profile can be changed alone":          {Given: old, When: ChangeProfile{Name: new("Ann B.")}, Then: []Event{ProfileChanged{with(profile, func(p *Profile) { p.Name = "Ann B." })}}, Repeats: true},
		"a member of the profile can be taken away":             {Given: old, When: ChangeProfile{Email: new("")}, Then: []Event{ProfileChanged{with(profile, func(p *Profile) { p.Email = "" })}}, Repeats: true},
		"a change without members does nothing":                 {Given: old, When: ChangeProfile{}, Nothing: true},
		"a changed e-mail address has its form":                 {Given: old, When: ChangeProfile{Email: new("a@b")}, Refused: ErrTextInvalid.With("", field("email"))},
		"a text that is there does not stop another one":        {Given: []Event{Registered{"c1", Profile{Name: "Ann", Email: "(erased)"}}}, When: ChangeProfile{Name: new("Ann B.")}, Then: []Event{ProfileChanged{Profile{Name: "Ann B.", Email: "(erased)"}}}, Repeats: true},
		"a customer can be put into groups":                     {Given: old, When: SetGroups{[]Group{"vip", "trade", "vip"}}, Then: []Event{GroupsSet{[]Group{"trade", "vip"}}}},
		"the same groups in another order change nothing":       {Given: []Event{registered, GroupsSet{[]Group{"trade", "vip"}}}, When: SetGroups{[]Group{"vip", "trade"}}, Nothing: true},
		"a customer can be taken out of all groups":             {Given: []Event{registered, GroupsSet{[]Group{"vip"}}}, When: SetGroups{}, Then: []Event{GroupsSet{}}},
		"a group has a plain name":                              {Given: old, When: SetGroups{[]Group{"good friends"}}, Refused: ErrTextInvalid.With("", field("groups"))},
		"a customer is in at most 50 groups":                    {Given: old, When: SetGroups{numbered(51)}, Refused: ErrLimit},
		"a customer can be in 50 groups":                        {Given: old, When: SetGroups{numbered(50)}, Then: []Event{GroupsSet{slices.Sorted(slices.Values(numbered(50)))}}},
		"something can be noted about a customer":               {Given: old, When: AddNote(note), Then: []Event{note}, Repeats: true},
		"a note has a text":                                     {Given: old, When: AddNote{NoteID: "n1"}, Refused: ErrTextInvalid.With("", field("text"))},
		"a note has at most 2,000 characters":                   {Given: old, When: AddNote{NoteID: "n1", Text: strings.Repeat("x", 2001)}, Refused: ErrTextInvalid.With("", field("text"))},
		"a customer has at most 500 notes":                      {Given: append([]Event{registered}, slices.Repeat([]Event{note}, 500)...), When: AddNote(note), Refused: ErrLimit},
		"a customer can be blocked":                             {Given: old, When: Block{"fraud"}, Then: []Event{Blocked{"fraud"}}},
		"a block has a reason":                                  {Given: old, When: Block{}, Refused: ErrTextInvalid.With("", field("reason"))},
		"blocking again does nothing":                           {Given: []Event{registered, Blocked{"fraud"}}, When: Block{"more"}, Nothing: true},
		"a customer can be unblocked":                           {Given: []Event{registered, Blocked{"fraud"}}, When: Unblock{"a mistake"}, Then: []Event{Unblocked{"a mistake"}}},
		"unblocking a customer who is not blocked does nothing": {Given: old, When: Unblock{}, Nothing: true},
		"a customer who was unblocked can be blocked again":     {Given: []Event{registered, Blocked{"a"}, Unblocked{}}, When: Block{"b"}, Then: []Event{Blocked{"b"}}},
	}
}

func numbered(n int) (groups []Group) {
	for i := range n {
		groups = append(groups, Group(fmt.Sprint("g", i)))
	}
	return groups
}

func addresses() map[string]row {
	old := []Event{registered, added, both}
	second := AddressAdded{AddressID: "a2", Address: work}
	full := []Event{registered}
	for i := range MaxAddresses {
		full = append(full, AddressAdded{AddressID: AddressID(fmt.Sprint("a", i)), Address: work})
	}
	return map[string]row{
		"the first address is the default of both kinds":    {Given: []Event{registered}, When: AddAddress{AddressID: "a1", Address: home}, Then: []Event{added, both}, Repeats: true},
		"a further address is no default":                   {Given: old, When: AddAddress{AddressID: "a2", Address: work}, Then: []Event{second}, Repeats: true},
		"a further address can become a default":            {Given: old, When: AddAddress{AddressID: "a2", Address: work, Billing: true}, Then: []Event{second, DefaultsSet{Billing: "a2", Shipping: "a1"}}, Repeats: true},
		"a customer has at most 50 addresses":               {Given: full, When: AddAddress{AddressID: "more", Address: work}, Refused: ErrLimit},
		"the country of an address is a known code":         {Given: old, When: AddAddress{AddressID: "a2", Address: contact.Address{Lines: []string{"x"}, Country: "UK"}}, Refused: ErrTextInvalid.With("", field("country"))},
		"an address has a line":                             {Given: old, When: AddAddress{AddressID: "a2", Address: contact.Address{Country: "GB"}}, Refused: ErrTextInvalid.With("", field("lines"))},
		"an address can be changed":                         {Given: old, When: ChangeAddress{AddressID: "a1", Address: work}, Then: []Event{AddressChanged{"a1", work}}, Repeats: true},
		"a changed address can become a default":            {Given: []Event{registered, added, both, second}, When: ChangeAddress{AddressID: "a2", Address: home, Shipping: true}, Then: []Event{AddressChanged{"a2", home}, DefaultsSet{"a1", "a2"}}, Repeats: true},
		"a changed address has a known country":             {Given: old, When: ChangeAddress{AddressID: "a1", Address: contact.Address{Lines: []string{"x"}}}, Refused: ErrTextInvalid.With("", field("country"))},
		"an address that is not there cannot be changed":    {Given: old, When: ChangeAddress{AddressID: "a2", Address: work}, Refused: ErrAddressUnknown},
		"an address can be removed":                         {Given: old, When: RemoveAddress{"a1"}, Then: []Event{AddressRemoved{"a1"}}, Repeats: true},
		"an address that is not there cannot be removed":    {Given: old, When: RemoveAddress{"a2"}, Refused: ErrAddressUnknown},
		"after the last one, an address is a default again": {Given: []Event{registered, added, both, AddressRemoved{"a1"}}, When: AddAddress{AddressID: "a2", Address: work}, Then: []Event{second, DefaultsSet{"a2", "a2"}}, Repeats: true},
	}
}

func consents() map[string]row {
	old, evening := []Event{registered}, noon.Add(6*time.Hour)
	return map[string]row{
		"a consent can be given":                           {Given: old, When: Consent{Marketing, "2026-01", true, noon}, Then: []Event{agreed}},
		"the same consent given again changes nothing":     {Given: []Event{registered, agreed}, When: Consent{Marketing, "2026-01", true, evening}, Nothing: true},
		"a consent to a new version is recorded":           {Given: []Event{registered, agreed}, When: Consent{Marketing, "2026-02", true, evening}, Then: []Event{ConsentGiven{Marketing, "2026-02", evening}}},
		"a consent can be withdrawn":                       {Given: []Event{registered, agreed}, When: Consent{Purpose: Marketing, At: evening}, Then: []Event{ConsentWithdrawn{Marketing, evening}}},
		"a consent that was not given cannot be withdrawn": {Given: old, When: Consent{Purpose: Marketing, At: evening}, Nothing: true},
		"a consent withdrawn again changes nothing":        {Given: []Event{registered, agreed, ConsentWithdrawn{Marketing, evening}}, When: Consent{Purpose: Marketing, At: evening}, Nothing: true},
		"a consent that was withdrawn can be given again":  {Given: []Event{registered, agreed, ConsentWithdrawn{Marketing, evening}}, When: Consent{Marketing, "2026-01", true, evening}, Then: []Event{ConsentGiven{Marketing, "2026-01", evening}}},
		"consents for other purposes stay":                 {Given: []Event{registered, agreed}, When: Consent{Terms, "7", true, noon}, Then: []Event{ConsentGiven{Terms, "7", noon}}},
		"a consent that is given names a version":          {Given: old, When: Consent{Purpose: Terms, Given: true, At: noon}, Refused: ErrTextInvalid.With("", field("version"))},
		"a version has a plain name":                       {Given: old, When: Consent{Terms, "of today", true, noon}, Refused: ErrTextInvalid.With("", field("version"))},
		"a consent for another purpose is refused":         {Given: old, When: Consent{"cookies", "1", true, noon}, Refused: ErrPurposeUnknown},
		"a customer who is not registered cannot consent":  {When: Consent{Terms, "7", true, noon}, Refused: ErrNotFound},
	}
}

func wishes() map[string]row {
	made, lamp := WishListMade{"w1", "Birthday"}, WishSet{"w1", "LAMP", 2}
	old := []Event{registered, made, lamp}
	full := []Event{registered, made}
	for i := range MaxWishes {
		full = append(full, WishSet{"w1", unit.SKU(fmt.Sprint("S", i)), 1})
	}
	shared := append(slices.Clone(old), WishListShared{"w1", 1})
	return map[string]row{
		"a wish list can be made":                           {Given: []Event{registered}, When: MakeWishList{"w1", "Birthday"}, Then: []Event{made}, Repeats: true},
		"a wish list has a name":                            {Given: []Event{registered}, When: MakeWishList{ListID: "w1"}, Refused: ErrTextInvalid.With("", field("name"))},
		"a customer has at most 20 wish lists":              {Given: append([]Event{registered}, slices.Repeat([]Event{made}, 20)...), When: MakeWishList{"w9", "x"}, Refused: ErrLimit},
		"a wish list can be renamed":                        {Given: old, When: RenameWishList{"w1", "Christmas"}, Then: []Event{WishListRenamed{"w1", "Christmas"}}, Repeats: true},
		"a wish list that is not there cannot be renamed":   {Given: old, When: RenameWishList{"w2", "x"}, Refused: ErrWishListUnknown},
		"a wish list can be removed":                        {Given: old, When: RemoveWishList{"w1"}, Then: []Event{WishListRemoved{"w1"}}},
		"all wish lists can be removed":                     {Given: append(slices.Clone(old), WishListMade{"w2", "Christmas"}), When: RemoveWishLists{}, Then: []Event{WishListRemoved{"w1"}, WishListRemoved{"w2"}}},
		"a customer without wish lists has none to remove":  {Given: []Event{registered}, When: RemoveWishLists{}, Nothing: true},
		"a removed wish list is gone":                       {Given: append(slices.Clone(old), WishListRemoved{"w1"}), When: SetWish{"w1", "LAMP", 1}, Refused: ErrWishListUnknown},
		"a product can be put on a wish list":               {Given: old, When: SetWish{"w1", "MUG", 1}, Then: []Event{WishSet{"w1", "MUG", 1}}},
		"more units can be wanted":                          {Given: old, When: SetWish{"w1", "LAMP", 3}, Then: []Event{WishSet{"w1", "LAMP", 3}}},
		"the same number of units changes nothing":          {Given: old, When: SetWish{"w1", "LAMP", 2}, Nothing: true},
		"a product can be taken off a wish list":            {Given: old, When: SetWish{"w1", "LAMP", 0}, Then: []Event{WishRemoved{"w1", "LAMP"}}},
		"a product that is not wanted cannot be taken off":  {Given: old, When: SetWish{"w1", "MUG", 0}, Nothing: true},
		"fewer than no units cannot be wanted":              {Given: old, When: SetWish{"w1", "MUG", -1}, Refused: ErrQuantityInvalid},
		"a wish list has at most 200 products":              {Given: full, When: SetWish{"w1", "MORE", 1}, Refused: ErrLimit},
		"a full wish list can want more units":              {Given: full, When: SetWish{"w1", "S0", 2}, Then: []Event{WishSet{"w1", "S0", 2}}},
		"a wish list can be shared":                         {Given: old, When: ShareWishList{"w1"}, Then: []Event{WishListShared{"w1", 1}}},
		"a wish list that is shared stays shared":           {Given: shared, When: ShareWishList{"w1"}, Nothing: true},
		"a share can end":                                   {Given: shared, When: UnshareWishList{"w1"}, Then: []Event{WishListUnshared{"w1"}}},
		"a list that is not shared cannot be unshared":      {Given: old, When: UnshareWishList{"w1"}, Nothing: true},
		"the next share is another one":                     {Given: append(slices.Clone(shared), WishListUnshared{"w1"}), When: ShareWishList{"w1"}, Then: []Event{WishListShared{"w1", 2}}},
		"a customer who is not registered has no wish list": {When: MakeWishList{"w1", "x"}, Refused: ErrNotFound},
	}
}

func TestAccounts(t *testing.T) {
	customers.Run(t, accounts())
	customers.Run(t, addresses())
	customers.Run(t, consents())
	customers.Run(t, wishes())
	customers.Run(t, merges())
	customers.Run(t, taxStatuses())
	customers.EveryRefusalHasARow(t, slices.DeleteFunc(slices.Clone(Rejections), func(r *rule.Rejection) bool { return r == ErrBlocked || r == ErrWishListEmpty || r == ErrErased }), accounts(), addresses(), consents(), wishes(), merges(), taxStatuses())
}

func TestEveryTextIsChecked(t *testing.T) {
	customers.EveryTextIsChecked(t, ofRecordedAccounts, accounts(), addresses(), consents(), wishes(), merges(), taxStatuses())
	for _, bad := range []string{"a\u202eb", "  "} {
		for field, change := range map[string]ChangeProfile{"name": {Name: &bad}, "email": {Email: &bad}, "phone": {Phone: &bad}, "locale": {Locale: &bad}} {
			if _, err := Decide(change, State{CustomerID: "c1"}); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s %q: %v", field, bad, err)
			}
		}
	}
}

func TestComparedTextsSaySo(t *testing.T) {
	if n := customers.ComparedTextsSaySo(t, accounts(), addresses(), consents(), wishes(), merges(), taxStatuses()); n < 20 {
		t.Errorf("%d texts were changed", n)
	}
}

func TestAnAnswerKeepsTheVersionThatWasAgreedTo(t *testing.T) {
	withdrawn := customers.Fold(registered, agreed, ConsentGiven{Terms, "7", noon}, ConsentWithdrawn{Marketing, noon.Add(time.Hour)})
	want := []LastConsent{{Marketing, "2026-01", false, noon.Add(time.Hour)}, {Terms, "7", true, noon}}
	if !slices.Equal(withdrawn.Consents, want) {
		t.Errorf("got %+v", withdrawn.Consents)
	}
}

// A state that somebody reads does not change with later events.
func TestStatesShareNothing(t *testing.T) {
	before := customers.Fold(registered, added, both, note, agreed)
	for _, e := range []Event{AddressChanged{"a1", work}, AddressRemoved{"a1"}, ConsentWithdrawn{Marketing, noon}, NoteAdded{NoteID: "n2"}, AddressAdded{AddressID: "a2"}} {
		Evolve(before, e)
		if before.Addresses[0].Address.Country != "GB" || !before.Consents[0].Given || len(before.Notes) != 1 || len(before.Addresses) != 1 {
			t.Fatalf("after %T: %+v", e, before)
		}
	}
	if owner := unit.CustomerID("c1").Owner(); !before.OwnedBy(owner) || before.OwnedBy("customer:c2") || (State{}).OwnedBy("") {
		t.Error("an account belongs to its customer only")
	}
}

func TestWireForm(t *testing.T) {
	decidertest.Codec[Event]{Encode: Encode, Decode: Decode}.Golden(t, []Event{
		registered,
		ProfileChanged{profile},
		added,
		AddressChanged{"a1", work},
		AddressRemoved{"a1"},
		both,
		DefaultsSet{},
		GroupsSet{[]Group{"trade"}},
		agreed,
		ConsentWithdrawn{Marketing, noon},
		note,
		Blocked{"fraud"},
		Unblocked{"a mistake"},
		Unblocked{},
		TaxStatusSet{business},
		TaxStatusSet{exempt},
		TaxStatusWithdrawn{},
		WishListMade{"w1", "Birthday"},
		WishListRenamed{"w1", "Christmas"},
		WishListRemoved{"w1"},
		WishSet{"w1", "LAMP", 2},
		WishRemoved{"w1", "LAMP"},
		WishListShared{"w1", 1},
		WishListUnshared{"w1"},
		Merged{Into: "c2", Attempt: 1},
		MergeRefused{Into: "c2", Attempt: 1, Reason: "customer-merged"},
		Absorbed{CustomerID: "c2", Attempt: 1, Before: []unit.CustomerID{"c3"}},
		Absorbed{CustomerID: "c2", Attempt: 2},
		MergeDeclined{CustomerID: "c2", Attempt: 1, Reason: "customer-limit"},
	})
}
