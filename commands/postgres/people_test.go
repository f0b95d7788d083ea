package postgres

import (
	"fmt"
	"testing"
	"time"

	"daybook/commands/signin"
	"daybook/domain/staff"
	"daybook/internal/pgtest"
)

// The store in the database does the same as the store in memory. The tests of package signin use
// only the one in memory.
func TestBothStoresOfPeopleDoTheSame(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	if err := Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	inDatabase := story(t, People{Pool: pool})
	if _, err := pool.Exec(t.Context(), `UPDATE commands.people_secrets SET made_at = made_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
	inMemory := story(t, signin.NewMemory())
	tidied := func(store signin.Store) (told []string) {
		if err := store.Tidy(t.Context(), "p1", 3, []string{"c2"}); err != nil {
			t.Fatal(err)
		}
		for _, hash := range []string{"h1", "h2", "h3", "browser"} {
			session, err := store.Session(t.Context(), hash)
			told = append(told, fmt.Sprint(hash, session != nil, err))
		}
		for _, secret := range []string{"c1", "c2", "other"} {
			value, err := store.Secret(t.Context(), secret)
			told = append(told, fmt.Sprint(value, err))
		}
		return told
	}
	for _, stores := range []struct {
		database, memory []string
	}{{inDatabase.told, inMemory.told}, {tidied(inDatabase.store), tidied(inMemory.store)}} {
		if len(stores.database) == 0 || fmt.Sprint(stores.database) != fmt.Sprint(stores.memory) {
			t.Errorf("in the database\n%q\nin memory\n%q", stores.database, stores.memory)
		}
	}
	if want := "[h1false <nil> h2false <nil> h3true <nil> browsertrue <nil> <nil> second<nil> theirs<nil>]"; fmt.Sprint(tidied(inDatabase.store)) != want {
		t.Errorf("tidied: %v, want %v", tidied(inDatabase.store), want)
	}
}

type told struct {
	store signin.Store
	told  []string
}

// story calls every method of a store, and returns the results.
func story(t *testing.T, store signin.Store) told {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	out := told{store: store}
	tell := func(values ...any) { out.told = append(out.told, fmt.Sprint(values...)) }
	session := func(hash string, stage signin.Stage, generation int64, began time.Time) signin.Session {
		return signin.Session{
			Hash: hash, ID: "s" + hash, Person: "p1", Stage: stage, Generation: generation, Credential: "c1",
			BeganAt: began, UsedAt: began, ExpiresAt: began.Add(time.Hour),
		}
	}
	for _, who := range []struct{ id, email, holder staff.PersonID }{{"p1", "eve@x", ""}, {"p2", "eve@x", ""}, {"p2", "ann@x", ""}, {"p3", "eve@x", "p1"}, {"p4", "eve@x", "p2"}} {
		added, err := store.AddPerson(ctx, who.id, signin.Contact{Email: string(who.email), Name: "N " + string(who.id)}, who.holder, now)
		tell("add ", who, added, err)
	}
	for _, email := range []string{"eve@x", "ann@x", "nobody@x", "EVE@x"} {
		id, since, err := store.ByEmail(ctx, email)
		tell(email, id, since.UTC(), err)
	}
	for _, change := range []struct{ id, email, holder staff.PersonID }{{"p3", "ann@x", ""}, {"p3", "new@x", ""}, {"p3", "new@x", "p3"}, {"p0", "other@x", ""}, {"p3", "ann@x", "p2"}} {
		changed, err := store.ChangeEmail(ctx, change.id, string(change.email), change.holder, now.Add(time.Hour))
		tell("change ", change, changed, err)
	}
	for _, email := range []string{"eve@x", "ann@x", "new@x", "other@x"} {
		id, since, err := store.ByEmail(ctx, email)
		tell(email, id, since.UTC(), err)
	}
	contacts, err := store.Contacts(ctx)
	tell(contacts, err)

	for _, secret := range []signin.Secret{{ID: "c1", Person: "p1", Value: "first"}, {ID: "c2", Person: "p1", Value: "second"}, {ID: "other", Person: "p2", Value: "theirs"}} {
		if err := store.SaveSecret(ctx, secret); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range []signin.Session{
		session("h1", signin.Complete, 1, now.Add(time.Minute)), session("h2", signin.NeedsApp, 2, now), session("h3", signin.Complete, 3, now),
		session("browser", signin.KnownBy, 1, now), session("old", signin.Complete, 3, now.Add(-2*time.Hour)),
	} {
		if err := store.SaveSession(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	tell(store.SaveSession(ctx, session("other", signin.Complete, 1, now)))
	tell(store.Touch(ctx, "h3", now.Add(time.Second)), store.Touch(ctx, "none", now))
	for range 3 {
		allowed, err := store.Try(ctx, "h2", 2)
		tell("try ", allowed, err)
	}
	allowed, err := store.Try(ctx, "none", 2)
	tell("try none ", allowed, err)
	for _, hash := range []string{"other", "other", "none"} {
		ended, err := store.EndSession(ctx, hash)
		tell("end ", hash, ended, err)
	}
	for i, hash := range []string{"app2", "app3", "app1"} {
		tell(store.SaveSession(ctx, session(hash, signin.NewApp, 3, now.Add(time.Duration(i)*time.Second))))
	}
	tell(store.KeepNewest(ctx, "p1", signin.NewApp, 2), store.KeepNewest(ctx, "p2", signin.NewApp, 0))
	for _, hash := range []string{"app1", "app2", "app3", "h1", "browser"} {
		kept, err := store.Session(ctx, hash)
		tell("kept ", hash, kept != nil, err)
	}
	tell(store.KeepNewest(ctx, "p1", signin.NewApp, 0))
	tell(store.Prune(ctx, now.Add(-time.Minute)))
	for _, id := range []staff.PersonID{"p1", "p9"} {
		all, err := store.Sessions(ctx, id)
		for i := range all {
			all[i].BeganAt, all[i].UsedAt, all[i].ExpiresAt = all[i].BeganAt.UTC(), all[i].UsedAt.UTC(), all[i].ExpiresAt.UTC()
		}
		tell(all, err)
	}
	withApp := session("h2", signin.NeedsApp, 2, now)
	withApp.Pending = "app"
	tell(store.SaveSession(ctx, withApp))
	found, err := store.Session(ctx, "h2")
	if err != nil || found == nil || found.Pending != "app" || !found.UsedAt.Equal(now) {
		t.Errorf("a session that was changed: %+v, %v", found, err)
	}
	return out
}
