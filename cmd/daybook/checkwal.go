package main

import (
	"context"
	"io"
	"time"

	"daybook/internal/walcheck"
)

// checkWALCommand checks the PostgreSQL that has the log. A server of Daybook may run meanwhile.
type checkWALCommand struct{}

// walResult says whether WAL is archived and what is missing.
type walResult struct {
	Good     bool               `json:"good"` // there are no problems
	Loss     string             `json:"loss,omitempty"`
	Findings []walcheck.Finding `json:"findings"`
	Facts    walcheck.Facts     `json:"facts"`
}

func (checkWALCommand) check(_ context.Context, p *program) error {
	if p.DatabaseURL == "" {
		return usagef("check-wal needs --database-url, because the program's own PostgreSQL archives no WAL: back that one up by daybook backup or serve --backup-every")
	}
	return p.ownsLog("check-wal")
}

// Run asks the server. It returns errReported if there are problems, so that scripts notice.
func (checkWALCommand) Run(ctx context.Context, p *program) error {
	db, err := openDatabase(ctx, p.database(), p.log)
	if err != nil {
		return err
	}
	pool, err := openPool(ctx, db.url, "check-wal", 1, p.log)
	if err != nil {
		return err
	}
	defer pool.Close()
	facts, err := walcheck.Read(ctx, pool)
	if err != nil {
		return err
	}
	result := walResult{Findings: facts.Judge(), Facts: facts}
	if result.Good = walcheck.Problems(result.Findings) == 0; result.Good {
		result.Loss = facts.Loss()
	}
	if err := p.print(result, result.tell); err != nil {
		return err
	}
	if !result.Good {
		return errReported
	}
	return nil
}

func (r walResult) tell(out io.Writer) error {
	w := &lineWriter{out: out}
	f := r.Facts
	w.printf("PostgreSQL %s: wal_level %s, archive_mode %s", f.Version, f.WALLevel, f.ArchiveMode)
	if f.Archived > 0 {
		w.printf(", %d segments archived, the last one at %s", f.Archived, f.LastArchivedAt.Format(time.RFC3339))
	}
	w.printf(".\n")
	for _, one := range r.Findings {
		kind := "advice"
		if one.Problem {
			kind = "PROBLEM"
		}
		w.printf("%s %s: %s\n  What would be lost: %s\n  What to do: %s\n", kind, one.Code, one.Says, one.Loss, one.Remedy)
	}
	if r.Good {
		w.printf("WAL is kept elsewhere. %s\n", r.Loss)
	}
	return w.err
}
