package postgres_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands/postgres"
	"daybook/eventstore"
	"daybook/eventstore/memory"
	"daybook/internal/pgtest"
)

// keptBesideTheLog has a row of each table of the command side that StartOver empties, because
// their content comes from the log or refers to it. A new table needs a row here, or in
// staysBesideTheLog.
var keptBesideTheLog = map[string]string{
	"snapshots":   `INSERT INTO commands.snapshots (stream, fold_version, revision, data) VALUES ('stock-a', 1, 500, 'x')`,
	"timers":      `INSERT INTO commands.timers (kind, target, due_at) VALUES ('order', 'o', now())`,
	"checkpoints": `INSERT INTO commands.checkpoints (reader, position) VALUES ('processes', '7')`,
	"answers":     `INSERT INTO commands.answers (scope, key, request_hash, status, headers, body) VALUES ('a', 'k', 'h', 201, '{}', 'b')`,
	"imports":     `INSERT INTO commands.imports (import, done_invoices, counts) VALUES ('i', 9, '{}')`,
	"origin":      `INSERT INTO commands.origin (stream, revision, event_id, recorded_at) VALUES ('stock-other', 3, gen_random_uuid(), now())`,
	"key_uses":    `INSERT INTO commands.key_uses (key_id, used_at) VALUES ('k', now())`,
	"secrets":     `INSERT INTO commands.secrets (name, value) VALUES ('guests', sha256('x'))`,
	"cart_expiry": `INSERT INTO commands.cart_expiry (expire_after) VALUES ('1 day')`,
	"parked": `INSERT INTO commands.parked (id, kind, subject, step, stream, revision, position, since, meta, reason, tries, first_tried, last_tried)
		VALUES (gen_random_uuid(), 'order', 'o', '', 'order-o', 0, '7', now(), '', 'r', 1, now(), now())`,
	"people_sessions": `INSERT INTO commands.people_sessions (hash, id, person, stage, generation, credential, pending, began_at, used_at, expires_at)
		VALUES ('h', 'i', 'p', '', 1, '', '', now(), now(), now())`,
}

// staysBesideTheLog has a row of each other table of the command side. The log says which of these
// rows count.
var staysBesideTheLog = map[string]string{
	"people":     `INSERT INTO commands.people (person, email, name, since) VALUES ('p', 'p@shop.example', 'P', now())`,
	"data_keys":  `INSERT INTO commands.data_keys (id, subject, master, wrapped) VALUES ('k', 'customer:1', 'm', 'w')`,
	"master_key": `INSERT INTO commands.master_key (id) VALUES ('m')`,
	"erased":     `INSERT INTO commands.erased (subject, erased_by) VALUES ('customer:2', 'customer:2')`,

	"kept": `INSERT INTO commands.kept (order_id, country, kept_until, reason, key_id, box) VALUES ('o', 'DE', now(), 'invoice', 'k', 'b')`,

	"former_master_keys": `INSERT INTO commands.former_master_keys (id) VALUES ('m')`,
	"master_key_nodes":   `INSERT INTO commands.master_key_nodes (node, masters) VALUES ('n', '{m}')`,

	"people_secrets": `INSERT INTO commands.people_secrets (id, person, value) VALUES ('s', 'p', 'v')`,
}

func TestNothingOfAnotherLogIsLeftWhenTheCommandSideStartsOver(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'commands' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	inserts := maps.Clone(keptBesideTheLog)
	maps.Copy(inserts, staysBesideTheLog)
	if filled := slices.Sorted(maps.Keys(inserts)); err != nil || !slices.Equal(tables, filled) {
		t.Fatalf("tables %v, %v; the test fills %v", tables, err, filled)
	}
	for _, insert := range inserts {
		if _, err := pool.Exec(t.Context(), insert); err != nil {
			t.Fatalf("%s: %v", insert, err)
		}
	}
	if _, err := postgres.Secret(t.Context(), pool, postgres.SecretOfLogins); err != nil {
		t.Fatal(err)
	}
	log := memory.New()
	if _, err := log.Append(t.Context(), "order-1", eventstore.Any, []eventstore.Event{{ID: [16]byte{1}, Type: "t.v1", Data: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	first, err := postgres.First(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := startOver(t.Context(), pool, first, &postgres.ImportRecord{Name: "i", Counts: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	for table := range keptBesideTheLog {
		var left int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.`+table+` t WHERE NOT to_jsonb(t) @> '{"name":"logins"}' AND NOT to_jsonb(t) @> '{"done_invoices":0}' AND NOT to_jsonb(t) @> '{"stream":"order-1"}'`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%s: %d rows of the other log, %v", table, left, err)
		}
	}
	var logins int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.secrets WHERE name = $1`, postgres.SecretOfLogins).Scan(&logins); err != nil || logins != 1 {
		t.Errorf("the secret by which logins are found: %d rows, %v", logins, err)
	}
	for table := range staysBesideTheLog {
		var left int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.`+table).Scan(&left); err != nil || left != 1 {
			t.Errorf("%s: %d rows are left, want 1, %v", table, left, err)
		}
	}
	if err := (postgres.Origin{Pool: pool}).Check(t.Context(), log); err != nil {
		t.Errorf("the database is not tied to the log: %v", err)
	}
	if record, err := postgres.LoadImport(t.Context(), pool); err != nil || record == nil || record.Name != "i" || record.Done != 0 {
		t.Errorf("import %+v, %v", record, err)
	}
}

func startOver(ctx context.Context, pool *pgxpool.Pool, first *eventstore.Recorded, imports *postgres.ImportRecord) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return postgres.StartOver(ctx, tx, first, imports) })
}

// While another program runs a reactor or an import, nothing is emptied.
func TestTheCommandSideDoesNotStartOverBesideAnotherProgram(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	_, resign, err := postgres.Journal{Pool: pool, Reader: postgres.ReactorReader}.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := startOver(t.Context(), pool, nil, nil); !errors.Is(err, postgres.ErrReacting) {
		t.Errorf("beside a reactor: %v", err)
	}
	resign()
	imports, err := postgres.LockImports(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	// The reactor's session ends a moment after it has resigned.
	for err = startOver(t.Context(), pool, nil, nil); errors.Is(err, postgres.ErrReacting); {
		err = startOver(t.Context(), pool, nil, nil)
	}
	if !errors.Is(err, postgres.ErrImportRunning) {
		t.Errorf("beside an import: %v", err)
	}
	if err := imports.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := startOver(t.Context(), pool, nil, nil); err != nil {
		t.Errorf("alone: %v", err)
	}
}
