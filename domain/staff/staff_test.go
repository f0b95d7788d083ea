package staff

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/decidertest"
	"daybook/domain/rule"
)

var decider = decidertest.Decider[Command, Event, State]{Decide: Decide, Evolve: Evolve}

type row = decidertest.Case[Command, Event]

// Ids of stored secrets.
const (
	firstPassword  = "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b11"
	secondPassword = "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b12"
	app            = "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b21"
	otherApp       = "5f0c8a1e-7d1c-4c57-9a55-0c2a2f6f2b22"
)

var (
	noon     = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	evening  = noon.Add(6 * time.Hour)
	hash     = strings.Repeat("a1", 32)
	second   = strings.Repeat("b2", 32)
	recovery = strings.Repeat("c3", 32)

	invited  = Invited{Person: "p1", Role: access.Manager, Token: hash, Until: evening}
	joined   = Joined{Person: "p1", Credential: firstPassword}
	signedUp = SignedUp{Person: "u1", Customer: "c1", Email: "ann@home.example", Credential: firstPassword}
	factor   = FactorSet{Person: "p1", Factor: app, Recovery: []string{recovery}, Step: 100}
)

func rows() map[string]row {
	all := map[string]row{}
	for _, some := range []map[string]row{invitations(), passwords(), changes(), factors(), signIns(), addresses(), tries(), logins()} {
		for name, one := range some {
			all[name] = one
		}
	}
	return all
}

func invitations() map[string]row {
	invite := func(change func(*Invite)) Invite {
		cmd := Invite{Person: "p1", Role: access.Manager, Token: hash, Until: evening, Now: noon}
		change(&cmd)
		return cmd
	}
	return map[string]row{
		"a person can be invited":         {When: invite(func(*Invite) {}), Then: []Event{invited}},
		"an id is used once":              {Given: []Event{invited}, When: invite(func(*Invite) {}), Refused: ErrExists},
		"an id is plain":                  {When: invite(func(c *Invite) { c.Person = "P 1" }), Refused: ErrInvalid},
		"a role has a plain name":         {When: invite(func(c *Invite) { c.Role = "a\nb" }), Refused: ErrInvalid},
		"a token's hash is a SHA-256":     {When: invite(func(c *Invite) { c.Token = "secret" }), Refused: ErrInvalid},
		"a token is good for a while":     {When: invite(func(c *Invite) { c.Until = noon }), Refused: ErrInvalid},
		"a token is good for 7 days only": {When: invite(func(c *Invite) { c.Until = noon.Add(MaxToken + 1) }), Refused: ErrInvalid},

		"another token replaces the first":  {Given: []Event{invited}, When: GiveToken{Person: "p1", Token: second, Until: evening, Now: noon}, Then: []Event{TokenGiven{Person: "p1", Token: second, Until: evening}}},
		"a token is for somebody":           {When: GiveToken{Person: "p1", Token: second, Until: evening, Now: noon}, Refused: ErrNotFound},
		"another token's hash is a SHA-256": {Given: []Event{invited}, When: GiveToken{Person: "p1", Token: "x", Until: evening, Now: noon}, Refused: ErrInvalid},
		"whose access ended gets no token":  {Given: []Event{invited, Disabled{Person: "p1"}}, When: GiveToken{Person: "p1", Token: second, Until: evening, Now: noon}, Refused: ErrDisabled},
	}
}

