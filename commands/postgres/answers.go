package postgres

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/eventstore"
)

const (
	// answersAtOnce bounds one statement.
	answersAtOnce = 500
	// answersWaiting bounds how many answers wait to be written. Further answers are not kept.
	// If such a request is repeated, it has no second effect, but it gets a new response
	// instead of the first one.
	answersWaiting = 20_000
	answerTimeout  = 10 * time.Second
	// answersPause is the shortest time between two transactions that write answers. An answer that
	// comes after a longer pause is written at once. With many requests a transaction writes all
	// answers of this time, so there are fewer transactions.
	answersPause = 30 * time.Millisecond
	// answersKept is how long an answer is kept under its key, unless Answers.Kept says otherwise.
	answersKept     = 48 * time.Hour
	answersPruning  = time.Hour
	answersPrunedAt = 5_000 // rows that one statement deletes, so that no statement takes long
)

// Answers implements commands.Answers. Look-ups of many requests share a statement, and so do
// writes: everything that waits while one statement runs is in the next one.
//
// An answer is written after the response was sent, in a transaction that does not wait for
// the disk. So a crash loses the latest answers. commands.Answers says why this does no harm.
type Answers struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
	// Seen, if set, returns the latest event that the answers can depend on. It is stored with
	// the answers. If a restored log does not have this event, the answers are not used.
	Seen func() eventstore.Anchor
	// Kept is how long an answer is kept; 0: answersKept.
	Kept time.Duration

	mu      sync.Mutex
	lookups []*lookup
	finding bool

	waiting []commands.KeptAnswer              // in the order of Keep
	unsaved map[answerKey]*commands.KeptAnswer // waiting or being written
	saving  bool
	idle    *sync.Cond // signals that saving became false
}

type answerKey struct{ scope, key string }

type lookup struct {
	answerKey
	found *commands.KeptAnswer
	err   error
	done  chan struct{}
}

// NewAnswers keeps answers in the pool's database. Run removes old ones.
func NewAnswers(pool *pgxpool.Pool, logger *slog.Logger) *Answers {
	a := &Answers{pool: pool, logger: logger, unsaved: make(map[answerKey]*commands.KeptAnswer)}
	a.idle = sync.NewCond(&a.mu)
	return a
}

// Find implements commands.Answers.
func (a *Answers) Find(ctx context.Context, scope, key string) (*commands.KeptAnswer, error) {
	asked := &lookup{answerKey: answerKey{scope, key}, done: make(chan struct{})}
	a.mu.Lock()
	if answer, here := a.unsaved[asked.answerKey]; here {
		a.mu.Unlock()
		return answer, nil
	}
	a.lookups = append(a.lookups, asked)
	if !a.finding {
		a.finding = true
		go a.find()
	}
	a.mu.Unlock()
	select {
	case <-asked.done:
		return asked.found, asked.err
	case <-ctx.Done():
		return nil, fmt.Errorf("kept answers: %w", ctx.Err())
	}
}

// find serves the look-ups that wait, until there are none.
func (a *Answers) find() {
	for {
		a.mu.Lock()
		batch := a.lookups
		if len(batch) == 0 {
			a.finding = false
			a.mu.Unlock()
			return
		}
		batch = batch[:min(len(batch), answersAtOnce)]
		a.lookups = a.lookups[len(batch):]
		a.mu.Unlock()
		err := a.findAll(batch)
		for _, asked := range batch {
			asked.err = err
			close(asked.done)
		}
	}
}

// findSQL keeps one plan, as storeSQL does. LIMIT 1 makes that plan look up each key by the index,
// even if the plan is made while the table is small. A join would read the whole table instead, and
// would keep doing so while the table grows, until its statistics are next collected.
const findSQL = `
	SELECT a.scope, a.key, a.request_hash, a.status, a.headers, a.body, a.answered_at
	FROM (SELECT $1::text[] AS scopes, $2::text[] AS keys OFFSET 0) AS given
	CROSS JOIN LATERAL unnest(given.scopes, given.keys) AS asked (scope, key)
	CROSS JOIN LATERAL (SELECT * FROM commands.answers WHERE scope = asked.scope AND key = asked.key LIMIT 1) AS a`

