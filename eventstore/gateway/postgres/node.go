package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/eventstore/gateway"
	"daybook/eventstore/gateway/groups"
	"daybook/internal/pgpool"
)

const (
	seenSQL = `INSERT INTO gateway.nodes (node_id, host, port, seen_at) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT (node_id) DO UPDATE SET host = excluded.host, port = excluded.port, seen_at = excluded.seen_at`

	// An epoch is the time for which one node leads without a break. A node that lets its
	// lease expire gets a new epoch. The database's clock decides when a lease ends, so nodes
	// compare no clocks.
	takeSQL = `UPDATE gateway.lease SET node_id = $1, expires_at = clock_timestamp() + $2 * interval '1 ms',
			epoch = epoch + (node_id IS DISTINCT FROM $1 OR expires_at <= clock_timestamp())::integer
		WHERE node_id = $1 OR expires_at <= clock_timestamp()
		RETURNING epoch`

	leaderSQL = `SELECT n.host, n.port FROM gateway.lease l JOIN gateway.nodes n USING (node_id) WHERE l.expires_at > clock_timestamp()`

	// An earlier node at this address is certainly gone.
	forgetSQL = `DELETE FROM gateway.nodes
		WHERE seen_at < clock_timestamp() - interval '1 day' OR host = $2 AND port = $3 AND node_id <> $1`

	membersSQL = `SELECT n.node_id, n.host, n.port, n.seen_at,
			n.seen_at > clock_timestamp() - $1 * interval '1 ms' AS alive,
			n.node_id = l.node_id AND l.expires_at > clock_timestamp() AS leader
		FROM gateway.nodes n CROSS JOIN gateway.lease l
		WHERE n.seen_at > clock_timestamp() - interval '1 hour' ORDER BY n.host, n.port, n.seen_at DESC`

	leaveSQL = `WITH gone AS (DELETE FROM gateway.nodes WHERE node_id = $1)
		UPDATE gateway.lease SET expires_at = '-infinity' WHERE node_id = $1`
)

const (
	// LeaseTime is how long other nodes wait for a leader that is gone.
	LeaseTime  = 5 * time.Second
	renewals   = 4 // tries to renew in the time of a lease
	leaveMax   = 2 * time.Second
	aliveTimes = 2 // after so many lease times without a sign of life, a node counts as gone
)

// Node is this node among the nodes that share the database. One of them leads, because it
// holds a lease that it renews.
type Node struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
	id     uuid.UUID
	host   string
	port   int
	lease  time.Duration

	mu      sync.Mutex
	current groups.Leadership
	until   time.Time // until when this node holds the lease of current.Epoch
	changed chan struct{}
}

var (
	_ groups.Node     = (*Node)(nil)
	_ gateway.Cluster = (*Node)(nil)
)

// NewNode makes a node that clients reach at host and port. Run makes it take part. A lease
// of 0 means LeaseTime.
func NewNode(pool *pgxpool.Pool, host string, port int, lease time.Duration, logger *slog.Logger) *Node {
	if lease <= 0 {
		lease = LeaseTime
	}
	return &Node{
		pool: pool, logger: logger, id: uuid.New(), host: host, port: port, lease: lease,
		changed: make(chan struct{}),
	}
}

// Leadership implements groups.Node.
func (n *Node) Leadership() (groups.Leadership, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lead := n.current
	if lead.Epoch != 0 && !time.Now().Before(n.until) {
		lead = groups.Leadership{} // Run is late to notice it
	}
	return lead, n.changed
}

func (n *Node) set(lead groups.Leadership, until time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.until = until
	if lead == n.current {
		return
	}
	n.logger.Info("the leader of the gateway's nodes", "epoch", lead.Epoch, "host", lead.Host, "port", lead.Port)
	n.current = lead
	close(n.changed)
	n.changed = make(chan struct{})
}