func passwords() map[string]row {
	redeem := RedeemToken{Person: "p1", Token: hash, Credential: firstPassword, Now: noon}
	return map[string]row{
		"a person joins with their token":             {Given: []Event{invited}, When: redeem, Then: []Event{joined}},
		"a token is used once":                        {Given: []Event{invited, joined}, When: redeem, Refused: ErrTokenRefused},
		"a wrong token is refused":                    {Given: []Event{invited}, When: RedeemToken{Person: "p1", Token: second, Credential: firstPassword, Now: noon}, Refused: ErrTokenRefused},
		"no token is no token":                        {Given: []Event{invited, joined}, When: RedeemToken{Person: "p1", Credential: secondPassword, Now: noon}, Refused: ErrTokenRefused},
		"a token of nobody is refused":                {When: redeem, Refused: ErrTokenRefused},
		"a token ends":                                {Given: []Event{invited}, When: RedeemToken{Person: "p1", Token: hash, Credential: firstPassword, Now: evening}, Refused: ErrTokenRefused},
		"a token that was replaced is refused":        {Given: []Event{invited, TokenGiven{Person: "p1", Token: second, Until: evening}}, When: redeem, Refused: ErrTokenRefused},
		"a token of somebody whose access ended":      {Given: []Event{invited, Disabled{Person: "p1"}}, When: redeem, Refused: ErrTokenRefused},
		"a token needs a credential":                  {Given: []Event{invited}, When: RedeemToken{Person: "p1", Token: hash, Now: noon}, Refused: ErrInvalid},
		"a token can replace a password":              {Given: []Event{invited, joined, TokenGiven{Person: "p1", Token: second, Until: evening}}, When: RedeemToken{Person: "p1", Token: second, Credential: secondPassword, Now: noon}, Then: []Event{PasswordSet{Person: "p1", Credential: secondPassword, ByToken: true}}},
		"a password can be changed":                   {Given: []Event{invited, joined}, When: ChangePassword{Person: "p1", Current: firstPassword, Credential: secondPassword}, Then: []Event{PasswordSet{Person: "p1", Credential: secondPassword}}},
		"a forgotten password can be replaced":        {Given: []Event{invited, joined}, When: ChangePassword{Person: "p1", Current: firstPassword, Credential: secondPassword, ByToken: true}, Then: []Event{PasswordSet{Person: "p1", Credential: secondPassword, ByToken: true}}},
		"whose access ended gets no new password":     {Given: []Event{invited, joined, Disabled{Person: "p1"}}, When: ChangePassword{Person: "p1", Current: "", Credential: secondPassword, ByToken: true}, Refused: ErrDisabled},
		"the password before must be the present one": {Given: []Event{invited, joined}, When: ChangePassword{Person: "p1", Current: "c0", Credential: secondPassword}, Refused: ErrChanged},
		"a password needs a credential":               {Given: []Event{invited, joined}, When: ChangePassword{Person: "p1", Current: firstPassword}, Refused: ErrInvalid},
		"who has not joined has no password":          {Given: []Event{invited}, When: ChangePassword{Person: "p1", Credential: secondPassword}, Refused: ErrNotJoined},
	}
}

func changes() map[string]row {
	return map[string]row{
		"a role can be changed":               {Given: []Event{invited}, When: ChangeRole{Person: "p1", Role: access.Auditor}, Then: []Event{RoleChanged{Person: "p1", Role: access.Auditor}}},
		"the same role again does nothing":    {Given: []Event{invited}, When: ChangeRole{Person: "p1", Role: access.Manager}, Nothing: true},
		"another role has a plain name":       {Given: []Event{invited}, When: ChangeRole{Person: "p1", Role: ""}, Refused: ErrInvalid},
		"a role is somebody's":                {When: ChangeRole{Person: "p1", Role: access.Auditor}, Refused: ErrNotFound},
		"access can end":                      {Given: []Event{invited, joined}, When: Disable{Person: "p1", Reason: "left"}, Then: []Event{Disabled{Person: "p1", Reason: "left"}}},
		"it ends once":                        {Given: []Event{invited, Disabled{Person: "p1"}}, When: Disable{Person: "p1"}, Nothing: true},
		"access of nobody does not end":       {When: Disable{Person: "p1"}, Refused: ErrNotFound},
		"a reason is a text":                  {Given: []Event{invited}, When: Disable{Person: "p1", Reason: "\xff"}, Refused: ErrInvalid},
		"whose access ended gets no new role": {Given: []Event{invited, Disabled{Person: "p1"}}, When: ChangeRole{Person: "p1", Role: access.Admin}, Refused: ErrDisabled},
	}
}

