package staff

import (
	"strings"
	"time"

	"daybook/domain/access"
	"daybook/domain/rule"
	"daybook/domain/unit"
)

// The bounds of people.
const (
	MaxPeople = 10_000 // of a shop, including people whose access has ended
	// MaxToken is the longest time for which a token is good.
	MaxToken = 7 * 24 * time.Hour
	// MaxRecovery is the largest number of recovery codes of a person.
	MaxRecovery = 20
)

// Decide applies the rules to a command. The result is events, nothing (it is already so) or a
// *rule.Rejection. It never changes s.
func Decide(cmd Command, s State) ([]Event, error) {
	switch cmd := cmd.(type) {
	case SignUp:
		return signUp(cmd, s)
	case Invite:
		return invite(cmd, s)
	case GiveToken:
		return giveToken(cmd, s)
	case RedeemToken:
		return redeemToken(cmd, s)
	case ChangePassword:
		return changePassword(cmd, s)
	case ChangeRole:
		return changeRole(cmd, s)
	case Disable:
		return disable(cmd, s)
	case SetFactor:
		return setFactor(cmd, s)
	case ReplaceFactor:
		return replaceFactor(cmd, s)
	case RenewRecovery:
		return renewRecovery(cmd, s)
	case RemoveFactor:
		return removeFactor(cmd, s)
	case SignIn:
		return signIn(cmd, s)
	case SignOut:
		return signOut(cmd, s)
	case NoteGuessing:
		return noteGuessing(cmd, s)
	case AskEmail:
		return askEmail(cmd, s)
	case ConfirmEmail:
		return confirmEmail(cmd, s)
	case KnowBrowser:
		return knowBrowser(cmd, s)
	case CountTries:
		return countTries(cmd, s)
	}
	panic("staff: unknown command")
}

func invite(cmd Invite, s State) ([]Event, error) {
	switch {
	case len(s.People) >= MaxPeople:
		return nil, ErrLimit
	case !isPlain(string(cmd.Person)) || cmd.Person.IsLogin():
		return nil, invalid("person_id", "An id has 1 to 40 lower-case letters and digits, and does not begin with u.")
	case s.People[cmd.Person].Status != "":
		return nil, ErrExists
	}
	if err := checkRole(cmd.Role); err != nil {
		return nil, err
	}
	if err := checkToken(cmd.Token, cmd.Until, cmd.Now); err != nil {
		return nil, err
	}
	return []Event{Invited{Person: cmd.Person, Role: cmd.Role, Token: cmd.Token, Until: cmd.Until}}, nil
}

func giveToken(cmd GiveToken, s State) ([]Event, error) {
	person, err := s.present(cmd.Person)
	if err != nil {
		return nil, err
	}
	if person.Token == cmd.Token && person.Until.Equal(cmd.Until) && cmd.Token != "" {
		return nil, nil
	}
	if err := checkToken(cmd.Token, cmd.Until, cmd.Now); err != nil {
		return nil, err
	}
	return []Event{TokenGiven{Person: cmd.Person, Token: cmd.Token, Until: cmd.Until}}, nil
}

func redeemToken(cmd RedeemToken, s State) ([]Event, error) {
	person := s.People[cmd.Person]
	switch {
	case person.Token == "" || person.Token != cmd.Token || !cmd.Now.Before(person.Until):
		return nil, ErrTokenRefused
	case cmd.Credential == "":
		return nil, invalid("credential_id", "A credential has an id.")
	case person.Status == Waiting:
		return []Event{Joined{Person: cmd.Person, Credential: cmd.Credential}}, nil
	}
	return []Event{PasswordSet{Person: cmd.Person, Credential: cmd.Credential, ByToken: true}}, nil
}

func changePassword(cmd ChangePassword, s State) ([]Event, error) {
	person, err := s.active(cmd.Person)
	switch {
	case err != nil:
		return nil, err
	case person.Credential != cmd.Current:
		return nil, ErrChanged
	case cmd.Credential == "":
		return nil, invalid("credential_id", "A credential has an id.")
	}
	return []Event{PasswordSet{Person: cmd.Person, Credential: cmd.Credential, ByToken: cmd.ByToken}}, nil
}

func changeRole(cmd ChangeRole, s State) ([]Event, error) {
	person, err := s.present(cmd.Person)
	if err != nil {
		return nil, err
	}
	if err := checkRole(cmd.Role); err != nil {
		return nil, err
	}
	switch {
	case person.Role == cmd.Role:
		return nil, nil
	case cmd.Person.IsLogin():
		return nil, invalid("role", "A customer who signs in has the role customer.")
	}
	return []Event{RoleChanged{Person: cmd.Person, Role: cmd.Role}}, nil
}

