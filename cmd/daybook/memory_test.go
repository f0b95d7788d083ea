package main

import (
	"errors"
	"testing"
)

func TestAServerLeavesMemoryForPostgreSQL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		available uint64
		err       error
		want      int64
	}{
		"a machine with much memory": {available: 24 << 30, want: serverMemoryLimit},
		"a container of 1 GB":        {available: 1_000_000_000, want: 400_000_000},
		"nobody knows":               {err: errors.New("no limit"), want: serverMemoryLimit},
	} {
		if got := memoryLimit(func() (uint64, error) { return c.available, c.err }); got != c.want {
			t.Errorf("%s: a limit of %d bytes, want %d", name, got, c.want)
		}
	}
}