func factors() map[string]row {
	set := func(change func(*SetFactor)) SetFactor {
		cmd := SetFactor{Person: "p1", Credential: firstPassword, Factor: app, Recovery: []string{recovery}, Step: 100}
		change(&cmd)
		return cmd
	}
	replaceBy := func(change func(*ReplaceFactor)) ReplaceFactor {
		cmd := ReplaceFactor{Person: "p1", Proof: Proof{Credential: firstPassword, Factor: app, Step: 101}, Factor: otherApp, Recovery: []string{hash}, Confirmed: 200}
		change(&cmd)
		return cmd
	}
	renew := RenewRecovery{Person: "p1", Proof: Proof{Credential: firstPassword, Factor: app, Step: 101}, Recovery: []string{hash}}
	return map[string]row{
		"a second factor can be set":             {Given: []Event{invited, joined}, When: set(func(*SetFactor) {}), Then: []Event{factor}},
		"a person has one second factor":         {Given: []Event{invited, joined, factor}, When: set(func(*SetFactor) {}), Refused: ErrFactorExists},
		"it belongs to the present password":     {Given: []Event{invited, joined}, When: set(func(c *SetFactor) { c.Credential = "c0" }), Refused: ErrChanged},
		"who has not joined has no factor":       {Given: []Event{invited}, When: set(func(*SetFactor) {}), Refused: ErrNotJoined},
		"a factor was confirmed by a code":       {Given: []Event{invited, joined}, When: set(func(c *SetFactor) { c.Step = 0 }), Refused: ErrInvalid},
		"recovery codes are hashed":              {Given: []Event{invited, joined}, When: set(func(c *SetFactor) { c.Recovery = []string{"abc"} }), Refused: ErrInvalid},
		"there are few recovery codes":           {Given: []Event{invited, joined}, When: set(func(c *SetFactor) { c.Recovery = slices.Repeat([]string{hash}, MaxRecovery+1) }), Refused: ErrInvalid},
		"a factor can be replaced":               {Given: []Event{invited, joined, factor}, When: replaceBy(func(*ReplaceFactor) {}), Then: []Event{FactorSet{Person: "p1", Factor: otherApp, Recovery: []string{hash}, Step: 200}}},
		"by who has a recovery code":             {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Step, c.Proof.Recovery = 0, recovery }), Then: []Event{FactorSet{Person: "p1", Factor: otherApp, Recovery: []string{hash}, Step: 200}}},
		"not by a code that was used":            {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Step = 100 }), Refused: ErrCodeRefused},
		"not by no code":                         {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Step = 0 }), Refused: ErrCodeRefused},
		"not by another recovery code":           {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Step, c.Proof.Recovery = 0, hash }), Refused: ErrCodeRefused},
		"not by another password":                {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Credential = secondPassword }), Refused: ErrChanged},
		"not by another factor":                  {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Proof.Factor = otherApp }), Refused: ErrChanged},
		"a factor that is missing stays so":      {Given: []Event{invited, joined}, When: replaceBy(func(*ReplaceFactor) {}), Refused: ErrFactorMissing},
		"whose access ended replaces nothing":    {Given: []Event{invited, joined, factor, Disabled{Person: "p1"}}, When: replaceBy(func(*ReplaceFactor) {}), Refused: ErrDisabled},
		"another factor was confirmed by a code": {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Confirmed = 0 }), Refused: ErrInvalid},
		"other recovery codes are hashed":        {Given: []Event{invited, joined, factor}, When: replaceBy(func(c *ReplaceFactor) { c.Recovery = []string{"abc"} }), Refused: ErrInvalid},
		"recovery codes can be renewed":          {Given: []Event{invited, joined, factor}, When: renew, Then: []Event{RecoverySet{Person: "p1", Recovery: []string{hash}, Step: 101}}},
		"the code for it is used up":             {Given: []Event{invited, joined, factor, RecoverySet{Person: "p1", Recovery: []string{hash}, Step: 101}}, When: renew, Refused: ErrCodeRefused},
		"new codes end the old ones":             {Given: []Event{invited, joined, factor, RecoverySet{Person: "p1", Recovery: []string{hash}, Step: 101}}, When: SignIn{Person: "p1", Credential: firstPassword, Factor: app, Session: "s1", Recovery: recovery}, Refused: ErrCodeRefused},
		"renewed codes are hashed":               {Given: []Event{invited, joined, factor}, When: RenewRecovery{Person: "p1", Proof: renew.Proof, Recovery: []string{"abc"}}, Refused: ErrInvalid},
		"who has no factor has no codes":         {Given: []Event{invited, joined}, When: renew, Refused: ErrFactorMissing},
		"a factor can be removed":                {Given: []Event{invited, joined, factor}, When: RemoveFactor{Person: "p1"}, Then: []Event{FactorRemoved{Person: "p1"}}},
		"no factor is removed from who has one":  {Given: []Event{invited, joined}, When: RemoveFactor{Person: "p1"}, Nothing: true},
		"a factor is somebody's":                 {When: RemoveFactor{Person: "p1"}, Refused: ErrNotFound},
	}
}

