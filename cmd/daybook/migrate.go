package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

type migrateCommand struct{}

// Run does the migrations that every start does, for operators who want to do them separately.
func (migrateCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	db, err := openDatabase(ctx, p.database(), p.log)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, db.stop(context.WithoutCancel(ctx))) }()
	pool, err := openPool(ctx, db.url, "migrate", 2, p.log)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrate(ctx, pool); err != nil {
		return err
	}
	result := struct {
		Migrated bool    `json:"migrated"`
		Version  string  `json:"version"`
		Seconds  float64 `json:"seconds"`
	}{true, thisBuild().Version, time.Since(started).Seconds()}
	return p.print(result, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "The database is at the version of this program (%s).\n", result.Version)
		return err
	})
}

func (p *program) database() databaseConfig {
	return databaseConfig{URL: p.DatabaseURL, DataDir: p.Data, Named: p.dataNamed, Getenv: p.getenv}
}