// Run shows that this node is alive, and takes or renews the lease, until ctx ends. Then it
// gives the lease up, so another node may lead at once. It has a connection of its own, so
// that other work does not delay it.
func (n *Node) Run(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { n.leave(context.WithoutCancel(ctx), conn) }()
	for ctx.Err() == nil {
		asked := time.Now()
		lead, err := n.beat(ctx, &conn)
		switch {
		case err == nil:
			n.set(lead, asked.Add(n.lease))
		case ctx.Err() == nil:
			n.logger.WarnContext(ctx, "the lease of the gateway's nodes cannot be renewed", "error", err)
			n.expire()
		}
		pause, cancel := context.WithTimeout(ctx, n.nextBeat(asked))
		<-pause.Done()
		cancel()
	}
}

// nextBeat is how long to wait: until the lease must be renewed, or until it is over.
func (n *Node) nextBeat(asked time.Time) time.Duration {
	wait := time.Until(asked.Add(n.lease / renewals))
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current.Epoch != 0 {
		wait = min(wait, time.Until(n.until))
	}
	return max(wait, n.lease/100)
}

// expire notes that no leader is known, once the lease is over.
func (n *Node) expire() {
	n.mu.Lock()
	over := !time.Now().Before(n.until)
	n.mu.Unlock()
	if over {
		n.set(groups.Leadership{}, time.Time{})
	}
}

// beat is one sign of life. It takes at most the time between two beats.
func (n *Node) beat(ctx context.Context, conn **pgx.Conn) (lead groups.Leadership, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.lease/renewals)
	defer cancel()
	if *conn == nil || (*conn).IsClosed() {
		if *conn, err = n.connect(ctx); err != nil {
			return lead, err
		}
	}
	if _, err := (*conn).Exec(ctx, seenSQL, n.id, n.host, n.port); err != nil {
		return lead, fmt.Errorf("show this node: %w", err)
	}
	switch err := (*conn).QueryRow(ctx, takeSQL, n.id, n.lease.Milliseconds()).Scan(&lead.Epoch); {
	case err == nil:
		lead.Host, lead.Port = n.host, n.port
		return lead, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return lead, fmt.Errorf("take the lease: %w", err)
	}
	err = (*conn).QueryRow(ctx, leaderSQL).Scan(&lead.Host, &lead.Port)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return lead, fmt.Errorf("look for the leader: %w", err)
	}
	return lead, nil
}

func (n *Node) connect(ctx context.Context) (*pgx.Conn, error) {
	config := n.pool.Config()
	if config.BeforeConnect != nil { // it sets credentials, which may change
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, fmt.Errorf("connect the node: %w", err)
		}
	}
	config.ConnConfig.RuntimeParams["application_name"] = "daybook gateway node"
	conn, err := pgpool.Connect(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect the node: %w", err)
	}
	if _, err := conn.Exec(ctx, forgetSQL, n.id, n.host, n.port); err != nil {
		_ = conn.Close(ctx) // the first error is the one to tell
		return nil, fmt.Errorf("forget old nodes: %w", err)
	}
	return conn, nil
}

// leave gives the lease up. The groups that this node served must have stopped, because their
// later writes are refused.
func (n *Node) leave(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, leaveMax)
	defer cancel()
	n.set(groups.Leadership{}, time.Time{})
	if conn != nil {
		_ = conn.Close(ctx) // nothing is lost by it
	}
	if _, err := n.pool.Exec(ctx, leaveSQL, n.id); err != nil {
		n.logger.WarnContext(ctx, "this node could not give up its lease, which expires", "error", err)
	}
}

// Members implements gateway.Cluster.
func (n *Node) Members(ctx context.Context) ([]gateway.Member, error) {
	rows, _ := n.pool.Query(ctx, membersSQL, aliveTimes*n.lease.Milliseconds()) // its error is CollectRows'
	members, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m gateway.Member, err error) {
		var leader *bool
		err = row.Scan(&m.ID, &m.Host, &m.Port, &m.SeenAt, &m.Alive, &leader)
		m.Leader = leader != nil && *leader
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("members of the cluster: %w", err)
	}
	return members, nil
}
