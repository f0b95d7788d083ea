package postgres

import (
	"context"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/pgmigrate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the gateway's tables to the version of this program. If several nodes start
// together, they wait for each other.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if err := pgmigrate.Up(ctx, pool, migrations, "daybook_gateway_version"); err != nil {
		return fmt.Errorf("migrate the gateway: %w", err)
	}
	return nil
}
