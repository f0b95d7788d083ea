package customer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"daybook/domain/contact"
	"daybook/domain/unit"
)

// ofRecordedAccounts are texts of a command that come from events, so they were checked before.
var ofRecordedAccounts = func() map[string]string {
	unchecked := map[string]string{
		"DeclineMerge.Reason": "the code of a refusal", "RefuseMerge.Reason": "the code of a refusal",
	}
	for _, field := range []string{
		"Profile.Name", "Profile.Email", "Profile.Phone", "Profile.Locale", "BlockReason", "Consents.Version", "Notes.Text", "WishLists.Name",
		"Addresses.Address.Name", "Addresses.Address.Company", "Addresses.Address.Lines", "Addresses.Address.Postcode", "Addresses.Address.City",
		"Addresses.Address.Region", "Addresses.Address.Phone",
	} {
		unchecked["Absorb.Source."+field] = "it is recorded in the other account"
	}
	return unchecked
}()

// other is an account that is merged into c1.
var other = State{
	CustomerID: "c2", Profile: Profile{Name: "A. Example", Phone: "+1 212 555 0100"}, MergedInto: "c1", Merges: 1,
	Addresses: []SavedAddress{{"b1", work}, {"b2", home}}, Billing: "b2", Shipping: "b1", Groups: []Group{"trade", "vip"},
	Consents: []LastConsent{{Marketing, "2026-02", true, noon.Add(time.Hour)}}, Notes: []Note{{"n1", "late", noon}}, Blocked: true, BlockReason: "fraud",
	TaxStatus: &business,
	Absorbed:  []unit.CustomerID{"c3"}, WishLists: []WishList{{ListID: "w1", Name: "Birthday", Wishes: []Wish{{"LAMP", 2}, {"MUG", 1}}, Shares: 1, Shared: true}},
}

