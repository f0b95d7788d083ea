package signin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/eventstore"
	"daybook/eventstore/memory"
)

// counts are the counts of tries in the log.
func (o *office) counts() (all []staff.TriesCounted) {
	o.t.Helper()
	for recorded, err := range o.log.ReadStream(o.t.Context(), staff.Stream(), 0, 0) {
		if err != nil {
			o.t.Fatal(err)
		}
		if strings.Contains(string(recorded.Data), "@") {
			o.t.Errorf("an event has an address: %s", recorded.Data)
		}
		if recorded.Type != "shopstaff.tries_counted.v1" {
			continue
		}
		event, err := staff.Decode(recorded.Type, recorded.Data)
		if err != nil {
			o.t.Fatal(err)
		}
		counted, _ := event.(staff.TriesCounted)
		all = append(all, counted)
	}
	return all
}

// Each kind of failed try of a person is counted, and recorded once a quarter of an hour.
func TestFailedTriesAreCounted(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	id := o.hireByMail(mails, "boss@shop.example", access.Manager)
	first, err := o.signIn(From{}, "boss@shop.example", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.ConfirmFactor(ctx, From{}, first.Token, "no code"); !errors.Is(err, ErrRefused) { // a wrong code
		t.Fatal(err)
	}
	factor, owner := o.setUp(first.Token)
	want := staff.TriesCounted{Person: id, Since: o.service.Now(), Codes: 1}
	// tries sends something several times, of which the last may be delayed.
	tries := func(count int64, kind *int64, lastDelayed bool, send func() error) {
		t.Helper()
		for n := range count {
			err := send()
			if last := lastDelayed && n == count-1; last != isWait(err) || !last && !errors.Is(err, ErrRefused) {
				t.Fatalf("try %d: %v", n+1, err)
			}
		}
		*kind += count
		if lastDelayed {
			*kind--
			want.Delayed++
		}
	}
	home := From{Client: "home", Browser: owner.Browser}
	wrong := "no" + o.code(factor.Secret)[2:]
	bots := 0
	tries(freeOfAccount+1, &want.Passwords, true, func() error {
		bots++
		_, err := o.signIn(From{Client: fmt.Sprint("bot", bots)}, "boss@shop.example", "a wrong password")
		return err
	})
	enter := func(times int64, lastDelayed bool) (token string) {
		step, err := o.signIn(home, "boss@shop.example", password)
		if err != nil {
			t.Fatal(err)
		}
		tries(times, &want.Codes, lastDelayed, func() error {
			_, err := o.Code(ctx, home, step.Token, wrong)
			return err
		})
		return step.Token
	}
	token := enter(stepTries, false)
	if _, err := o.Code(ctx, home, token, wrong); !errors.Is(err, ErrRefused) { // the step has ended
		t.Fatal(err)
	}
	want.Delayed++
	enter(stepTries, false)
	enter(1, true)
	renew := func(client, password, code string) func() error {
		return func() error {
			_, err := o.RenewRecovery(ctx, id, Given{Client: client, Password: password, Code: code})
			return err
		}
	}
	tries(1, &want.Codes, false, renew("a", password, wrong))
	tries(1, &want.Codes, false, renew("b", password, o.code(factor.Secret))) // it was used to set the factor up
	tries(freeOfPair+1, &want.Passwords, true, renew("c", "a wrong password", wrong))
	_, token, err = o.BeginNewFactor(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	tries(1, &want.Codes, false, func() error {
		_, err := o.ReplaceFactor(ctx, id, Given{Client: "d", Password: password, Code: wrong}, token, "no code")
		return err
	})
	tries(freeOfPair+1, &want.Passwords, true, func() error {
		return o.ChangePassword(ctx, id, "e", "a wrong password", "a new password")
	})
	tries(freeOfPair+1, &want.Passwords, true, func() error {
		return o.AskEmail(ctx, id, "f", "a wrong password", "new@shop.example")
	})
	for range freeOfMails + 2 { // the last two send no mail
		if err := o.askReset("x", "boss@shop.example"); err != nil {
			t.Fatal(err)
		}
		want.Links++
	}
	o.work()

	o.recordTallies(ctx, o.tallies.due())
	if all := o.counts(); len(all) != 0 {
		t.Fatalf("before the time: %+v", all)
	}
	o.later(tallyFor)
	o.recordTallies(ctx, o.tallies.due())
	o.recordTallies(ctx, o.tallies.due())
	all := o.counts()
	if len(all) != 1 {
		t.Fatalf("%d counts: %+v", len(all), all)
	}
	got := all[0]
	want.Count, want.Until = got.Count, o.service.Now()
	if got != want {
		t.Errorf("counted: %+v\nwant: %+v", got, want)
	}
}

// Nobody can fill the log: a person has one count in a quarter of an hour, and people who do not
// exist have none. The store of counts does not grow either.
func TestCountsAreFew(t *testing.T) {
	t.Parallel()
	o, mails, _ := newPostOffice(t)
	ctx := t.Context()
	o.hireByMail(mails, "eve@shop.example", access.Operator)
	o.hireByMail(mails, "ann@shop.example", access.Operator)
	const hours = 3
	for n := range hours * 60 {
		for _, email := range []string{"eve@shop.example", "ann@shop.example", fmt.Sprintf("nobody%d@shop.example", n), "no address"} {
			for m := range 20 {
				_, _ = o.signIn(From{Client: fmt.Sprint("bot", n, m)}, email, "a wrong password")
			}
			_ = o.askReset(fmt.Sprint("bot", n), email)
		}
		o.work()
		o.recordTallies(ctx, o.tallies.due())
		if waiting := len(o.tallies.all()); waiting > 2 {
			t.Fatalf("%d counts are kept", waiting)
		}
		o.later(time.Minute)
	}
	if err := o.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if all := o.counts(); len(all) < 2*hours*3 || len(all) > 2*hours*4 {
		t.Errorf("%d counts in %d hours", len(all), hours)
	}
}

// refusing is a log that can be away.
type refusing struct {
	eventstore.Store

	away bool
}

func (r *refusing) Append(ctx context.Context, stream string, expected eventstore.Expected, events []eventstore.Event) (eventstore.Result, error) {
	if r.away {
		return eventstore.Result{}, errors.New("the log is away")
	}
	return r.Store.Append(ctx, stream, expected, events)
}

// A count that cannot be recorded is recorded later, together with what was tried meanwhile.
func TestCountsOutliveALogThatIsAway(t *testing.T) {
	t.Parallel()
	log := &refusing{Store: memory.New()}
	o := newOfficeOn(t, log)
	ctx := t.Context()
	o.hire("eve@shop.example", access.Operator)
	fail := func() {
		t.Helper()
		if _, err := o.signIn(From{Client: "c"}, "eve@shop.example", "a wrong password"); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	fail()
	o.later(tallyFor)
	log.away = true
	o.recordTallies(ctx, o.tallies.due())
	fail()
	log.away = false
	o.recordTallies(ctx, o.tallies.due())
	if all := o.counts(); len(all) != 1 || all[0].Passwords != 2 {
		t.Errorf("counted: %+v", all)
	}
	fail()
	if err := o.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if all := o.counts(); len(all) != 2 || all[1].Passwords != 1 || all[0].Count == all[1].Count {
		t.Errorf("counted: %+v", all)
	}
}

// What is tried while a count is recorded is in the next one.
func TestWhatIsTriedMeanwhileIsCountedNext(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	counts := newTallies(func() time.Time { return now })
	counts.add("p1", wrongPassword)
	now = now.Add(tallyFor)
	due := counts.due()
	counts.add("p1", wrongCode)
	counts.recorded(due[0])
	counts.recorded(due[0]) // a second time changes nothing
	all := counts.all()
	if len(all) != 1 || all[0].id == due[0].id || all[0].counts != [triedKinds]int64{wrongCode: 1} || !all[0].since.Equal(now) {
		t.Errorf("%+v", all)
	}
	counts.recorded(all[0])
	if len(counts.all()) != 0 {
		t.Error("a count stays although it is recorded")
	}
}
