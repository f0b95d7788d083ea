package main

import (
	"strings"
	"testing"
	"time"
)

func TestTheBoundsOfTimeAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		flags timeFlags
		want  string // in the error; empty: none
	}{
		"the default":         {timeFlags{"1990-01-01", 24 * time.Hour}, ""},
		"the widest":          {timeFlags{"1900-01-01", 365 * 24 * time.Hour}, ""},
		"no day":              {timeFlags{"yesterday", 0}, "--earliest-day"},
		"too early a day":     {timeFlags{"1899-12-31", 0}, "--earliest-day"},
		"a day in the future": {timeFlags{"2026-02-01", 0}, "--earliest-day"},
		"too far ahead":       {timeFlags{"1990-01-01", 365*24*time.Hour + 1}, "--time-ahead"},
		"backwards":           {timeFlags{"1990-01-01", -1}, "--time-ahead"},
	} {
		bounds, err := test.flags.bounds(now)
		if test.want == "" && (err != nil || bounds.Ahead != test.flags.TimeAhead) {
			t.Errorf("%s: %+v, %v", name, bounds, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want it to name %s", name, err, test.want)
		}
	}
}
