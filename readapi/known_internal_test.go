package readapi

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAPanicWhileAskingIsAnError(t *testing.T) {
	t.Parallel()
	wrong := false
	k := lastKnown[int]{ask: func(context.Context) (int, error) {
		if wrong {
			panic("out of order")
		}
		return 7, nil
	}}
	if got := k.get(time.Minute); got.value != 7 || got.err != nil {
		t.Fatalf("asked for 7: %+v", got)
	}
	wrong = true
	got := k.get(time.Minute)
	if got.err == nil || !strings.Contains(got.err.Error(), "out of order") || got.value != 7 {
		t.Errorf("after a panic: %+v, want its error and what was known before", got)
	}
}

// A caller gets an answer that is newer than its call, even if another question was under way
// when it called.
func TestAnAnswerIsNotOlderThanItsQuestion(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	first := make(chan struct{})
	k := lastKnown[int64]{ask: func(context.Context) (int64, error) {
		n := asked.Add(1)
		if n == 1 {
			<-first
		}
		return n, nil
	}}
	k.refresh(t.Context())
	got := make(chan finding[int64])
	go func() { got <- k.get(time.Minute) }()
	for asked.Load() == 0 {
		runtime.Gosched()
	}
	time.AfterFunc(time.Millisecond, func() { close(first) })
	if found := <-got; found.value != 2 {
		t.Errorf("got %+v, want the second answer", found)
	}
}
