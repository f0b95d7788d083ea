package pgpool_test

import (
	"testing"

	"daybook/internal/pgpool"
	"daybook/internal/pgtest"
)

func TestLargeValuesAreCompressedByLZ4IfTheServerCan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ parameters, want string }{
		"by default":                       {"", "CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE boot_val END"},
		"or as the connection string says": {"&default_toast_compression=pglz", "'pglz'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := pgpool.Open(t.Context(), pgtest.URL(t)+c.parameters, pgpool.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			var got, want string
			err = pool.QueryRow(t.Context(), "SELECT setting, "+c.want+" FROM pg_settings WHERE name = 'default_toast_compression'").Scan(&got, &want)
			if err != nil || got != want {
				t.Errorf("values are compressed by %q, want %q (error: %v)", got, want, err)
			}
		})
	}
}