func signIns() map[string]row {
	plain := SignIn{Person: "p1", Credential: firstPassword, Session: "s1"}
	coded := SignIn{Person: "p1", Credential: firstPassword, Factor: app, Session: "s1", Step: 101}
	recovered := SignIn{Person: "p1", Credential: firstPassword, Factor: app, Session: "s1", Recovery: recovery}
	both := coded
	both.Recovery = recovery
	none := coded
	none.Step = 0
	replayed := coded
	replayed.Step = 100
	return map[string]row{
		"a person signs in":                             {Given: []Event{invited, joined}, When: plain, Then: []Event{SignedIn{Person: "p1", Session: "s1"}}},
		"with the present password":                     {Given: []Event{invited, joined, PasswordSet{Person: "p1", Credential: secondPassword}}, When: plain, Refused: ErrChanged},
		"with the present factor":                       {Given: []Event{invited, joined, factor}, When: plain, Refused: ErrChanged},
		"nobody signs in":                               {When: plain, Refused: ErrNotFound},
		"who has not joined does not sign in":           {Given: []Event{invited}, When: SignIn{Person: "p1", Session: "s1"}, Refused: ErrNotJoined},
		"whose access ended does not sign in":           {Given: []Event{invited, joined, Disabled{Person: "p1"}}, When: SignIn{Person: "p1", Session: "s1"}, Refused: ErrDisabled},
		"a session has a plain id":                      {Given: []Event{invited, joined}, When: SignIn{Person: "p1", Credential: firstPassword, Session: "S!"}, Refused: ErrInvalid},
		"with a code":                                   {Given: []Event{invited, joined, factor}, When: coded, Then: []Event{SignedIn{Person: "p1", Session: "s1", Step: 101}}},
		"the code that confirmed the factor is used up": {Given: []Event{invited, joined, factor}, When: replayed, Refused: ErrCodeRefused},
		"a code is good once":                           {Given: []Event{invited, joined, factor, SignedIn{Person: "p1", Session: "s0", Step: 101}}, When: coded, Refused: ErrCodeRefused},
		"a recovery code is good instead":               {Given: []Event{invited, joined, factor}, When: recovered, Then: []Event{SignedIn{Person: "p1", Session: "s1", Recovery: recovery}}},
		"a recovery code is good once":                  {Given: []Event{invited, joined, factor, SignedIn{Person: "p1", Session: "s0", Recovery: recovery}}, When: recovered, Refused: ErrCodeRefused},
		"two codes at once are none":                    {Given: []Event{invited, joined, factor}, When: both, Refused: ErrCodeRefused},
		"no code is none":                               {Given: []Event{invited, joined, factor}, When: none, Refused: ErrCodeRefused},
		"after the factor was removed no code is asked": {Given: []Event{invited, joined, factor, FactorRemoved{Person: "p1"}}, When: plain, Then: []Event{SignedIn{Person: "p1", Session: "s1"}}},

		"a session ends":                 {Given: []Event{invited, joined}, When: SignOut{Person: "p1", Session: "s1"}, Then: []Event{SignedOut{Person: "p1", Session: "s1"}}},
		"a session that ends has an id":  {Given: []Event{invited, joined}, When: SignOut{Person: "p1", Session: ""}, Refused: ErrInvalid},
		"a session is somebody's":        {When: SignOut{Person: "p1", Session: "s1"}, Refused: ErrNotFound},
		"guessing is noted":              {Given: []Event{invited, joined}, When: NoteGuessing{Person: "p1", Failures: 10, Since: noon}, Then: []Event{GuessingNoticed{Person: "p1", Failures: 10, Since: noon}}},
		"guessing is noted once an hour": {Given: []Event{invited, joined, GuessingNoticed{Person: "p1", Failures: 10, Since: noon}}, When: NoteGuessing{Person: "p1", Failures: 99, Since: noon}, Nothing: true},
		"guessing about nobody is not":   {When: NoteGuessing{Person: "p1", Failures: 10, Since: noon}, Refused: ErrNotFound},
	}
}

