package readapi

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestAPanicOfWhatIsAskedIsAnError(t *testing.T) {
	t.Parallel()
	var k lastKnown[int]
	if got := k.get(func(context.Context) (int, error) { return 7, nil }, time.Minute); got.value != 7 || got.err != nil {
		t.Fatalf("asked for 7: %+v", got)
	}
	got := k.get(func(context.Context) (int, error) { panic("out of order") }, time.Minute)
	if got.err == nil || !strings.Contains(got.err.Error(), "out of order") || got.value != 7 {
		t.Errorf("after a panic: %+v, want its error and what was known before", got)
	}
}
