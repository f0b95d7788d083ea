package commands_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/internal/shoptest"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// Keys that reach the things of an erased customer end, once, and all others stay.
func TestAnErasureRevokesTheKeysOfTheCustomer(t *testing.T) {
	t.Parallel()
	log := memory.New()
	s := open(t, log, commands.DefaultPolicy())
	issue := func(key access.KeyID, role access.Role, customer string) {
		t.Helper()
		_, err := s.Access(t.Context(), using(access.WriteAccess, shoptest.NewCall()), access.IssueKey{
			Key: key, Name: "a key", Role: role, Customer: customer, Hash: strings.Repeat("0a", 32), Now: s.Now(),
		})
		s.Must(err)
	}
	issue("ka1", access.Customer, "alice")
	issue("ka2", access.Customer, "alice")
	issue("kb1", access.Customer, "bob")
	issue("kc1", access.Operator, "")
	_, err := s.Access(t.Context(), using(access.WriteAccess, shoptest.NewCall()), access.RevokeKey{Key: "ka2"})
	s.Must(err)

	before := len(recordedIn(t, log))
	for _, owner := range []unit.Owner{unit.CartID("alice").Owner(), unit.CustomerID("alice").Owner(), unit.CustomerID("alice").Owner()} {
		s.Must(s.FinishErasure(t.Context(), uuid.New(), owner))
	}
	recorded := recordedIn(t, log)[before:]
	if len(recorded) != 1 || !strings.Contains(string(recorded[0].Data), `"ka1"`) || eventstore.MetadataOrNone(recorded[0].Meta).Actor != "system:erasure" {
		t.Errorf("recorded: %+v", recorded)
	}
	s.Must(s.ViewAccess(t.Context(), func(state access.State, _ int64) {
		for key, want := range map[access.KeyID]access.KeyStatus{"ka1": access.Revoked, "ka2": access.Revoked, "kb1": access.Active, "kc1": access.Active} {
			if state.Keys[key].Status != want {
				t.Errorf("%s is %s", key, state.Keys[key].Status)
			}
		}
	}))
}