func disable(cmd Disable, s State) ([]Event, error) {
	switch s.People[cmd.Person].Status {
	case "":
		return nil, ErrNotFound
	case Ended:
		return nil, nil
	case Waiting, Active:
	}
	if fault := unit.TextFault(cmd.Reason, unit.MaxNote); fault != "" {
		return nil, invalid("reason", "The reason is refused: "+fault+".")
	}
	return []Event{Disabled{Person: cmd.Person, Reason: cmd.Reason}}, nil
}

func setFactor(cmd SetFactor, s State) ([]Event, error) {
	person, err := s.active(cmd.Person)
	switch {
	case err != nil:
		return nil, err
	case person.Credential != cmd.Credential:
		return nil, ErrChanged
	case person.Factor != "":
		return nil, ErrFactorExists
	}
	return newFactor(FactorSet{Person: cmd.Person, Factor: cmd.Factor, Recovery: cmd.Recovery, Step: cmd.Step})
}

func newFactor(set FactorSet) ([]Event, error) {
	if set.Factor == "" || set.Step <= 0 {
		return nil, invalid("factor_id", "A second factor has an id and was confirmed by a code.")
	}
	if err := checkRecovery(set.Recovery); err != nil {
		return nil, err
	}
	return []Event{set}, nil
}

func checkRecovery(hashes []string) error {
	if len(hashes) > MaxRecovery || !allHashes(hashes) {
		return invalid("recovery_hashes", "There are at most 20 recovery codes, each with the SHA-256 in hex.")
	}
	return nil
}

func replaceFactor(cmd ReplaceFactor, s State) ([]Event, error) {
	if err := s.checkProof(cmd.Person, cmd.Proof); err != nil {
		return nil, err
	}
	return newFactor(FactorSet{Person: cmd.Person, Factor: cmd.Factor, Recovery: cmd.Recovery, Step: cmd.Confirmed})
}

func renewRecovery(cmd RenewRecovery, s State) ([]Event, error) {
	if err := s.checkProof(cmd.Person, cmd.Proof); err != nil {
		return nil, err
	}
	if err := checkRecovery(cmd.Recovery); err != nil {
		return nil, err
	}
	return []Event{RecoverySet{Person: cmd.Person, Recovery: cmd.Recovery, Step: cmd.Proof.Step}}, nil
}

// checkProof refuses a proof by a password or a second factor that is not the present one, or by a
// code that was used before.
func (s State) checkProof(id PersonID, proof Proof) error {
	person, err := s.active(id)
	switch {
	case err != nil:
		return err
	case person.Factor == "":
		return ErrFactorMissing
	case person.Credential != proof.Credential || person.Factor != proof.Factor:
		return ErrChanged
	}
	return person.checkCode(proof.Step, proof.Recovery)
}

func removeFactor(cmd RemoveFactor, s State) ([]Event, error) {
	person, err := s.present(cmd.Person)
	if err != nil || person.Factor == "" {
		return nil, err
	}
	return []Event{FactorRemoved{Person: cmd.Person}}, nil
}

func signIn(cmd SignIn, s State) ([]Event, error) {
	person, err := s.active(cmd.Person)
	switch {
	case err != nil:
		return nil, err
	case !isPlain(cmd.Session):
		return nil, invalid("session_id", "An id has 1 to 40 lower-case letters and digits.")
	case person.Began == cmd.Session:
		return nil, nil
	case person.Credential != cmd.Credential || person.Factor != cmd.Factor:
		return nil, ErrChanged
	}
	signed := SignedIn{Person: cmd.Person, Session: cmd.Session}
	if person.Factor != "" {
		if err := person.checkCode(cmd.Step, cmd.Recovery); err != nil {
			return nil, err
		}
		signed.Step, signed.Recovery = cmd.Step, cmd.Recovery
	}
	return []Event{signed}, nil
}

// checkCode refuses a code that was used before. It does so even if two nodes get the code at the
// same moment, because the second command is decided after the first event.
func (p Person) checkCode(step int64, recovery string) error {
	switch {
	case (step > 0) == (recovery != ""):
		return ErrCodeRefused // the command must have exactly one of them
	case step > 0 && step <= p.Step:
		return ErrCodeRefused
	case recovery != "" && !p.hasRecovery(recovery):
		return ErrCodeRefused
	}
	return nil
}

func (p Person) hasRecovery(hash string) bool {
	for _, one := range p.Recovery {
		if one == hash {
			return true
		}
	}
	return false
}

func signOut(cmd SignOut, s State) ([]Event, error) {
	person := s.People[cmd.Person]
	switch {
	case person.Status == "":
		return nil, ErrNotFound
	case person.EndedOne == cmd.Session && cmd.Session != "":
		return nil, nil
	case !isPlain(cmd.Session):
		return nil, invalid("session_id", "An id has 1 to 40 lower-case letters and digits.")
	}
	return []Event{SignedOut(cmd)}, nil
}