func addresses() map[string]row {
	ask := func(change func(*AskEmail)) AskEmail {
		cmd := AskEmail{Person: "p1", Current: firstPassword, Change: "c1", Until: evening, Now: noon}
		change(&cmd)
		return cmd
	}
	asked := EmailAsked{Person: "p1", Change: "c1", Until: evening, BySelf: true}
	again := EmailAsked{Person: "p1", Change: "c2", Until: evening}
	changed := EmailChanged{Person: "p1", Change: "c1"}
	confirm := ConfirmEmail{Person: "p1", Change: "c1", Now: noon}
	late := ConfirmEmail{Person: "p1", Change: "c1", Now: evening}
	return map[string]row{
		"an address can change":                   {Given: []Event{invited, joined}, When: ask(func(*AskEmail) {}), Then: []Event{asked}},
		"an admin can ask for it":                 {Given: []Event{invited, joined}, When: ask(func(c *AskEmail) { c.Current, c.Change = "", "c2" }), Then: []Event{again}},
		"it is asked for once":                    {Given: []Event{invited, joined, asked}, When: ask(func(*AskEmail) {}), Nothing: true},
		"not by who had another password":         {Given: []Event{invited, joined}, When: ask(func(c *AskEmail) { c.Current = secondPassword }), Refused: ErrChanged},
		"a change has a plain id":                 {Given: []Event{invited, joined}, When: ask(func(c *AskEmail) { c.Change = "C 1" }), Refused: ErrInvalid},
		"a link is good for a while":              {Given: []Event{invited, joined}, When: ask(func(c *AskEmail) { c.Until = noon }), Refused: ErrInvalid},
		"who has not joined keeps the address":    {Given: []Event{invited}, When: ask(func(*AskEmail) {}), Refused: ErrNotJoined},
		"whose access ended keeps the address":    {Given: []Event{invited, joined, Disabled{Person: "p1"}}, When: ask(func(*AskEmail) {}), Refused: ErrDisabled},
		"an address is somebody's":                {When: ask(func(*AskEmail) {}), Refused: ErrNotFound},
		"a link completes the change":             {Given: []Event{invited, joined, asked}, When: confirm, Then: []Event{changed}},
		"it completes it once":                    {Given: []Event{invited, joined, asked, changed}, When: confirm, Nothing: true},
		"a link ends":                             {Given: []Event{invited, joined, asked}, When: late, Refused: ErrTokenRefused},
		"another change ends the link":            {Given: []Event{invited, joined, asked, again}, When: confirm, Refused: ErrTokenRefused},
		"another password ends the link":          {Given: []Event{invited, joined, asked, PasswordSet{Person: "p1", Credential: secondPassword}}, When: confirm, Refused: ErrTokenRefused},
		"another role ends the link":              {Given: []Event{invited, joined, asked, RoleChanged{Person: "p1", Role: access.Auditor}}, When: confirm, Refused: ErrTokenRefused},
		"another factor ends the link":            {Given: []Event{invited, joined, asked, factor}, When: confirm, Refused: ErrTokenRefused},
		"the end of the access ends the link":     {Given: []Event{invited, joined, asked, Disabled{Person: "p1"}}, When: confirm, Refused: ErrTokenRefused},
		"a link of nobody is refused":             {When: confirm, Refused: ErrTokenRefused},
		"a change that nobody asked for":          {Given: []Event{invited, joined}, When: ConfirmEmail{Person: "p1", Now: noon}, Refused: ErrTokenRefused},
		"a token that went to the old address":    {Given: []Event{invited, joined, TokenGiven{Person: "p1", Token: second, Until: evening}, asked, changed}, When: RedeemToken{Person: "p1", Token: second, Credential: secondPassword, Now: noon}, Refused: ErrTokenRefused},
		"after a change another can be asked for": {Given: []Event{invited, joined, asked, changed}, When: ask(func(c *AskEmail) { c.Current, c.Change = "", "c2" }), Then: []Event{again}},
	}
}

