package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"daybook/internal/pgpool"
)

// sessionSQL sets the limits of a session of the engine. A statement that hangs must not hold
// the locks for which others wait. It ends before the connection's own limit, so its outcome
// is known. A commit is acknowledged only when it is on disk, even if the server's default is
// weaker. A stronger default (remote_apply) stays.
const sessionSQL = `SELECT
	set_config('lock_timeout', '5s', false),
	set_config('statement_timeout', '9s', false),
	set_config('idle_in_transaction_session_timeout', '10s', false),
	set_config('default_transaction_isolation', 'read committed', false),
	set_config('default_transaction_read_only', 'off', false),
	set_config('client_min_messages', 'warning', false),
	set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)`

// connect opens one of the engine's own connections, to the same server as the pool's
// connections.
func (s *Store) connect(ctx context.Context, role string) (*pgx.Conn, error) {
	config := s.config.ConnConfig.Copy()
	if s.config.BeforeConnect != nil { // the source of credentials that change
		if err := s.config.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("connect %s: %w", role, err)
		}
	}
	config.RuntimeParams["application_name"] = "daybook event store " + role
	conn, err := pgpool.Connect(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", role, err)
	}
	if _, err := conn.Exec(ctx, sessionSQL); err != nil {
		_ = conn.Close(ctx) // the first error is the one to tell
		return nil, fmt.Errorf("prepare the session of the %s: %w", role, err)
	}
	s.connections.Add(1)
	return conn, nil
}

// Connections implements eventstore.ConnectionReporter.
func (s *Store) Connections() uint64 { return s.connections.Load() }

// AskBeforeAppend implements eventstore.ConnectionReporter.
func (s *Store) AskBeforeAppend(admit func(ctx context.Context) (upTo uint64, err error)) {
	s.admit.Store(&admit)
}

// admitted asks whether appends are allowed over a connection that was just made.
func (s *Store) admitted(ctx context.Context) error {
	admit := s.admit.Load()
	if admit == nil {
		return nil
	}
	_, err := (*admit)(ctx)
	return err
}
