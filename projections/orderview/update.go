package orderview

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// update turns rows into columns for unnest: one statement writes a batch.
type update struct{ columns [][]any }

func newUpdate(columns int) *update { return &update{columns: make([][]any, columns)} }

func (u *update) add(row []any) {
	for i, value := range row {
		if document, ok := value.([]byte); ok {
			value = string(document)
		}
		u.columns[i] = append(u.columns[i], value)
	}
}

func (u *update) exec(ctx context.Context, tx pgx.Tx, sql string) error {
	if len(u.columns[0]) == 0 {
		return nil
	}
	args := make([]any, len(u.columns))
	for i, column := range u.columns {
		args[i] = column
	}
	_, err := tx.Exec(ctx, sql, args...)
	return err
}

func copyRows(ctx context.Context, tx pgx.Tx, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	return err
}