func logins() map[string]row {
	up := func(change func(*SignUp)) SignUp {
		cmd := SignUp{Person: "u1", Customer: "c1", Email: "ann@home.example", Credential: firstPassword}
		change(&cmd)
		return cmd
	}
	asked := EmailAsked{Person: "u1", Change: "c1", Until: evening, BySelf: true}
	return map[string]row{
		"a customer signs up":              {When: up(func(*SignUp) {}), Then: []Event{signedUp}},
		"a link makes one login":           {Given: []Event{signedUp}, When: up(func(*SignUp) {}), Refused: ErrTokenRefused},
		"also after its end":               {Given: []Event{signedUp, Disabled{Person: "u1"}}, When: up(func(*SignUp) {}), Refused: ErrTokenRefused},
		"a login's id begins with u":       {When: up(func(c *SignUp) { c.Person = "p1" }), Refused: ErrInvalid},
		"a login's id is plain":            {When: up(func(c *SignUp) { c.Person = "u 1" }), Refused: ErrInvalid},
		"a login is of a customer":         {When: up(func(c *SignUp) { c.Customer = "" }), Refused: ErrInvalid},
		"a login has an address":           {When: up(func(c *SignUp) { c.Email = "" }), Refused: ErrInvalid},
		"a login has a password":           {When: up(func(c *SignUp) { c.Credential = "" }), Refused: ErrInvalid},
		"nobody is invited as a customer":  {When: Invite{Person: "u1", Role: access.Manager, Token: hash, Until: evening, Now: noon}, Refused: ErrInvalid},
		"a customer is not of the staff":   {Given: []Event{signedUp}, When: ChangeRole{Person: "u1", Role: access.Admin}, Refused: ErrInvalid},
		"a customer's address is recorded": {Given: []Event{signedUp, asked}, When: ConfirmEmail{Person: "u1", Change: "c1", Email: "new@home.example", Now: noon}, Then: []Event{EmailChanged{Person: "u1", Change: "c1", Email: "new@home.example"}}},
		"a customer sets a second factor":  {Given: []Event{signedUp}, When: SetFactor{Person: "u1", Credential: firstPassword, Factor: app, Recovery: []string{recovery}, Step: 100}, Then: []Event{FactorSet{Person: "u1", Factor: app, Recovery: []string{recovery}, Step: 100}}},
	}
}