func (a *Answers) findAll(batch []*lookup) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	scopes, keys := make([]string, len(batch)), make([]string, len(batch))
	byKey := make(map[answerKey][]*lookup, len(batch))
	for i, asked := range batch {
		scopes[i], keys[i] = asked.scope, asked.key
		byKey[asked.answerKey] = append(byKey[asked.answerKey], asked)
	}
	rows, err := a.pool.Query(ctx, findSQL, scopes, keys)
	if err != nil {
		return fmt.Errorf("find kept answers: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanAnswer)
	if err != nil {
		return fmt.Errorf("find kept answers: %w", err)
	}
	for _, answer := range found {
		for _, asked := range byKey[answerKey{answer.Scope, answer.Key}] {
			asked.found = answer
		}
	}
	return nil
}

func scanAnswer(row pgx.CollectableRow) (*commands.KeptAnswer, error) {
	var answer commands.KeptAnswer
	var headers []byte
	err := row.Scan(&answer.Scope, &answer.Key, &answer.RequestHash, &answer.Status, &headers, &answer.Body, &answer.AnsweredAt)
	if err != nil {
		return nil, err
	}
	return &answer, json.Unmarshal(headers, &answer.Headers)
}

// Keep implements commands.Answers.
func (a *Answers) Keep(answer commands.KeptAnswer) {
	key := answerKey{answer.Scope, answer.Key}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, twice := a.unsaved[key]; twice {
		return
	}
	if len(a.unsaved) >= answersWaiting {
		a.logger.Warn("an answer is not kept, because too many answers wait to be written", "key", answer.Key)
		return
	}
	a.waiting = append(a.waiting, answer)
	a.unsaved[key] = &answer
	if !a.saving {
		a.saving = true
		go a.save()
	}
}

// save writes the answers that wait, until there are none.
func (a *Answers) save() {
	pause := time.NewTicker(answersPause)
	defer pause.Stop()
	for ; ; <-pause.C {
		a.mu.Lock()
		if len(a.waiting) == 0 {
			a.saving = false
			a.idle.Broadcast()
			a.mu.Unlock()
			return
		}
		batch := slices.Clone(a.waiting[:min(len(a.waiting), answersAtOnce)])
		a.waiting = a.waiting[len(batch):]
		a.mu.Unlock()
		if err := a.saveAll(batch); err != nil {
			a.logger.Warn("answers were not kept; if their requests are repeated, they get new answers", "answers", len(batch), "error", err)
		}
		a.mu.Lock()
		for _, answer := range batch {
			delete(a.unsaved, answerKey{answer.Scope, answer.Key})
		}
		a.mu.Unlock()
	}
}

func (a *Answers) saveAll(batch []commands.KeptAnswer) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	n := len(batch)
	scopes, keys, hashes := make([]string, n), make([]string, n), make([][]byte, n)
	statuses, headers, bodies := make([]int32, n), make([]string, n), make([][]byte, n)
	for i, answer := range batch {
		encoded, err := json.Marshal(answer.Headers, json.Deterministic(true))
		if err != nil {
			return fmt.Errorf("encode headers: %w", err)
		}
		scopes[i], keys[i], hashes[i] = answer.Scope, answer.Key, answer.RequestHash
		statuses[i], headers[i], bodies[i] = int32(answer.Status), string(encoded), answer.Body //nolint:gosec // three digits
	}
	var seen eventstore.Anchor
	if a.Seen != nil {
		seen = a.Seen()
	}
	at, _ := seen.Position.Pair()
	// Both statements are one transaction.
	var both pgx.Batch
	both.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	both.Queue(keepSQL, scopes, keys, hashes, statuses, headers, bodies, answersReader, seen.Position.String(), seen.String(), strconv.FormatUint(at, 10))
	if err := a.pool.SendBatch(ctx, &both).Close(); err != nil {
		return fmt.Errorf("keep answers: %w", err)
	}
	return nil
}

// keepSQL stores answers, and what this node has seen of the log. Several nodes write what they
// have seen, and the latest stays.
const keepSQL = `
	WITH seen AS (
		INSERT INTO commands.checkpoints AS held (reader, position, anchor)
		SELECT $7, $8, $9 WHERE $9 <> ''
		ON CONFLICT (reader) DO UPDATE SET position = excluded.position, anchor = excluded.anchor
		WHERE split_part(held.position, '/', 1)::numeric < $10::text::numeric)
	INSERT INTO commands.answers (scope, key, request_hash, status, headers, body)
	SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::json[], $6::bytea[])
	ON CONFLICT (scope, key) DO UPDATE SET
		request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers, body = excluded.body,
		answered_at = excluded.answered_at
	WHERE answers.status >= 400`

// Flush waits until each answer that was given to Keep so far is written or was given up.
func (a *Answers) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, a.idle.Broadcast)
	defer stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.saving {
		if ctx.Err() != nil {
			return fmt.Errorf("answers not all written: %w", ctx.Err())
		}
		a.idle.Wait()
	}
	return nil
}

// Run removes answers that are too old, until ctx ends.
func (a *Answers) Run(ctx context.Context) error {
	ticker := time.NewTicker(answersPruning)
	defer ticker.Stop()
	for {
		if err := a.Prune(ctx, cmp.Or(a.Kept, answersKept)); err != nil && ctx.Err() == nil {
			a.logger.Warn("old answers not removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// pruneSQL removes old answers. As in dueSQL, the time must not change within the statement.
const pruneSQL = `
	DELETE FROM commands.answers WHERE (scope, key) IN (
		SELECT scope, key FROM commands.answers
		WHERE answered_at < statement_timestamp() - make_interval(secs => $1) LIMIT $2)`

// Prune removes the answers older than age, by the database's clock.
func (a *Answers) Prune(ctx context.Context, age time.Duration) error {
	for {
		tag, err := a.pool.Exec(ctx, pruneSQL, age.Seconds(), answersPrunedAt)
		if err != nil {
			return fmt.Errorf("prune kept answers: %w", err)
		}
		if tag.RowsAffected() < answersPrunedAt {
			return nil
		}
	}
}