func merges() map[string]row {
	bare, gone := State{CustomerID: "c2"}, []Event{registered, Merged{Into: "c2", Attempt: 1}}
	took := Absorbed{CustomerID: "c2", Attempt: 1}
	takes := func(change func(*State)) Absorb { return Absorb{Source: with(bare, change), Attempt: 1} }
	later, sooner := noon.Add(time.Hour), noon.Add(-time.Hour)
	toC2 := map[string]any{"merged_into": unit.CustomerID("c2")}
	full := []Event{registered}
	for i := range MaxAddresses - 1 {
		full = append(full, AddressAdded{AddressID: AddressID(fmt.Sprint("a", i)), Address: work})
	}
	lists := []Event{registered}
	for i := range MaxWishLists - 1 {
		lists = append(lists, WishListMade{WishListID(fmt.Sprint("w", i)), "House"})
	}
	crowd := []Event{registered}
	for i := range MaxAbsorbed {
		crowd = append(crowd, Absorbed{CustomerID: unit.CustomerID(fmt.Sprint("d", i))})
	}
	return map[string]row{
		"an account can be merged into another one":        {Given: []Event{registered}, When: MergeInto{"c2"}, Then: []Event{Merged{"c2", 1}}},
		"an account is not merged into itself":             {Given: []Event{registered}, When: MergeInto{"c1"}, Refused: ErrMergeSelf},
		"merging into the same account again is nothing":   {Given: gone, When: MergeInto{"c2"}, Nothing: true},
		"a merged account is not merged into a third one":  {Given: gone, When: MergeInto{"c3"}, Refused: ErrMerged.With("", toC2)},
		"a customer without an account cannot be merged":   {When: MergeInto{"c2"}, Refused: ErrNotFound},
		"a merged account changes no more":                 {Given: gone, When: AddNote(note), Refused: ErrMerged.With("", toC2)},
		"a merged account keeps its consents":              {Given: append(gone, agreed), When: Consent{Purpose: Marketing, At: noon}, Refused: ErrMerged.With("", toC2)},
		"a merged account takes no other one":              {Given: gone, When: Absorb{Source: State{CustomerID: "c3"}, Attempt: 1}, Refused: ErrMerged.With("", toC2)},
		"a merged account is not registered again":         {Given: gone, When: Register{"c1", profile}, Refused: ErrExists},
		"an account that was declined is open again":       {Given: gone, When: RefuseMerge{1, "customer-limit"}, Then: []Event{MergeRefused{"c2", 1, "customer-limit"}}},
		"another merge of it is not refused":               {Given: gone, When: RefuseMerge{2, "customer-limit"}, Nothing: true},
		"a merge is refused once":                          {Given: append(slices.Clone(gone), MergeRefused{"c2", 1, "x"}), When: RefuseMerge{1, "customer-limit"}, Nothing: true},
		"an account that was declined can be merged again": {Given: append(slices.Clone(gone), MergeRefused{"c2", 1, "x"}), When: MergeInto{"c3"}, Then: []Event{Merged{"c3", 2}}},
		"an account that was declined can be changed":      {Given: append(slices.Clone(gone), MergeRefused{"c2", 1, "x"}), When: Block{"fraud"}, Then: []Event{Blocked{"fraud"}}},
		"a merged account can decline":                     {Given: gone, When: DeclineMerge{"c3", 1, "customer-merged"}, Then: []Event{MergeDeclined{"c3", 1, "customer-merged"}}, Repeats: true},
		"whoever has no account can decline":               {When: DeclineMerge{"c3", 1, "customer-not-found"}, Then: []Event{MergeDeclined{"c3", 1, "customer-not-found"}}, Repeats: true},

		"an empty account can be absorbed":            {Given: []Event{registered}, When: takes(func(*State) {}), Then: []Event{took}},
		"an account is absorbed once":                 {Given: []Event{registered, took}, When: takes(func(*State) {}), Nothing: true},
		"a customer without an account absorbs none":  {When: takes(func(*State) {}), Refused: ErrNotFound},
		"those that it had absorbed come along":       {Given: []Event{registered}, When: takes(func(s *State) { s.Absorbed = []unit.CustomerID{"c3"} }), Then: []Event{Absorbed{"c2", 1, []unit.CustomerID{"c3"}}}},
		"an account absorbs at most 100 others":       {Given: crowd, When: takes(func(*State) {}), Refused: ErrLimit},
		"an account can absorb 100 others":            {Given: crowd[:MaxAbsorbed], When: takes(func(*State) {}), Then: []Event{took}},
		"the profile stays":                           {Given: []Event{registered}, When: takes(func(s *State) { s.Profile = Profile{Name: "Other", Email: "o@home.example", Phone: "1", Locale: "de"} }), Then: []Event{took, ProfileChanged{profile}}},
		"members that the profile lacks are filled":   {Given: []Event{Registered{"c1", Profile{Name: "Ann"}}}, When: takes(func(s *State) { s.Profile = Profile{Name: "Other", Phone: "+1 212"} }), Then: []Event{took, ProfileChanged{Profile{Name: "Ann", Phone: "+1 212"}}}},
		"addresses are added, and the defaults stay":  {Given: []Event{registered, added, both}, When: takes(func(s *State) { s.Addresses, s.Billing = []SavedAddress{{"b1", work}}, "b1" }), Then: []Event{took, AddressAdded{"b1", work}}},
		"a missing default comes along":               {Given: []Event{registered, added, DefaultsSet{Billing: "a1"}}, When: takes(func(s *State) { s.Addresses, s.Billing, s.Shipping = []SavedAddress{{"b1", work}}, "b1", "b1" }), Then: []Event{took, AddressAdded{"b1", work}, DefaultsSet{"a1", "b1"}}},
		"addresses above the limit stay behind":       {Given: full, When: takes(func(s *State) { s.Addresses = []SavedAddress{{"b1", work}, {"b2", home}} }), Then: []Event{took, AddressAdded{"b1", work}}},
		"groups are united":                           {Given: []Event{registered, GroupsSet{[]Group{"vip"}}}, When: takes(func(s *State) { s.Groups = []Group{"trade", "vip"} }), Then: []Event{took, GroupsSet{[]Group{"trade", "vip"}}}},
		"groups above the limit stay behind":          {Given: []Event{registered, GroupsSet{numbered(50)}}, When: takes(func(s *State) { s.Groups = []Group{"trade"} }), Then: []Event{took}},
		"a later consent counts":                      {Given: []Event{registered, agreed}, When: takes(func(s *State) { s.Consents = []LastConsent{{Marketing, "2026-02", true, later}} }), Then: []Event{took, ConsentGiven{Marketing, "2026-02", later}}},
		"a sooner consent does not count":             {Given: []Event{registered, agreed}, When: takes(func(s *State) { s.Consents = []LastConsent{{Marketing, "2026-02", true, sooner}} }), Then: []Event{took}},
		"a later withdrawal counts":                   {Given: []Event{registered, agreed}, When: takes(func(s *State) { s.Consents = []LastConsent{{Marketing, "2026-01", false, later}} }), Then: []Event{took, ConsentWithdrawn{Marketing, later}}},
		"a withdrawal of nothing is not recorded":     {Given: []Event{registered}, When: takes(func(s *State) { s.Consents = []LastConsent{{Marketing, "2026-01", false, later}} }), Then: []Event{took}},
		"an answer to another question comes along":   {Given: []Event{registered, agreed}, When: takes(func(s *State) { s.Consents = []LastConsent{{Terms, "7", true, sooner}} }), Then: []Event{took, ConsentGiven{Terms, "7", sooner}}},
		"the customer is blocked if the other one is": {Given: []Event{registered}, When: takes(func(s *State) { s.Blocked, s.BlockReason = true, "fraud" }), Then: []Event{took, Blocked{"fraud"}}},
		"a blocked customer stays blocked":            {Given: []Event{registered, Blocked{"a"}}, When: takes(func(s *State) { s.Blocked, s.BlockReason = true, "b" }), Then: []Event{took}},
		"wish lists come along, and are not shared":   {Given: []Event{registered, WishListMade{"w0", "House"}}, When: takes(func(s *State) { s.WishLists = other.WishLists }), Then: []Event{took, WishListMade{"w1", "Birthday"}, WishSet{"w1", "LAMP", 2}, WishSet{"w1", "MUG", 1}}},
		"wish lists above the limit stay behind":      {Given: lists, When: takes(func(s *State) { s.WishLists = []WishList{{ListID: "x1", Name: "A"}, {ListID: "x2", Name: "B"}} }), Then: []Event{took, WishListMade{"x1", "A"}}},
		"more than 500 wishes stay behind": {Given: []Event{registered}, When: takes(func(s *State) {
			s.WishLists = []WishList{{ListID: "w1", Name: "A", Wishes: slices.Repeat([]Wish{{"MUG", 1}}, 500)}, {ListID: "w2", Name: "B", Wishes: []Wish{{"MUG", 1}}}}
		}), Then: append([]Event{took, WishListMade{"w1", "A"}}, slices.Repeat([]Event{WishSet{"w1", "MUG", 1}}, 500)...)},
		"the wish lists of a merged account can be removed": {Given: append(slices.Clone(gone), WishListMade{"w1", "House"}), When: RemoveWishLists{}, Then: []Event{WishListRemoved{"w1"}}},
		"notes stay behind": {Given: []Event{registered}, When: takes(func(s *State) { s.Notes = []Note{{"n1", "late", noon}} }), Then: []Event{took}},
		"all of it comes in one append": {Given: []Event{Registered{"c1", Profile{Email: "ann@home.example"}}}, When: Absorb{Source: other, Attempt: 1}, Then: []Event{
			Absorbed{"c2", 1, []unit.CustomerID{"c3"}},
			ProfileChanged{Profile{Name: "A. Example", Email: "ann@home.example", Phone: "+1 212 555 0100"}},
			AddressAdded{"b1", work},
			AddressAdded{"b2", home},
			DefaultsSet{"b2", "b1"},
			GroupsSet{[]Group{"trade", "vip"}},
			ConsentGiven{Marketing, "2026-02", noon.Add(time.Hour)},
			WishListMade{"w1", "Birthday"},
			WishSet{"w1", "LAMP", 2},
			WishSet{"w1", "MUG", 1},
			TaxStatusSet{business},
			Blocked{"fraud"},
		}},
		"a tax status that is there stays": {Given: []Event{registered, TaxStatusSet{exempt}}, When: takes(func(s *State) { s.TaxStatus = &business }), Then: []Event{took}},
	}
}

