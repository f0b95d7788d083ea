package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/postgres"
	"daybook/internal/pgtest"
)

func answersPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	return pool
}

func openAnswers(t *testing.T, pool *pgxpool.Pool) *postgres.Answers {
	t.Helper()
	answers := postgres.NewAnswers(pool, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := answers.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return answers
}

func answerOf(scope, key, body string) commands.KeptAnswer {
	return commands.KeptAnswer{
		Scope: scope, Key: key, RequestHash: []byte{1, 2, 3}, Status: 201,
		Headers: map[string]string{"ETag": `"3"`, "Content-Type": "application/json"}, Body: []byte(body),
	}
}

func mustFind(t *testing.T, answers *postgres.Answers, scope, key string) *commands.KeptAnswer {
	t.Helper()
	found, err := answers.Find(t.Context(), scope, key)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnAnswerIsThereAtOnceAndAfterwards(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	answers := openAnswers(t, pool)
	if found := mustFind(t, answers, "ann", "k"); found != nil {
		t.Errorf("found %+v before anything was kept", found)
	}
	answers.Keep(answerOf("ann", "k", "hello"))
	if found := mustFind(t, answers, "ann", "k"); found == nil || string(found.Body) != "hello" {
		t.Errorf("found %+v right after, want the answer", found)
	}
	if err := answers.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	elsewhere := openAnswers(t, pool)
	found := mustFind(t, elsewhere, "ann", "k")
	if found == nil || string(found.Body) != "hello" || found.Status != 201 || found.Headers["ETag"] != `"3"` || string(found.RequestHash) != "\x01\x02\x03" {
		t.Errorf("another node found %+v, want all of the answer", found)
	}
	if found := mustFind(t, elsewhere, "bob", "k"); found != nil {
		t.Errorf("another caller found %+v", found)
	}
}

func TestTheFirstAnswerStands(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	one, two := openAnswers(t, pool), openAnswers(t, pool)
	one.Keep(answerOf("ann", "k", "first"))
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	two.Keep(answerOf("ann", "k", "second"))
	if err := two.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := mustFind(t, two, "ann", "k"); found == nil || string(found.Body) != "first" {
		t.Errorf("found %+v, want the first answer", found)
	}
}

// Earlier versions kept refusals, too. Such a row must not keep the first real answer from being
// stored.
func TestAKeptRefusalGivesWay(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	one := openAnswers(t, pool)
	refusal := answerOf("ann", "k", "refused")
	refusal.Status = 409
	one.Keep(refusal)
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.Keep(answerOf("ann", "k", "done"))
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := mustFind(t, openAnswers(t, pool), "ann", "k"); found == nil || string(found.Body) != "done" || found.Status != 201 {
		t.Errorf("found %+v, want the answer of what was done", found)
	}
}

func TestManyAtOnceShareStatements(t *testing.T) {
	t.Parallel()
	answers := openAnswers(t, answersPool(t))
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			key := fmt.Sprint("k", i)
			answers.Keep(answerOf("ann", key, key))
			found, err := answers.Find(t.Context(), "ann", key)
			if err != nil || found == nil || string(found.Body) != key {
				t.Errorf("key %s: found %+v, %v", key, found, err)
			}
			if none, err := answers.Find(t.Context(), "ann", "no "+key); err != nil || none != nil {
				t.Errorf("an unused key: found %+v, %v", none, err)
			}
		})
	}
	wait.Wait()
	if err := answers.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if key := fmt.Sprint("k", i); mustFind(t, answers, "ann", key) == nil {
			t.Errorf("key %s was not kept", key)
		}
	}
}

func TestOldAnswersGo(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	answers := openAnswers(t, pool)
	answers.Keep(answerOf("ann", "old", "a"))
	answers.Keep(answerOf("ann", "new", "b"))
	if err := answers.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE commands.answers SET answered_at = answered_at - interval '3 days' WHERE key = 'old'`); err != nil {
		t.Fatal(err)
	}
	if err := answers.Prune(t.Context(), 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	if mustFind(t, answers, "ann", "old") != nil || mustFind(t, answers, "ann", "new") == nil {
		t.Error("want the old answer gone and the new one there")
	}
}

// Answers that come one soon after the other share transactions, however fast the database is.
func TestAnswersShareTransactions(t *testing.T) {
	t.Parallel()
	pool := answersPool(t)
	one, other := openAnswers(t, pool), openAnswers(t, pool)
	began := time.Now()
	for n := range 20 {
		key := fmt.Sprint("k", n)
		one.Keep(answerOf("ann", key, key))
		for mustFind(t, other, "ann", key) == nil { // each look-up waits for the database
		}
	}
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	const pause = 30 * time.Millisecond
	most := int(time.Since(began)/pause) + 1
	var transactions int
	if err := pool.QueryRow(t.Context(), `SELECT count(DISTINCT xmin::text) FROM commands.answers`).Scan(&transactions); err != nil {
		t.Fatal(err)
	}
	if transactions > most {
		t.Errorf("%d transactions in %s, want at most %d", transactions, time.Since(began), most)
	}
	var answers int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM commands.answers`).Scan(&answers); err != nil || answers != 20 {
		t.Errorf("%d answers are stored (%v), want 20", answers, err)
	}
}
