package keyring

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/google/uuid"

	"daybook/domain/access"
	"daybook/domain/unit"
)

// guestPrefix begins the text of every guest's token.
const guestPrefix = "dbg"

// ErrGuest means that a text does not have the form of a guest's token, or was not made with this
// secret.
var ErrGuest = errors.New("the guest's token is wrong")

// Guests makes and reads the tokens of guests. A guest is whoever has the token of a cart. The
// token is made from the cart's id and a secret that all nodes share, so it need not be stored.
type Guests struct{ secret []byte }

// NewGuests makes a Guests with the secret of all nodes.
func NewGuests(secret []byte) *Guests { return &Guests{secret} }

// Token is the token of a cart: "dbg_", the cart's id in base64, "_" and 64 digits.
func (g *Guests) Token(cart unit.CartID) string {
	return guestPrefix + "_" + base64.RawStdEncoding.EncodeToString([]byte(cart)) + "_" + hex.EncodeToString(g.sign(string(cart)))
}

func (g *Guests) sign(cart string) []byte {
	mac := hmac.New(sha256.New, g.secret)
	_, _ = mac.Write([]byte("cart " + cart)) // it never fails
	return mac.Sum(nil)
}

// CustomerID makes the id of a new customer from the id of the command that registers them. Nobody
// can compute it without the secret, so it says nothing about the command's key.
func (g *Guests) CustomerID(command uuid.UUID) unit.CustomerID {
	mac := hmac.New(sha256.New, g.secret)
	_, _ = mac.Write([]byte("customer " + command.String())) // it never fails
	return unit.CustomerID("c" + hex.EncodeToString(mac.Sum(nil)[:16]))
}

// IsToken tells whether a text has the form of a guest's token.
func IsToken(text string) bool { return strings.HasPrefix(text, guestPrefix+"_") }

// Authenticate returns the guest who has a token. The only error is ErrGuest.
func (g *Guests) Authenticate(text string) (access.Principal, error) {
	parts := strings.Split(text, "_")
	if len(parts) != 3 || parts[0] != guestPrefix {
		return access.Principal{}, ErrGuest
	}
	id, err := base64.RawStdEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return access.Principal{}, ErrGuest
	}
	given, err := hex.DecodeString(parts[2])
	if err != nil || !hmac.Equal(given, g.sign(string(id))) {
		return access.Principal{}, ErrGuest
	}
	cart, err := unit.ParseCartID(string(id))
	if err != nil {
		return access.Principal{}, ErrGuest
	}
	return access.GuestOf(cart), nil
}

// CartOf returns the cart that a token is for. good is false for any other text.
func (g *Guests) CartOf(text string) (cart unit.CartID, good bool) {
	who, err := g.Authenticate(text)
	return who.Cart, err == nil
}

// Anonymous returns a guest without a token. The guest may open one cart, whose id is new and
// random, and gets the token of this cart.
func (g *Guests) Anonymous() access.Principal {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // it never fails
	return access.GuestOf(unit.CartID("g" + hex.EncodeToString(random)))
}