func TestAnAccountStandsForThoseThatItAbsorbed(t *testing.T) {
	s := customers.Fold(registered, Absorbed{CustomerID: "c2", Before: []unit.CustomerID{"c3"}}, Absorbed{CustomerID: "c3"}, MergeDeclined{CustomerID: "c4"})
	for id, want := range map[unit.CustomerID]bool{"c1": true, "c2": true, "c3": true, "c4": false, "": false} {
		if s.StandsFor(id) != want {
			t.Errorf("%q: %t", id, !want)
		}
	}
	if len(s.Absorbed) != 2 || s.MergedInto != "" {
		t.Errorf("%+v", s)
	}
	if s = customers.Fold(registered, Merged{"c2", 1}); s.MergedInto != "c2" || s.OwnedBy("customer:c2") {
		t.Errorf("%+v", s)
	}
}

// What a merge copies does not change with the account.
func TestAMergingAccountSharesNothing(t *testing.T) {
	s := customers.Fold(registered, AddressAdded{"a1", contact.Address{Lines: []string{"1 High Street"}, Country: "GB"}}, GroupsSet{[]Group{"vip"}}, agreed, Absorbed{CustomerID: "c2"})
	m := s.Merging()
	s.Addresses[0].Address.Lines[0], s.Groups[0], s.Consents[0].Given, s.Absorbed[0] = "x", "x", false, "x"
	if m.Addresses[0].Address.Lines[0] != "1 High Street" || m.Groups[0] != "vip" || !m.Consents[0].Given || m.Absorbed[0] != "c2" {
		t.Errorf("%+v", m)
	}
}

func TestTheRefusalOfAMergedAccountNamesTheOtherOne(t *testing.T) {
	_, err := Decide(Block{"fraud"}, customers.Fold(registered, Merged{"c2", 1}))
	if err == nil || !strings.Contains(err.Error(), "c2") {
		t.Errorf("got %v", err)
	}
}
