package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"daybook/domain/customer"
	"daybook/domain/unit"
)

// sharePrefix begins the text of every token of a shared wish list.
const sharePrefix = "dbw_"

// Share is a share of a wish list.
type Share struct {
	CustomerID unit.CustomerID
	ListID     customer.WishListID
	Number     int // of the share
}

// ShareToken is a token of a share. It is encrypted, so whoever has it does not learn the id of the
// customer. Each call makes another text, and all of them are good.
func (g *Guests) ShareToken(share Share) string {
	text := strings.Join([]string{string(share.CustomerID), string(share.ListID), strconv.Itoa(share.Number)}, "/")
	return sharePrefix + base64.RawURLEncoding.EncodeToString(g.shares().Seal(nil, nil, []byte(text), nil))
}

// ReadShare reads a token. good is false for any other text. The share may have ended.
func (g *Guests) ReadShare(text string) (share Share, good bool) {
	encoded, ours := strings.CutPrefix(text, sharePrefix)
	box, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || !ours {
		return Share{}, false
	}
	plain, err := g.shares().Open(nil, nil, box, nil)
	if err != nil {
		return Share{}, false
	}
	parts := strings.Split(string(plain), "/")
	if len(parts) != 3 {
		return Share{}, false
	}
	number, err := strconv.Atoi(parts[2])
	return Share{CustomerID: unit.CustomerID(parts[0]), ListID: customer.WishListID(parts[1]), Number: number}, err == nil
}

// shares encrypts tokens, with a key that is derived from the secret of all nodes.
func (g *Guests) shares() cipher.AEAD {
	mac := hmac.New(sha256.New, g.secret)
	_, _ = mac.Write([]byte("shared wish lists")) // it never fails
	block, err := aes.NewCipher(mac.Sum(nil))
	if err == nil {
		var sealed cipher.AEAD
		if sealed, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return sealed
		}
	}
	panic(fmt.Errorf("a key of 32 bytes is refused: %w", err))
}
