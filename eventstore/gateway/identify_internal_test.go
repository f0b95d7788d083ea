package gateway

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"daybook/eventstore/memory"
)

// someUsers are users with the password or the token "right". busy is what they answer to "often".
type someUsers struct{ busy error }

func (u someUsers) Authenticate(_ context.Context, name, password string) (User, error) {
	switch password {
	case "right":
		return User{Name: name}, nil
	case "often":
		return User{}, u.busy
	}
	return User{}, ErrBadCredentials
}

// tokenUsers also take tokens.
type tokenUsers struct{ someUsers }

func (u tokenUsers) AuthenticateToken(ctx context.Context, token string) (User, error) {
	return u.Authenticate(ctx, "token", token)
}

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// A caller is known by one header with a name and a password, or with a token if the users take
// tokens. Refused is told why each of the others is refused.
func TestWhoCalls(t *testing.T) {
	t.Parallel()
	busy := fmt.Errorf("%w: wait", ErrTooMany)
	pause := fmt.Errorf("%w: pause", ErrTooMany)
	for name, c := range map[string]struct {
		headers  []string
		noTokens bool
		user     string
		code     codes.Code
		says     string
		cause    error // that Refused is told
	}{
		"a password":           {headers: []string{basic("ann", "right")}, user: "ann"},
		"a token":              {headers: []string{"Bearer right"}, user: "token"},
		"another spelling":     {headers: []string{"bearer right"}, user: "token"},
		"a wrong token":        {headers: []string{"Bearer wrong"}, code: codes.Unauthenticated, says: "the credentials are not good", cause: ErrBadCredentials},
		"a wrong password":     {headers: []string{basic("ann", "wrong")}, code: codes.Unauthenticated, says: "the credentials are not good", cause: ErrBadCredentials},
		"no tokens are taken":  {headers: []string{"Bearer right"}, noTokens: true, code: codes.Unauthenticated, says: "the credentials are not of a scheme that this server takes", cause: errNotTaken},
		"another scheme":       {headers: []string{"Digest right"}, code: codes.Unauthenticated, says: "the credentials are not of a scheme that this server takes", cause: errNotTaken},
		"nothing":              {code: codes.Unauthenticated, says: "credentials are missing", cause: ErrNoCredentials},
		"an empty header":      {headers: []string{""}, code: codes.Unauthenticated, says: "credentials are missing", cause: ErrNoCredentials},
		"two headers":          {headers: []string{basic("ann", "right"), basic("ann", "right")}, code: codes.Unauthenticated, says: "there are several headers authorization", cause: errManyCredentials},
		"too many calls":       {headers: []string{"Bearer often"}, code: codes.ResourceExhausted, says: "too many calls: wait", cause: ErrTooMany},
		"Refused says to wait": {headers: []string{basic("eve", "wrong")}, code: codes.ResourceExhausted, says: "too many calls: pause", cause: ErrBadCredentials},
	} {
		var told error
		options := Options{Users: tokenUsers{someUsers{busy}}, TLS: new(tls.Config), Refused: func(_ context.Context, cause error) error {
			told = cause
			if name == "Refused says to wait" {
				return pause
			}
			return errors.New("it is no error that the caller gets")
		}}
		if c.noTokens {
			options.Users = someUsers{busy}
		}
		s, err := New(memory.New(), options)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop, err := s.admit(metadata.NewIncomingContext(t.Context(), metadata.MD{headerAuthorization: c.headers}), "/a/method")
		stop()
		switch {
		case c.user != "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.user != "":
			if user, known := userOf(ctx); !known || user.Name != c.user {
				t.Errorf("%s: %+v", name, user)
			}
		case status.Code(err) != c.code || status.Convert(err).Message() != c.says:
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(told, c.cause) {
			t.Errorf("%s: Refused was told %v", name, told)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
