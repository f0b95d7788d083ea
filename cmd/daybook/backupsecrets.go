package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"daybook/commands/streams"
	"daybook/domain/access"
	"daybook/domain/staff"
	eventstorepg "daybook/eventstore/postgres"
	"daybook/internal/backup"
)

// leftOutHash stands in a backup without secrets where the log has the SHA-256 of a secret. Nobody
// knows a text with this SHA-256, so no key and no token fits it.
var leftOutHash = strings.Repeat("0", 64)

// secretTables are the tables whose secrets a backup without secrets leaves out: hashes of
// passwords, the secrets of second factors, the secrets by which logins and gift cards are found,
// and the keys of personal texts. Without these keys, what is kept of invoices cannot be read, so
// it is left out, too.
var secretTables = []string{"commands.people_secrets", secretsTable, dataKeysTable, keptTable}

// secretsTable has the secrets of the shop's nodes. Only those of logins and codes are in a backup.
const secretsTable = "commands.secrets"

const (
	dataKeysTable = "commands.data_keys"
	keptTable     = "commands.kept"
)

// keptWithoutSecrets leaves out the rows that have secrets. The key of a personal text is replaced
// by a destroyed one, so the text reads as erased in the copy.
func keptWithoutSecrets(kept []backup.Kept, now time.Time) (rest []backup.Kept, err error) {
	for _, row := range kept {
		if row.Table == dataKeysTable {
			if row.Row, err = destroyedKey(row.Row, now); err != nil {
				return nil, err
			}
		} else if slices.Contains(secretTables, row.Table) {
			continue
		}
		rest = append(rest, row)
	}
	return rest, nil
}

// destroyedKey is the row of a data key without the key.
func destroyedKey(row jsontext.Value, now time.Time) (jsontext.Value, error) {
	var columns map[string]any
	if err := json.Unmarshal(row, &columns); err != nil {
		return nil, fmt.Errorf("a row of %s: %w", dataKeysTable, err)
	}
	columns["wrapped"] = nil
	if columns["destroyed_at"] == nil {
		columns["destroyed_at"] = now.UTC()
	}
	return json.Marshal(columns, json.Deterministic(true))
}

// withoutSecrets replaces the hashes of secrets in an event about API keys or people. All other
// events are returned as they are. The event keeps its place, its id and its time, so the log has
// no gap.
func withoutSecrets(row eventstorepg.Row) (eventstorepg.Row, error) {
	if !streams.Wrote(row.Stream, row.ID) {
		return row, nil // another program wrote it, and it says nothing about keys or people
	}
	var err error
	data := []byte(row.Data)
	switch {
	case row.Stream == access.Stream():
		var event access.Event
		if event, err = access.Decode(row.Type, data); err == nil {
			row.Type, data, err = access.Encode(keyWithoutHash(event))
		}
	case row.Stream == staff.Stream():
		var event staff.Event
		if event, err = staff.Decode(row.Type, data); err == nil {
			row.Type, data, err = staff.Encode(personWithoutHash(event))
		}
	case strings.HasPrefix(row.Stream, staff.LoginCategory+"-"):
		if strings.Contains(row.Data, `"sealed":`) { // its texts are sealed here, and such an event has no hash
			return row, nil
		}
		var event staff.Event
		if event, err = staff.DecodeLogin(row.Type, data); err == nil {
			row.Type, data, err = staff.EncodeLogin(personWithoutHash(event))
		}
	default:
		return row, nil
	}
	if err != nil {
		return row, fmt.Errorf("leave out the secrets of event %d: %w", row.Position, err)
	}
	row.Data = string(data)
	return row, nil
}

func keyWithoutHash(event access.Event) access.Event {
	switch e := event.(type) {
	case access.KeyIssued:
		e.Hash = leftOutHash
		return e
	case access.KeyRotated:
		e.Hash = leftOutHash
		return e
	case access.KeyRevoked, access.KeyExpired, access.RoleDefined, access.RoleRemoved:
	}
	return event
}

func personWithoutHash(event staff.Event) staff.Event {
	switch e := event.(type) {
	case staff.Invited:
		e.Token = leftOutHash
		return e
	case staff.TokenGiven:
		e.Token = leftOutHash
		return e
	case staff.FactorSet:
		e.Recovery = nil
		return e
	case staff.RecoverySet:
		e.Recovery = nil
		return e
	case staff.SignedIn:
		if e.Recovery != "" {
			e.Recovery = leftOutHash
		}
		return e
	case staff.Joined, staff.PasswordSet, staff.RoleChanged, staff.Disabled, staff.FactorRemoved, staff.SignedOut, staff.GuessingNoticed, staff.EmailAsked, staff.EmailChanged, staff.BrowserKnown, staff.TriesCounted, staff.SignedUp:
	}
	return event
}

// withoutSecretsSays tells what to do after a restore of a backup without secrets.
const withoutSecretsSays = `The backup was made without secrets. No old API key, password, token or second factor is good any more:
  daybook keys create --role admin --name NAME   makes a new key
  daybook keys rotate ID                         gives an old key a new secret
  daybook staff token ID                         gives a person a token, with which they set a new password
  daybook staff unenroll ID                      removes a person's second factor, and they set up another one
Personal texts of customers are erased in this copy.
`
