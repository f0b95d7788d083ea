package readapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type counting func(context.Context) (int64, error)

func (counting) List(context.Context, string, string, int) ([]Process, bool, error) {
	return nil, false, nil
}
func (c counting) Parked(ctx context.Context) (int64, error) { return c(ctx) }

type wellProgress struct{ Progress }

func (wellProgress) Status(context.Context) ([]ProjectionStatus, error) {
	return []ProjectionStatus{{InUse: true, Complete: true, State: "live"}}, nil
}

type wellLog struct{ Log }

func (wellLog) Components() []Component { return nil }

func TestTheCountOfParkedWorkTakesTheNodeOutOfNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		count counting
		want  int64
	}{
		"known":  {func(context.Context) (int64, error) { return 3, nil }, 3},
		"faulty": {func(context.Context) (int64, error) { return 0, errors.New("no such table") }, 0},
		"slow":   {func(ctx context.Context) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				a := &api{Config: Config{Processes: c.count, Progress: wellProgress{}, Log: wellLog{}}}
				out, err := a.ready(t.Context(), nil)
				if err != nil || out.Status != 200 || out.Body.Parked != c.want {
					t.Errorf("got %+v, %v", out, err)
				}
				if took := time.Since(begun); took >= time.Second {
					t.Errorf("it took %s", took)
				}
				<-time.After(queryTimeout) // until what was asked has ended
			})
		})
	}
}

type progressOf struct {
	Progress
	all []ProjectionStatus
}

func (p progressOf) Status(context.Context) ([]ProjectionStatus, error) { return p.all, nil }

func TestANodeIsReadyWhenEachViewInUseHasBeenAtTheHeadOnce(t *testing.T) {
	t.Parallel()
	level := ProjectionStatus{View: "orders", InUse: true, Complete: true, State: "live", Share: 1}
	for name, c := range map[string]struct {
		other ProjectionStatus
		want  int
	}{
		"built for the first time, and far behind":  {ProjectionStatus{InUse: true, State: "catching_up", Share: 0.1}, 503},
		"built for the first time, and nearly done": {ProjectionStatus{InUse: true, State: "live", Share: 0.999}, 503},
		"complete, and far behind":                  {ProjectionStatus{InUse: true, Complete: true, State: "catching_up", Share: 0.1, AgeSeconds: 3600}, 200},
		"built beside the one in use":               {ProjectionStatus{State: "rebuilding", Share: 0.1}, 200},
		"complete, and stopped":                     {ProjectionStatus{InUse: true, Complete: true, State: "failed"}, 503},
	} {
		a := &api{Config: Config{Progress: progressOf{all: []ProjectionStatus{level, c.other}}, Log: wellLog{}}}
		out, err := a.ready(t.Context(), nil)
		if err != nil || out.Status != c.want || len(out.Body.Projections) != 2 {
			t.Errorf("%s: got %+v, %v; want %d and both views", name, out, err, c.want)
		}
	}
}

// slowProgress answers when it is let.
type slowProgress struct {
	Progress
	answers chan []ProjectionStatus
}

func (p slowProgress) Status(ctx context.Context) ([]ProjectionStatus, error) {
	select {
	case all := <-p.answers:
		return all, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A probe does not wait for a log that hangs: it is told within a second what was
// known before, and how old that is.
func TestAProbeIsAnsweredWithinASecondFromWhatIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		progress := slowProgress{answers: make(chan []ProjectionStatus)}
		a := &api{Config: Config{Progress: progress, Log: wellLog{}}}
		probe := func(wantStatus int, wantAge func(seconds float64) bool) {
			t.Helper()
			begun := time.Now()
			out, err := a.ready(t.Context(), nil)
			if took := time.Since(begun); took >= time.Second {
				t.Errorf("it took %s", took)
			}
			if err != nil || out.Status != wantStatus || !wantAge(out.Body.AgeSeconds) {
				t.Errorf("got %+v, %v; want %d", out, err, wantStatus)
			}
		}
		level := []ProjectionStatus{{View: "orders", InUse: true, Complete: true, State: "live"}}
		probe(503, func(age float64) bool { return age == -1 })
		progress.answers <- level
		synctest.Wait()
		go func() { progress.answers <- level }()
		probe(200, func(age float64) bool { return age == 0 })
		probe(200, func(age float64) bool { return age > 0.5 && age < 1 }) // it hangs from here on
		<-time.After(healthKnown / 2)
		probe(200, func(age float64) bool { return age > 5 && age < 10 })
		<-time.After(4 * time.Second)
		if out, err := a.ready(t.Context(), nil); err == nil && out.Status == 200 {
			t.Errorf("ready by what is %v s old", out.Body.AgeSeconds)
		}
		<-time.After(queryTimeout) // until what was asked has ended
	})
}
