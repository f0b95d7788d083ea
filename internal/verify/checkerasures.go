package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/domain/subject"
	"daybook/domain/unit"
)

// foldSubject folds an event about a subject. It must be in the stream of this subject.
func (b *Book) foldSubject(e *event, value subject.Event) {
	switch value := value.(type) {
	case subject.Erased:
		if e.Stream != subject.Stream(value.Owner()) {
			b.report(e, "it is in the stream of another subject")
			return
		}
		for _, owner := range value.Owners() {
			b.erased[owner] = true
		}
	}
}

// checkErased checks that no subject has a key whose texts were erased, and that the tables know of
// each erasure in the log. It reads the tables as they are after the log was folded, because a node
// may erase somebody meanwhile.
func (b *Book) checkErased(ctx context.Context, pool *pgxpool.Pool) (*Check, error) {
	check := &Check{Name: "erasures: no key of an erased subject exists"}
	owners := sorted(b.erased)
	check.Examined = int64(len(owners))
	if len(owners) == 0 {
		return check, nil
	}
	for what, sql := range map[string]string{
		"has a key that is not destroyed":       `SELECT subject FROM commands.data_keys WHERE subject = ANY ($1) AND destroyed_at IS NULL ORDER BY 1`,
		"is not in the list of erased subjects": `SELECT s FROM unnest($1::text[]) s WHERE NOT EXISTS (SELECT FROM commands.erased e WHERE e.subject = s) ORDER BY 1`,
	} {
		rows, err := pool.Query(ctx, sql, owners)
		if err != nil {
			return nil, fmt.Errorf("compare erasures: %w", err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[unit.Owner])
		if err != nil {
			return nil, fmt.Errorf("compare erasures: %w", err)
		}
		for _, owner := range found {
			check.differ("%s was erased and %s", owner, what)
		}
	}
	return check, nil
}
