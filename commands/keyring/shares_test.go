package keyring_test

import (
	"strings"
	"testing"

	"daybook/commands/keyring"
)

func TestATokenOfAShareIsReadByWhoHasTheSecret(t *testing.T) {
	t.Parallel()
	ours, others := keyring.NewGuests([]byte("one secret")), keyring.NewGuests([]byte("another secret"))
	share := keyring.Share{CustomerID: "ann", ListID: "w1", Number: 2}
	token := ours.ShareToken(share)
	if got, good := ours.ReadShare(token); !good || got != share {
		t.Errorf("%+v, %t", got, good)
	}
	if strings.Contains(token, "ann") || token == ours.ShareToken(share) {
		t.Error("the token tells its customer, or is the same each time")
	}
	for _, wrong := range []string{"", "dbw_", token[:len(token)-2], token + "A", strings.TrimPrefix(token, "dbw_"), "dbw_" + strings.Repeat("A", 60), "dbg_x_y"} {
		if got, good := ours.ReadShare(wrong); good {
			t.Errorf("%q is taken for %+v", wrong, got)
		}
	}
	if _, good := others.ReadShare(token); good {
		t.Error("a token is good with another secret")
	}
}