func tries() map[string]row {
	know := KnowBrowser{Person: "p1", Credential: firstPassword, Browser: "b1"}
	linked := BrowserKnown{Person: "p1", Browser: "b1"}
	count := func(change func(*CountTries)) CountTries {
		cmd := CountTries{Person: "p1", Count: "n1", Since: noon, Until: evening, Passwords: 3, Codes: 2, Delayed: 1, Links: 4}
		change(&cmd)
		return cmd
	}
	counted := TriesCounted{Person: "p1", Count: "n1", Since: noon, Until: evening, Passwords: 3, Codes: 2, Delayed: 1, Links: 4}
	return map[string]row{
		"a link makes a browser known":       {Given: []Event{invited, joined}, When: know, Then: []Event{linked}},
		"it does so once":                    {Given: []Event{invited, joined, linked}, When: know, Nothing: true},
		"a link is for the present password": {Given: []Event{invited, joined, PasswordSet{Person: "p1", Credential: secondPassword}}, When: know, Refused: ErrChanged},
		"a browser has a plain id":           {Given: []Event{invited, joined}, When: KnowBrowser{Person: "p1", Credential: firstPassword, Browser: "B 1"}, Refused: ErrInvalid},
		"a browser is known for somebody":    {When: know, Refused: ErrNotFound},
		"who has not joined has no browser":  {Given: []Event{invited}, When: know, Refused: ErrNotJoined},
		"whose access ended has no browser":  {Given: []Event{invited, joined, Disabled{Person: "p1"}}, When: know, Refused: ErrDisabled},

		"tries are counted":                     {Given: []Event{invited, joined}, When: count(func(*CountTries) {}), Then: []Event{counted}},
		"a count is noted once":                 {Given: []Event{invited, joined, counted}, When: count(func(*CountTries) {}), Nothing: true},
		"also for who has not joined":           {Given: []Event{invited}, When: count(func(*CountTries) {}), Then: []Event{counted}},
		"also for whose access ended":           {Given: []Event{invited, Disabled{Person: "p1"}}, When: count(func(*CountTries) {}), Then: []Event{counted}},
		"not for nobody":                        {When: count(func(*CountTries) {}), Refused: ErrNotFound},
		"a count has a plain id":                {Given: []Event{invited}, When: count(func(c *CountTries) { c.Count = "" }), Refused: ErrInvalid},
		"a count does not end before it begins": {Given: []Event{invited}, When: count(func(c *CountTries) { c.Until = noon.Add(-1) }), Refused: ErrInvalid},
		"a number of tries is not negative":     {Given: []Event{invited}, When: count(func(c *CountTries) { c.Delayed = -1 }), Refused: ErrInvalid},
		"no tries are nothing":                  {Given: []Event{invited}, When: CountTries{Person: "p1", Count: "n1", Since: noon, Until: evening}, Nothing: true},
	}
}

func TestStaff(t *testing.T) {
	t.Parallel()
	decider.Run(t, rows())
}

func TestEveryRefusalHasARow(t *testing.T) {
	t.Parallel()
	full := State{People: map[PersonID]Person{}}
	for n := range MaxPeople {
		full.People[PersonID(strconv.Itoa(n))] = Person{}
	}
	if _, err := Decide(Invite{Person: "p", Role: access.Admin, Token: hash, Until: evening, Now: noon}, full); !errors.Is(err, ErrLimit) {
		t.Errorf("a person beyond the limit: %v", err)
	}
	rest := slices.DeleteFunc(slices.Clone(Rejections), func(r *rule.Rejection) bool { return r == ErrLimit })
	decider.EveryRefusalHasARow(t, rest, rows())
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	ofBoth := decidertest.Codec[Event]{
		Encode: func(e Event) (string, []byte, error) {
			if personOf(e).IsLogin() {
				return EncodeLogin(e)
			}
			return Encode(e)
		},
		Decode: func(typ string, data []byte) (Event, error) {
			if strings.HasPrefix(typ, LoginCategory+".") {
				return DecodeLogin(typ, data)
			}
			return Decode(typ, data)
		},
	}
	samples := []Event{
		invited, joined, factor,
		TokenGiven{Person: "p1", Token: second, Until: evening},
		PasswordSet{Person: "p1", Credential: secondPassword},
		PasswordSet{Person: "p1", Credential: secondPassword, ByToken: true},
		RoleChanged{Person: "p1", Role: access.Auditor},
		Disabled{Person: "p1", Reason: "left"},
		RecoverySet{Person: "p1", Recovery: []string{recovery}, Step: 101},
		RecoverySet{Person: "p1", Recovery: []string{recovery}},
		FactorRemoved{Person: "p1"},
		SignedIn{Person: "p1", Session: "s1"},
		SignedIn{Person: "p1", Session: "s1", Step: 101},
		SignedIn{Person: "p1", Session: "s1", Recovery: recovery},
		SignedOut{Person: "p1", Session: "s1"},
		GuessingNoticed{Person: "p1", Failures: 10, Since: noon},
		EmailAsked{Person: "p1", Change: "c1", Until: evening},
		EmailAsked{Person: "p1", Change: "c1", Until: evening, BySelf: true},
		EmailChanged{Person: "p1", Change: "c1"},
		BrowserKnown{Person: "p1", Browser: "b1"},
		TriesCounted{Person: "p1", Count: "n1", Since: noon, Until: evening, Passwords: 3, Codes: 2, Delayed: 1, Links: 4},
		TriesCounted{Person: "p1", Count: "n1", Since: noon, Until: evening, Links: 1},
	}
	for _, sample := range slices.Clone(samples) {
		switch sample.(type) { //nolint:gochecksumtype // all others can happen to a login
		case Invited, Joined, RoleChanged:
			continue
		}
		ofLogin := reflect.New(reflect.TypeOf(sample)).Elem()
		ofLogin.Set(reflect.ValueOf(sample))
		ofLogin.FieldByName("Person").SetString("u1")
		samples = append(samples, ofLogin.Interface().(Event))
	}
	ofBoth.Golden(t, append(samples, signedUp, EmailChanged{Person: "u1", Change: "c1", Email: "new@home.example"}))
	for _, never := range []string{"shoplogin.invited.v1", "shoplogin.joined.v1", "shoplogin.role_changed.v1", "shopstaff.signed_up.v1"} {
		if _, err := ofBoth.Decode(never, []byte("{}")); err == nil {
			t.Errorf("%s can be read", never)
		}
	}
}

