package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/signin"
	"daybook/domain/staff"
	"daybook/domain/unit"
)

// People implements signin.Store.
type People struct{ Pool *pgxpool.Pool }

// AddPerson implements signin.Store.
func (p People) AddPerson(ctx context.Context, id staff.PersonID, contact signin.Contact, holder staff.PersonID, now time.Time) (added bool, err error) {
	return p.add(ctx, id, "", contact, holder, now)
}

// AddLogin implements signin.Store.
func (p People) AddLogin(ctx context.Context, id staff.PersonID, of unit.CustomerID, address string, holder staff.PersonID, now time.Time) (added bool, err error) {
	return p.add(ctx, id, of, signin.Contact{Email: address}, holder, now)
}

// add stores a person or a login. of is the customer of a login.
func (p People) add(ctx context.Context, id staff.PersonID, of unit.CustomerID, contact signin.Contact, holder staff.PersonID, now time.Time) (added bool, err error) {
	err = pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM commands.people WHERE person = $1 AND email = $2`, holder, contact.Email); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO commands.people (person, email, name, since, customer_id) VALUES ($1, $2, $3, $4, $5)`, id, contact.Email, contact.Name, now, of)
		return err
	})
	if isDuplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store a person's contact: %w", err)
	}
	return true, nil
}

// isDuplicate tells whether a statement failed because somebody else has the address.
func isDuplicate(err error) bool {
	const duplicate = "23505"
	state, is := errors.AsType[*pgconn.PgError](err)
	return is && state.Code == duplicate
}

