package eventstore_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"daybook/eventstore"
)

// An outage is logged when it begins, once a minute while it lasts, and when it ends.
func TestAnOutageIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var p eventstore.PulseRecorder
	began, lost := time.Now(), errors.New("no route")
	note := func(second int, err error) {
		p.Note(t.Context(), logger, began.Add(time.Duration(second)*time.Second), err)
	}
	note(-1, nil)
	for second := range 150 {
		note(second, lost)
	}
	if at := p.Pulse(); !at.Proven.Equal(began.Add(-time.Second)) || !errors.Is(at.Trouble, lost) {
		t.Errorf("the pulse is %+v amid an outage", at)
	}
	note(150, nil)
	note(151, nil)
	if at := p.Pulse(); !at.Proven.Equal(began.Add(151*time.Second)) || at.Trouble != nil {
		t.Errorf("the pulse is %+v after an outage", at)
	}
	note(152, lost)
	if warned, told := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=INFO"); warned != 4 || told != 1 {
		t.Errorf("%d warnings and %d good news of two outages, want 4 and 1:\n%s", warned, told, log.String())
	}
}
