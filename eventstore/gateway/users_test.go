package gateway_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"daybook/eventstore/gateway"
)

func hashed(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUsersOfAPasswordFile(t *testing.T) {
	t.Parallel()
	text := "# who may call\n\nann:" + hashed(t, "right") + ":$admins, auditors\nbob:" + hashed(t, "other") + "\n"
	users, err := gateway.ReadPasswordFile(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is known
		ann, err := users.Authenticate(t.Context(), "ann", "right")
		if err != nil || ann.Name != "ann" || !slices.Equal(ann.Groups, []string{"$admins", "auditors"}) {
			t.Errorf("ann is %+v, error %v", ann, err)
		}
	}
	if bob, err := users.Authenticate(t.Context(), "bob", "other"); err != nil || bob.Name != "bob" || len(bob.Groups) != 0 {
		t.Errorf("bob is %+v, error %v", bob, err)
	}
	for _, wrong := range [][2]string{{"ann", "other"}, {"ann", ""}, {"bob", "right"}, {"eve", "right"}, {"", ""}} {
		if user, err := users.Authenticate(t.Context(), wrong[0], wrong[1]); !errors.Is(err, gateway.ErrBadCredentials) {
			t.Errorf("%q: user %+v, error %v", wrong, user, err)
		}
	}
}

func TestBadPasswordFilesAreRefused(t *testing.T) {
	t.Parallel()
	good := "ann:" + hashed(t, "right")
	for text, want := range map[string]string{
		"":                            "no user",
		"# nobody":                    "no user",
		good + "\nbob":                "line 2: user bob: the password is not hashed",
		good + "\nbob:secret:$admins": "line 2: user bob: the password is not hashed",
		":" + hashed(t, "x"):          "line 1: want name:hash",
		good + "\n\n" + good:          "line 3: user ann is named twice",
	} {
		_, err := gateway.ReadPasswordFile(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}