// personOf is the person that an event is about.
func personOf(e Event) PersonID { return PersonID(reflect.ValueOf(e).FieldByName("Person").String()) }

// Each event that changes a person's rights or credentials ends their sessions.
func TestSessionsEndWithWhatTheyWereBegunWith(t *testing.T) {
	t.Parallel()
	begun := Evolve(Evolve(State{}, invited), joined)
	for _, event := range []Event{PasswordSet{Person: "p1", Credential: secondPassword}, RoleChanged{Person: "p1", Role: access.Admin}, Disabled{Person: "p1"}, factor, FactorRemoved{Person: "p1"}, EmailChanged{Person: "p1", Change: "c1"}} {
		before := begun.People["p1"].Generation
		begun = Evolve(begun, event)
		if begun.People["p1"].Generation <= before {
			t.Errorf("%T ends no session", event)
		}
	}
}

// Each command concerns the roles that it gives, changes or ends. What a person does about
// themself concerns none.
func TestWhatACommandConcerns(t *testing.T) {
	t.Parallel()
	state := State{People: map[PersonID]Person{"p1": {Role: access.Admin, Status: Active}}}
	cases := map[string]struct {
		command Command
		want    []access.Role
	}{
		"Invite":         {Invite{Person: "p2", Role: access.Auditor}, []access.Role{access.Auditor}},
		"ChangeRole":     {ChangeRole{Person: "p1", Role: access.Auditor}, []access.Role{access.Admin, access.Auditor}},
		"GiveToken":      {GiveToken{Person: "p1"}, []access.Role{access.Admin}},
		"Disable":        {Disable{Person: "p1"}, []access.Role{access.Admin}},
		"RemoveFactor":   {RemoveFactor{Person: "p1"}, []access.Role{access.Admin}},
		"RedeemToken":    {RedeemToken{Person: "p1"}, nil},
		"ChangePassword": {ChangePassword{Person: "p1"}, nil},
		"SetFactor":      {SetFactor{Person: "p1"}, nil},
		"SignIn":         {SignIn{Person: "p1"}, nil},
		"SignOut":        {SignOut{Person: "p1"}, []access.Role{access.Admin}},
		"ReplaceFactor":  {ReplaceFactor{Person: "p1"}, nil},
		"RenewRecovery":  {RenewRecovery{Person: "p1"}, nil},
		"AskEmail":       {AskEmail{Person: "p1"}, []access.Role{access.Admin}},
		"ConfirmEmail":   {ConfirmEmail{Person: "p1"}, nil},
		"NoteGuessing":   {NoteGuessing{Person: "p1"}, nil},
		"KnowBrowser":    {KnowBrowser{Person: "p1"}, nil},
		"CountTries":     {CountTries{Person: "p1"}, nil},
		"SignUp":         {SignUp{Person: "u1"}, nil},
	}
	for _, name := range decidertest.Sealed(t, "Command") {
		c, known := cases[name]
		if !known {
			t.Errorf("%s: say which roles it concerns", name)
			continue
		}
		if got := state.Concerns(c.command); !slices.Equal(got, c.want) {
			t.Errorf("%s concerns %q, want %q", name, got, c.want)
		}
	}
}