func noteGuessing(cmd NoteGuessing, s State) ([]Event, error) {
	person := s.People[cmd.Person]
	switch {
	case person.Status == "":
		return nil, ErrNotFound
	case person.Guessing.Equal(cmd.Since):
		return nil, nil
	}
	return []Event{GuessingNoticed(cmd)}, nil
}

func askEmail(cmd AskEmail, s State) ([]Event, error) {
	person, err := s.active(cmd.Person)
	switch {
	case err != nil:
		return nil, err
	case cmd.Current != "" && person.Credential != cmd.Current:
		return nil, ErrChanged
	case !isPlain(cmd.Change):
		return nil, invalid("change_id", "An id has 1 to 40 lower-case letters and digits.")
	case person.Change == cmd.Change:
		return nil, nil
	}
	if err := checkUntil(cmd.Until, cmd.Now); err != nil {
		return nil, err
	}
	return []Event{EmailAsked{Person: cmd.Person, Change: cmd.Change, Until: cmd.Until, BySelf: cmd.Current != ""}}, nil
}

func confirmEmail(cmd ConfirmEmail, s State) ([]Event, error) {
	person := s.People[cmd.Person]
	switch {
	case cmd.Change == "":
		return nil, ErrTokenRefused
	case person.Moved == cmd.Change:
		return nil, nil
	case person.Change != cmd.Change || !cmd.Now.Before(person.ChangeUntil):
		return nil, ErrTokenRefused
	}
	return []Event{EmailChanged{Person: cmd.Person, Change: cmd.Change, Email: cmd.Email}}, nil
}

func knowBrowser(cmd KnowBrowser, s State) ([]Event, error) {
	person, err := s.active(cmd.Person)
	switch {
	case err != nil:
		return nil, err
	case !isPlain(cmd.Browser):
		return nil, invalid("browser_id", "An id has 1 to 40 lower-case letters and digits.")
	case person.Known == cmd.Browser:
		return nil, nil
	case person.Credential != cmd.Credential:
		return nil, ErrChanged
	}
	return []Event{BrowserKnown{Person: cmd.Person, Browser: cmd.Browser}}, nil
}

func countTries(cmd CountTries, s State) ([]Event, error) {
	person := s.People[cmd.Person]
	switch {
	case person.Status == "":
		return nil, ErrNotFound
	case !isPlain(cmd.Count):
		return nil, invalid("count_id", "An id has 1 to 40 lower-case letters and digits.")
	case person.Counted == cmd.Count:
		return nil, nil
	case cmd.Until.Before(cmd.Since):
		return nil, invalid("until", "A count ends after its beginning.")
	case min(cmd.Passwords, cmd.Codes, cmd.Delayed, cmd.Links) < 0:
		return nil, invalid("count", "A number of tries is not negative.")
	case max(cmd.Passwords, cmd.Codes, cmd.Delayed, cmd.Links) == 0:
		return nil, nil
	}
	return []Event{TriesCounted(cmd)}, nil
}

// present is a person whose access has not ended.
func (s State) present(id PersonID) (Person, error) {
	person := s.People[id]
	switch person.Status {
	case "":
		return person, ErrNotFound
	case Ended:
		return person, ErrDisabled
	case Waiting, Active:
	}
	return person, nil
}

// active is a person who has joined and whose access has not ended.
func (s State) active(id PersonID) (Person, error) {
	person, err := s.present(id)
	if err == nil && person.Status == Waiting {
		err = ErrNotJoined
	}
	return person, err
}

func checkRole(role access.Role) error {
	if _, err := access.ParseRole(string(role)); err != nil {
		return invalid("role", "A role's name has 1 to 40 lower-case letters and digits.")
	}
	return nil
}

func checkToken(hash string, until, now time.Time) error {
	if !isHash(hash) {
		return invalid("token_hash", "A hash is a SHA-256 in hex.")
	}
	return checkUntil(until, now)
}

func checkUntil(until, now time.Time) error {
	if !until.After(now) || until.After(now.Add(MaxToken)) {
		return invalid("until", "A token is good for at most 7 days.")
	}
	return nil
}

func invalid(member, detail string) *rule.Rejection {
	return ErrInvalid.With(detail, map[string]any{"field": member})
}

func allHashes(list []string) bool {
	for _, one := range list {
		if !isHash(one) {
			return false
		}
	}
	return true
}

func isHash(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// isPlain tells whether a text has 1 to 40 lower-case letters and digits.
func isPlain(text string) bool {
	return text != "" && len(text) <= 40 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}

// ParsePersonID reads the id of a person.
func ParsePersonID(text string) (PersonID, error) {
	if !isPlain(text) {
		return "", errPersonID
	}
	return PersonID(text), nil
}
