package readapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"daybook/internal/resource"
)

type counting func(context.Context) (int64, error)

func (counting) List(context.Context, string, []string, int) ([]resource.Process, bool, error) {
	return nil, false, nil
}
func (c counting) Parked(ctx context.Context) (int64, error) { return c(ctx) }

type wellProgress struct{ Progress }

func (wellProgress) Status(context.Context) ([]ProjectionStatus, error) {
	return []ProjectionStatus{{InUse: true, Complete: true, State: "live"}}, nil
}

type wellLog struct{ Log }

func (wellLog) Components() []Component { return nil }

func TestTheCountOfParkedWorkDoesNotMakeTheNodeUnready(t *testing.T) {
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
				h := NewWatch(wellProgress{}, wellLog{}, c.count).Health()
				if h.Status != ready || h.Parked != c.want {
					t.Errorf("got %+v", h)
				}
				if took := time.Since(begun); took >= time.Second {
					t.Errorf("it took %s", took)
				}
				<-time.After(healthAsk) // until what was asked has ended
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
		want  string // why it is not ready; empty: it is
	}{
		"built for the first time, and far behind":  {ProjectionStatus{View: "stock", InUse: true, State: "catching_up", Share: 0.1}, "the read model stock is not complete yet: it has 10 % of the log"},
		"built for the first time, and nearly done": {ProjectionStatus{View: "stock", InUse: true, State: "live", Share: 0.999}, "stock is not complete yet"},
		"complete, and far behind":                  {ProjectionStatus{View: "stock", InUse: true, Complete: true, State: "catching_up", Share: 0.1, AgeSeconds: 3600}, ""},
		"built beside the one in use":               {ProjectionStatus{View: "stock", State: "rebuilding", Share: 0.1}, ""},
		"complete, and stopped":                     {ProjectionStatus{View: "stock", InUse: true, Complete: true, State: "failed", Error: "event 7"}, "the read model stock has stopped: event 7"},
		"complete, and owned by no node":            {ProjectionStatus{View: "stock", InUse: true, Complete: true, State: "unowned"}, "no node posts to the read model stock"},
	} {
		h := NewWatch(progressOf{all: []ProjectionStatus{level, c.other}}, wellLog{}, nil).Health()
		if (h.Status == ready) != (c.want == "") || (h.Reason == "") != (c.want == "") || !strings.Contains(h.Reason, c.want) || len(h.Projections) != 2 {
			t.Errorf("%s: got %+v; want both views, and %q", name, h, c.want)
		}
	}
}

// hangingProgress answers at once until the test lets it hang.
type hangingProgress struct {
	Progress
	hangs *atomic.Bool
}

func (p hangingProgress) Status(ctx context.Context) ([]ProjectionStatus, error) {
	if p.hangs.Load() {
		<-ctx.Done()
		return nil, fmt.Errorf("ask the log: %w", ctx.Err())
	}
	return []ProjectionStatus{{View: "orders", InUse: true, Complete: true, State: "live"}}, nil
}

// A probe does not wait for a log that hangs. Within a second it gets the last known answer and the
// age of this answer. Soon after that, the node is not ready and says why. Later it is ready again
// by itself.
func TestAProbeGetsTheLastResultWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		hangs.Store(true)
		w := NewWatch(hangingProgress{hangs: &hangs}, wellLog{}, nil)
		probe := func(status string, wantAge func(seconds float64) bool, why string) {
			t.Helper()
			begun := time.Now()
			h := w.Health()
			if took := time.Since(begun); took >= time.Second {
				t.Errorf("it took %s", took)
			}
			if h.Status != status || !wantAge(h.AgeSeconds) || (h.Reason == "") != (why == "") || !strings.Contains(h.Reason, why) {
				t.Errorf("got %+v; want it %s because of %q", h, status, why)
			}
		}
		unknown := func(age float64) bool { return age == -1 }
		probe(notReady, unknown, "have not been checked yet")
		<-time.After(healthAsk)
		probe(notReady, unknown, "the read models have not been checked yet; the last check failed: no answer within 3s: ask the log")
		hangs.Store(false)
		<-time.After(healthAsk)
		probe(ready, func(age float64) bool { return age == 0 }, "")

		hangs.Store(true)
		probe(ready, func(age float64) bool { return age > 0.5 && age < 1 }, "")
		<-time.After(3 * time.Second)
		probe(ready, func(age float64) bool { return age > 3 && age < healthKnown.Seconds() }, "the last check failed: no answer within 3s")
		<-time.After(time.Second)
		probe(notReady, func(age float64) bool { return age > healthKnown.Seconds() }, "last checked 6 s ago; the last check failed: no answer within 3s: ask the log")
		hangs.Store(false)
		<-time.After(healthAsk) // until what was asked has ended
		probe(ready, func(age float64) bool { return age == 0 }, "")
	})
}

