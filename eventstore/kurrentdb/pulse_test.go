package kurrentdb

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// An outage is logged when it begins, once a minute while it lasts, and when it ends.
func TestAnOutageIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Store{logger: slog.New(slog.NewTextHandler(&log, nil))}
	began := time.Now()
	for second := range 150 {
		s.notePulse(t.Context(), began.Add(time.Duration(second)*time.Second), errors.New("no route"))
	}
	s.notePulse(t.Context(), began.Add(150*time.Second), nil)
	s.notePulse(t.Context(), began.Add(151*time.Second), nil)
	s.notePulse(t.Context(), began.Add(152*time.Second), errors.New("no route"))
	if warned, told := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=INFO"); warned != 4 || told != 1 {
		t.Errorf("%d warnings and %d good news of two outages, want 4 and 1:\n%s", warned, told, log.String())
	}
}