// ChangeEmail implements signin.Store.
func (p People) ChangeEmail(ctx context.Context, id staff.PersonID, email string, holder staff.PersonID, now time.Time) (changed bool, err error) {
	err = pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM commands.people WHERE person = $1 AND email = $2 AND person <> $3`, holder, email, id); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, `UPDATE commands.people SET email = $2, since = $3 WHERE person = $1`, id, email, now)
		changed = done.RowsAffected() > 0
		return err
	})
	if isDuplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("change a person's address: %w", err)
	}
	return changed, nil
}

// ByEmail implements signin.Store.
func (p People) ByEmail(ctx context.Context, email string) (id staff.PersonID, since time.Time, err error) {
	err = p.Pool.QueryRow(ctx, `SELECT person, since FROM commands.people WHERE email = $1`, email).Scan(&id, &since)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", since, fmt.Errorf("find a person: %w", err)
	}
	return id, since, nil
}

// Contacts implements signin.Store.
func (p People) Contacts(ctx context.Context) (map[staff.PersonID]signin.Contact, error) {
	rows, err := p.Pool.Query(ctx, `SELECT person, email, name FROM commands.people WHERE customer_id = ''`)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	all := map[staff.PersonID]signin.Contact{}
	var id staff.PersonID
	var contact signin.Contact
	if _, err := pgx.ForEachRow(rows, []any{&id, &contact.Email, &contact.Name}, func() error { all[id] = contact; return nil }); err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	return all, nil
}

// LoginsOf implements signin.Store.
func (p People) LoginsOf(ctx context.Context, id unit.CustomerID) ([]staff.PersonID, error) {
	rows, _ := p.Pool.Query(ctx, `SELECT person FROM commands.people WHERE customer_id = $1 AND customer_id <> '' ORDER BY person`, id)
	all, err := pgx.CollectRows(rows, pgx.RowTo[staff.PersonID])
	if err != nil {
		return nil, fmt.Errorf("list the logins of a customer: %w", err)
	}
	return all, nil
}

// Forget implements signin.Store.
func (p People) Forget(ctx context.Context, id staff.PersonID) error {
	err := pgx.BeginFunc(ctx, p.Pool, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`DELETE FROM commands.people_sessions WHERE person = $1`,
			`DELETE FROM commands.people_secrets WHERE person = $1`,
			`DELETE FROM commands.people WHERE person = $1`,
		} {
			if _, err := tx.Exec(ctx, sql, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete what is stored of a person: %w", err)
	}
	return nil
}

// SaveSecret implements signin.Store.
func (p People) SaveSecret(ctx context.Context, secret signin.Secret) error {
	_, err := p.Pool.Exec(ctx, `INSERT INTO commands.people_secrets (id, person, value) VALUES ($1, $2, $3)`, secret.ID, secret.Person, secret.Value)
	if err != nil {
		return fmt.Errorf("store a person's secret: %w", err)
	}
	return nil
}

// Secret implements signin.Store.
func (p People) Secret(ctx context.Context, id string) (value string, err error) {
	err = p.Pool.QueryRow(ctx, `SELECT value FROM commands.people_secrets WHERE id = $1`, id).Scan(&value)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("read a person's secret: %w", err)
	}
	return value, nil
}

const sessionColumns = `hash, id, person, stage, generation, credential, pending, began_at, used_at, expires_at`

func scanSession(row pgx.CollectableRow) (s signin.Session, err error) {
	err = row.Scan(&s.Hash, &s.ID, &s.Person, &s.Stage, &s.Generation, &s.Credential, &s.Pending, &s.BeganAt, &s.UsedAt, &s.ExpiresAt)
	return s, err
}

// SaveSession implements signin.Store.
func (p People) SaveSession(ctx context.Context, s signin.Session) error {
	_, err := p.Pool.Exec(ctx, `INSERT INTO commands.people_sessions (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (hash) DO UPDATE SET pending = excluded.pending`,
		s.Hash, s.ID, s.Person, s.Stage, s.Generation, s.Credential, s.Pending, s.BeganAt, s.UsedAt, s.ExpiresAt)
	if err != nil {
		return fmt.Errorf("store a session: %w", err)
	}
	return nil
}

// Session implements signin.Store.
func (p People) Session(ctx context.Context, hash string) (*signin.Session, error) {
	all, err := p.sessions(ctx, `hash = $1`, hash)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// Sessions implements signin.Store.
func (p People) Sessions(ctx context.Context, id staff.PersonID) ([]signin.Session, error) {
	return p.sessions(ctx, `person = $1 AND stage = $2`, id, signin.Complete)
}

func (p People) sessions(ctx context.Context, where string, values ...any) ([]signin.Session, error) {
	rows, err := p.Pool.Query(ctx, `SELECT `+sessionColumns+` FROM commands.people_sessions WHERE `+where+` ORDER BY began_at, hash`, values...)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanSession)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return all, nil
}

// Touch implements signin.Store.
func (p People) Touch(ctx context.Context, hash string, now time.Time) error {
	if _, err := p.Pool.Exec(ctx, `UPDATE commands.people_sessions SET used_at = greatest(used_at, $2) WHERE hash = $1`, hash, now); err != nil {
		return fmt.Errorf("note the use of a session: %w", err)
	}
	return nil
}

// Try implements signin.Store.
func (p People) Try(ctx context.Context, hash string, limit int) (allowed bool, err error) {
	done, err := p.Pool.Exec(ctx, `UPDATE commands.people_sessions SET tries = tries + 1 WHERE hash = $1 AND tries < $2`, hash, limit)
	if err != nil {
		return false, fmt.Errorf("count a try: %w", err)
	}
	return done.RowsAffected() == 1, nil
}

// EndSession implements signin.Store.
func (p People) EndSession(ctx context.Context, hash string) (ended bool, err error) {
	done, err := p.Pool.Exec(ctx, `DELETE FROM commands.people_sessions WHERE hash = $1`, hash)
	if err != nil {
		return false, fmt.Errorf("end a session: %w", err)
	}
	return done.RowsAffected() == 1, nil
}

// KeepNewest implements signin.Store.
func (p People) KeepNewest(ctx context.Context, id staff.PersonID, stage signin.Stage, newest int) error {
	if _, err := p.Pool.Exec(ctx, `DELETE FROM commands.people_sessions WHERE hash IN (SELECT hash FROM commands.people_sessions
		WHERE person = $1 AND stage = $2 ORDER BY began_at DESC, hash OFFSET $3)`, id, stage, newest); err != nil {
		return fmt.Errorf("delete the oldest rows of a person: %w", err)
	}
	return nil
}

// tidyAfter is how long Tidy keeps a secret that no event names, because its event may not be
// recorded yet.
const tidyAfter = time.Minute

// Tidy implements signin.Store.
func (p People) Tidy(ctx context.Context, id staff.PersonID, generation int64, keep []string) error {
	var batch pgx.Batch
	batch.Queue(`DELETE FROM commands.people_sessions WHERE person = $1 AND generation < $2 AND stage <> $3`, id, generation, signin.KnownBy)
	batch.Queue(`DELETE FROM commands.people_secrets WHERE person = $1 AND id <> ALL ($2) AND made_at < clock_timestamp() - $3::interval`, id, keep, tidyAfter)
	if err := p.Pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("delete old sessions and secrets: %w", err)
	}
	return nil
}

// Prune implements signin.Store.
func (p People) Prune(ctx context.Context, before time.Time) error {
	if _, err := p.Pool.Exec(ctx, `DELETE FROM commands.people_sessions WHERE expires_at < $1`, before); err != nil {
		return fmt.Errorf("delete old sessions: %w", err)
	}
	return nil
}
