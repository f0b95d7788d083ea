package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The names of secrets.
const (
	SecretOfGuests = "guests" // makes the tokens of guests
	SecretOfResets = "resets" // signs the tokens of the links in mails
	// SecretOfPseudonyms makes the pseudonyms that stand for customers where personal data is
	// withheld.
	SecretOfPseudonyms = "pseudonyms"
	// SecretOfLogins makes the keyed hashes by which the logins of customers are found, and the
	// ids of customers of an identity provider. Without it, no customer can sign in. So a backup
	// has it, and StartOver keeps it.
	SecretOfLogins = "logins"
	// SecretOfCodes makes the codes of gift cards, the keyed hashes by which they are found, and
	// the keys by which the uses of guests are counted. Without it, no gift card can be found by
	// its code. So a backup has it, and StartOver keeps it.
	SecretOfCodes = "codes"
)

// Secret returns the 32 random bytes that all nodes of a database have under a name. The first call
// makes them.
func Secret(ctx context.Context, pool *pgxpool.Pool, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // it never fails
	// The first node's value stays. The update changes nothing, but without it the statement would
	// not return the row.
	var value []byte
	err := pool.QueryRow(ctx, `
		INSERT INTO commands.secrets AS kept (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = kept.value RETURNING value`, name, fresh).Scan(&value)
	if err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", name, err)
	}
	return value, nil
}

// ForgetSecret deletes a secret. The next call of Secret makes another one.
func ForgetSecret(ctx context.Context, pool *pgxpool.Pool, name string) error {
	if _, err := pool.Exec(ctx, `DELETE FROM commands.secrets WHERE name = $1`, name); err != nil {
		return fmt.Errorf("delete the secret of %s: %w", name, err)
	}
	return nil
}