// A Watch checks each second, even without probes. So the node is not ready soon after a log begins
// to hang, even if probes are rare.
func TestAWatchChecksWithoutProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		w := NewWatch(hangingProgress{hangs: &hangs}, wellLog{}, nil)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		<-time.After(time.Hour + healthEvery/2)
		if age := time.Since(w.status.latest().at); age > healthEvery {
			t.Errorf("the known answer is %s old", age)
		}
		hangs.Store(true)
		<-time.After(healthKnown + healthWait)
		if last := w.status.latest(); time.Since(last.at) < healthKnown || last.err == nil {
			t.Errorf("known of a log that hangs: %+v", last)
		}
		if h := w.Health(); h.Status != notReady || !strings.Contains(h.Reason, "ask the log") {
			t.Errorf("got %+v", h)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended: %v", err)
		}
		<-time.After(healthAsk) // until what was asked has ended
	})
}

// erringProgress answers at once until the test lets it fail.
type erringProgress struct {
	Progress
	fails *atomic.Bool
}

func (p erringProgress) Status(context.Context) ([]ProjectionStatus, error) {
	if p.fails.Load() {
		return nil, errors.New("ask the database: connection refused")
	}
	return []ProjectionStatus{{View: "orders", InUse: true, Complete: true, State: "live"}}, nil
}

// One failed check does not make a node unready, and its reason is in the response. The body
// of /readyz always has the same shape.
func TestAFailedCheckIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var fails atomic.Bool
		w := NewWatch(erringProgress{fails: &fails}, wellLog{}, nil)
		w.Health()
		fails.Store(true)
		if h := w.Health(); h.Status != ready || h.Reason != "the last check failed: ask the database: connection refused" || len(h.Projections) != 1 {
			t.Errorf("got %+v", h)
		}
		<-time.After(healthKnown + 1)
		if h := w.Health(); h.Status != notReady || !strings.Contains(h.Reason, "last checked 5 s ago; the last check failed: ask the database: connection refused") {
			t.Errorf("got %+v", h)
		}
	})
}

// componentOf is a log with one component.
type componentOf struct {
	Log
	component Component
}

func (c componentOf) Components() []Component { return []Component{c.component} }

func TestANodeThatIsNotReadySaysWhichComponentIsMissing(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Component{
		"nothing has come from the log for 12 s: no answer":                 {Component: "log", State: silent, AgeSeconds: 12, Error: "no answer"},
		"nothing has come from the log yet":                                 {Component: "log", State: silent, AgeSeconds: -1},
		"the log is not the one that the node has read before: another one": {Component: "log", State: diverged, Error: "another one"},
	} {
		if h := NewWatch(wellProgress{}, componentOf{component: c}, nil).Health(); h.Status != notReady || h.Reason != want || len(h.Components) != 1 {
			t.Errorf("got %+v, want %q", h, want)
		}
	}
}

// A node that has not heard of changes of keys for a while says so. It is not ready once it refuses
// all keys because of that.
func TestANodeThatRefusesAllKeysIsNotReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		heard          KeysHeard
		status, reason string
		listed         int
	}{
		"heard":   {KeysHeard{}, ready, "", 0},
		"deaf":    {KeysHeard{Deaf: 30 * time.Second, Trouble: errors.New("away")}, ready, "", 1},
		"refuses": {KeysHeard{Deaf: 61 * time.Second, Trouble: errors.New("away"), Refuses: true}, notReady, "changes of API keys have not been heard of for 61 s, so no key is accepted", 1},
	} {
		w := NewWatch(wellProgress{}, wellLog{}, nil)
		w.Keys = func() KeysHeard { return c.heard }
		h := w.Health()
		if h.Status != c.status || h.Reason != c.reason || len(h.Components) != c.listed {
			t.Errorf("%s: %+v", name, h)
		}
		if c.listed == 1 && (h.Components[0].Component != "keys" || h.Components[0].Error != "away" || h.Components[0].AgeSeconds != c.heard.Deaf.Seconds()) {
			t.Errorf("%s: %+v", name, h.Components)
		}
	}
}
