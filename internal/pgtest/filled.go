package pgtest

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// Filled is a database that is filled once in this process. Tests begin with copies of it, because
// a copy is made much faster than the same tables and rows.
type Filled struct {
	fill func(ctx context.Context, url string) error
	once sync.Once
	name string // of the original; empty until it is complete
	err  error
}

// NewFilled is a database that fill fills when the first test asks for a copy. fill must have
// closed its connections when it returns.
func NewFilled(fill func(ctx context.Context, url string) error) *Filled {
	return &Filled{fill: fill}
}

// URL returns the connection string of a new copy, which is dropped when the test ends.
func (f *Filled) URL(tb testing.TB) string {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	// The original outlives the test that makes it.
	f.once.Do(func() { f.name, f.err = s.createFilled(context.WithoutCancel(tb.Context()), f.fill) })
	if f.err != nil {
		tb.Fatalf("pgtest: fill a database: %v", f.err)
	}
	return s.urlFor(tb, f.name)
}

// Remove drops the original, after the last test. On a server of this process it may be left out,
// because that server is removed as a whole.
func (f *Filled) Remove() error {
	if f.name == "" {
		return nil
	}
	s, err := shared()
	if err != nil {
		return err
	}
	return s.drop(context.Background(), f.name)
}

// createFilled makes and fills an original. Nobody can connect to it afterwards, so a copy never
// has to wait for others.
func (s *server) createFilled(ctx context.Context, fill func(ctx context.Context, url string) error) (name string, err error) {
	if name, err = s.create(ctx, emptyName); err != nil {
		return "", err
	}
	err = fill(ctx, s.urlOf(name))
	if err == nil {
		_, err = s.admin.Exec(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	}
	if err != nil {
		return "", errors.Join(err, s.drop(ctx, name))
	}
	return name, nil
}
