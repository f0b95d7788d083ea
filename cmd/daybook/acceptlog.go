package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/vbauerster/mpb/v8/cwriter"

	"daybook/commands/importer"
	commandspg "daybook/commands/postgres"
	"daybook/eventstore"
	gatewaypg "daybook/eventstore/gateway/postgres"
	"daybook/eventstore/guard"
	"daybook/internal/embeddedpg"
	"daybook/projections"
)

// acceptLogCommand takes a restored log, or another log, as the right one.
type acceptLogCommand struct {
	Yes    bool        `xor:"answer" help:"Do not ask before the log is accepted."`
	DryRun bool        `xor:"answer" help:"Only print what PostgreSQL knows and the log does not have; change nothing."`
	Policy policyFlags `embed:""`
}

// acceptReport is what accept-log prints.
type acceptReport struct {
	Log    string              `json:"log"`
	Head   eventstore.Position `json:"head"`
	Events int64               `json:"events"` // of the shop, in the log
	// LastRecorded is when the log's last event was recorded. KnownUntil is when the last event
	// that PostgreSQL knows was recorded. AgreedUpTo is the position of the last event that both
	// have.
	LastRecorded time.Time           `json:"last_recorded,omitzero"`
	KnownUntil   time.Time           `json:"known_until,omitzero"`
	AgreedUpTo   eventstore.Position `json:"agreed_up_to"`
	// AnotherLog describes the log that PostgreSQL was made from, if that is another log.
	AnotherLog string          `json:"another_log,omitempty"`
	Unknown    []*unknown      `json:"unknown"`
	Places     []acceptedPlace `json:"places"`
	// Groups are the groups of the gateway that have to begin again at an earlier place.
	Groups []gatewaypg.Move `json:"groups,omitempty"`
	// Diverged tells whether the log differs from the log that PostgreSQL was made from. If it is
	// false, there is nothing to accept.
	Diverged bool `json:"diverged"`
	Accepted bool `json:"accepted"`
	// What was built again from the log.
	Views   []rebuildResult `json:"views,omitempty"`
	Timers  int64           `json:"timers"`
	Parked  int64           `json:"parked"`
	Seconds float64         `json:"seconds"`
}

// acceptedPlace is a place in the log that PostgreSQL keeps.
type acceptedPlace struct {
	Keeper   string              `json:"keeper"`
	Position eventstore.Position `json:"position"`
	// Diverged says how the log differs from what the keeper knows of it.
	Diverged string `json:"diverged,omitempty"`
}

// unknowns is how many things PostgreSQL knows that the log does not have.
func (r *acceptReport) unknowns() (sum int64) {
	for _, u := range r.Unknown {
		sum += u.Missing + u.Different
	}
	return sum
}

func (c *acceptLogCommand) check(_ context.Context, p *program) error {
	_, err := c.Policy.policy(p.now())
	return err
}

// Run compares, asks, and builds everything again that follows from the log. One transaction
// deletes what PostgreSQL had. So if the command ends in the middle, all of it is there or none,
// and the command can be called again.
func (c *acceptLogCommand) Run(ctx context.Context, p *program) (err error) {
	started := time.Now()
	policy, err := c.Policy.policy(p.now())
	if err != nil {
		return err
	}
	if err := p.mustHaveData("accept"); err != nil {
		return err
	}
	a, err := openAcceptance(ctx, p)
	if err != nil {
		return err
	}
	report, err := c.takeOver(ctx, a)
	if err := errors.Join(err, a.close(ctx)); err != nil {
		return err
	}
	if report.Accepted {
		cfg := p.nodeConfig(policy)
		if err := buildAgain(ctx, cfg, p, report); err != nil {
			return fmt.Errorf("the log is accepted; what follows from it is not all built yet, and the next start goes on with it: %w", err)
		}
	}
	report.Seconds = time.Since(started).Seconds()
	if p.JSON {
		err = p.print(report, nil)
	} else if report.Accepted {
		err = tellAccepted(p.stdout, report)
	}
	if err != nil || report.Accepted || c.DryRun || !report.Diverged {
		return err
	}
	return errors.New("the log was not accepted; nothing was changed")
}

// takeOver prints the differences, asks, and deletes what PostgreSQL had.
func (c *acceptLogCommand) takeOver(ctx context.Context, a *acceptance) (*acceptReport, error) {
	p := a.p
	report, err := a.compareUntilSettled(ctx)
	if err != nil {
		return nil, err
	}
	words := p.stdout
	if p.JSON {
		words = p.stderr
	}
	if !p.JSON || !c.Yes && !c.DryRun && onTerminal(p.stdin) {
		if err := tellUnknown(words, report); err != nil {
			return nil, err
		}
	}
	if !report.Diverged {
		fmt.Fprintln(words, "There is nothing to accept: PostgreSQL knows nothing that this log does not have. Nothing was changed.")
		return report, nil
	}
	switch {
	case c.DryRun:
		return report, nil
	case c.Yes:
	case !onTerminal(p.stdin):
		fmt.Fprintln(p.stderr, "Nobody can be asked here: call it on a terminal, or with --yes.")
		return report, nil
	case !confirmed(ctx, p.stdin, p.stderr, "Take the log as it is, and build everything in PostgreSQL again from it? Only yes means yes: "):
		return report, nil
	}
	if err := a.startOver(ctx, p.views()); err != nil {
		return nil, err
	}
	report.Accepted = true
	return report, nil
}

func onTerminal(in io.Reader) bool {
	f, is := in.(*os.File)
	return is && cwriter.IsTerminal(int(f.Fd()))
}

// confirmed asks a question and waits for a line. Only the word yes counts as yes.
func confirmed(ctx context.Context, in io.Reader, out io.Writer, question string) bool {
	fmt.Fprint(out, question)
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(in).ReadString('\n') // a line that has no end is an answer, too
		line <- text
	}()
	select {
	case text := <-line:
		return strings.EqualFold(strings.TrimSpace(text), "yes")
	case <-ctx.Done():
		return false
	}
}

// acceptance compares a database with a log.
type acceptance struct {
	p        *program
	database database
	pool     *pgxpool.Pool
	store    logStore
	settle   time.Duration // how long a difference must last
	found    *comparison
	groups   []gatewaypg.Move // all groups, if the log has diverged
}

func openAcceptance(ctx context.Context, p *program) (_ *acceptance, err error) {
	a := &acceptance{p: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close(ctx))
		}
	}()
	a.database, err = openDatabase(ctx, p.database(), p.log)
	if inUse, busy := errors.AsType[*embeddedpg.InUseError](err); busy {
		return nil, fmt.Errorf("a node runs on this data: stop it first (%w)", inUse)
	}
	if err != nil {
		return nil, err
	}
	if a.pool, err = openPool(ctx, a.database.url, acceptPurpose, 8, p.log); err != nil {
		return nil, err
	}
	// This is checked only now, because this command soon has sessions of an event store, too.
	if err := a.mustBeAlone(ctx, append(nodeSessions, "daybook event store %")); err != nil {
		return nil, err
	}
	if err := migrate(ctx, a.pool); err != nil {
		return nil, err
	}
	if a.store, err = dial(ctx, a.pool, p.KurrentDB, p.log); err != nil {
		return nil, err
	}
	if p.KurrentDB != "" {
		a.settle = clusterSettles
	}
	return a, nil
}

const acceptPurpose = "accept-log"

func (a *acceptance) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopMax.all)
	defer cancel()
	var err error
	if a.store != nil {
		err = a.store.Close(ctx)
	}
	return errors.Join(err, closePool(ctx, a.pool), a.database.stop(ctx))
}

// mustBeAlone returns an error while another program of ours has connections to the database, or
// holds a lease in it. If there is a lease without a connection, mustBeAlone waits for its end,
// because most likely its node was killed. No other program uses a database that this program has
// started itself.
func (a *acceptance) mustBeAlone(ctx context.Context, names []string) error {
	if a.database.server != nil {
		return nil
	}
	ticker := time.NewTicker(leasePoll)
	defer ticker.Stop()
	for began, told := time.Now(), false; ; {
		sessions, err := a.others(ctx, names)
		if err != nil {
			return err
		}
		leases, err := projections.Leases(ctx, a.pool)
		if err != nil {
			return err
		}
		if len(sessions)+len(leases) == 0 {
			return nil
		}
		if len(sessions) > 0 && time.Since(began) > sessionWait || time.Since(began) > leaseWait {
			return fmt.Errorf("another Daybook runs on this database: stop it first. Found: %s", strings.Join(append(sessions, leases...), "; "))
		}
		if len(sessions) == 0 && !told {
			told = true
			fmt.Fprintf(a.p.stderr, "waiting for a node that has no connection any more: %s\n", strings.Join(leases, "; "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

const (
	leasePoll = 200 * time.Millisecond
	// PostgreSQL ends the session of a program that has ended a moment later.
	sessionWait = 2 * time.Second
	leaseWait   = 15 * time.Second // longer than any lease that is not renewed
)

// others are the connections of other programs of ours, by their names.
func (a *acceptance) others(ctx context.Context, names []string) ([]string, error) {
	rows, err := a.pool.Query(ctx, `SELECT application_name || ' from ' || coalesce(host(client_addr), 'this machine') || ', backend ' || pid
		FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE ANY ($1) ORDER BY pid`, names)
	if err != nil {
		return nil, fmt.Errorf("look for nodes: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for nodes: %w", err)
	}
	return found, nil
}

// nodeSessions are the names under which every node, and every other program that
// works on a database, is connected to it; see openPools.
var nodeSessions = []string{"daybook log", "daybook commands", "daybook projections", "daybook reads", "daybook gateway", "daybook gateway node"}

// compareUntilSettled compares until there is no difference, or until a difference has lasted for
// the settle time, because a cluster's new leader may be behind for a moment. It changes nothing.
func (a *acceptance) compareUntilSettled(ctx context.Context) (*acceptReport, error) {
	var since time.Time // when the first difference was found
	for {
		began := time.Now()
		report, err := a.compareWithLog(ctx)
		if err != nil || !report.Diverged || a.settle == 0 || !since.IsZero() && began.Sub(since) >= a.settle {
			return report, err
		}
		if since.IsZero() {
			since = time.Now()
			fmt.Fprintf(a.p.stderr, "the log differs; it is compared again for %s, because the new leader of a cluster may be behind\n", a.settle)
		}
		pause := compareEvery
		if time.Since(began) > pause { // a comparison that takes long is done only once more
			pause = a.settle - time.Since(since)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// compareEvery is the pause between two comparisons while a difference may pass.
const compareEvery = 100 * time.Millisecond

// compareWithLog compares, and changes nothing.
func (a *acceptance) compareWithLog(ctx context.Context) (*acceptReport, error) {
	head, err := a.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	report := &acceptReport{Log: a.p.Store, Head: head}
	err = commandspg.Origin{Pool: a.pool}.Compare(ctx, a.store)
	if another, is := errors.AsType[*commandspg.AnotherLogError](err); is {
		report.AnotherLog, err = another.Error(), nil
	}
	if err != nil {
		return nil, err
	}
	a.found = &comparison{store: a.store, pool: a.pool, progress: a.p.stderr}
	if report.Unknown, err = a.found.compare(ctx, head); err != nil {
		return nil, err
	}
	report.Events, report.LastRecorded, report.KnownUntil = a.found.events, a.found.last, a.found.until.UTC()
	if err := a.lookAtPlaces(ctx, report); err != nil {
		return nil, err
	}
	report.AgreedUpTo = a.found.agreed
	report.Diverged = report.AnotherLog != "" || report.unknowns() > 0 || report.placesDiverged()
	if a.p.KurrentDB == "" && report.Diverged {
		a.groups, err = gatewaypg.FindMoves(ctx, a.pool, a.store, a.found.agreed)
		report.Groups = slices.DeleteFunc(slices.Clone(a.groups), func(m gatewaypg.Move) bool { return !m.IsNeeded() })
	}
	return report, err
}

// lookAtPlaces compares each stored place. If the log still has the event that an anchor names, it
// is unchanged at least up to that event.
func (a *acceptance) lookAtPlaces(ctx context.Context, report *acceptReport) error {
	kept, err := places(ctx, a.pool, a.p.views(), a.p.KurrentDB == "")
	if err != nil {
		return err
	}
	for _, p := range kept {
		place := acceptedPlace{Keeper: p.Keeper, Position: p.At}
		err := guard.Compare(ctx, a.store, []eventstore.Place{p}, own)
		if diverged, is := errors.AsType[*eventstore.DivergedError](err); is {
			place.Diverged, err = "expected "+diverged.Expected+", found "+diverged.Found, nil
		}
		if err != nil {
			return err
		}
		report.Places = append(report.Places, place)
		if err := a.found.noteAgreed(ctx, p.Anchor); err != nil {
			return err
		}
	}
	if report.placesDiverged() {
		return nil
	}
	// All places together can show more, because one keeper's anchor says what another keeper must
	// have seen.
	err = guard.Compare(ctx, a.store, kept, own)
	diverged, is := errors.AsType[*eventstore.DivergedError](err)
	if !is {
		return err
	}
	for i, p := range report.Places {
		if p.Keeper == diverged.Keeper {
			report.Places[i].Diverged = "expected " + diverged.Expected + ", found " + diverged.Found
		}
	}
	return nil
}

func (r *acceptReport) placesDiverged() bool {
	return slices.ContainsFunc(r.Places, func(p acceptedPlace) bool { return p.Diverged != "" })
}

// startOver deletes what PostgreSQL has and ties the database to the log, all or nothing.
func (a *acceptance) startOver(ctx context.Context, views []projections.View) error {
	first, err := commandspg.First(ctx, a.store)
	if err != nil {
		return err
	}
	imports, err := commandspg.LoadImport(ctx, a.pool)
	if err != nil {
		return err
	}
	if imports != nil && a.found.imported {
		imports.Done = 0
		if imports.Counts, err = importer.Restarted(imports.Counts, a.found.agreed); err != nil {
			return err
		}
	} else {
		imports = nil // the log has no event of an import
	}
	err = pgx.BeginFunc(projections.LongEnough(ctx), a.pool, func(tx pgx.Tx) error {
		if err := commandspg.StartOver(ctx, tx, first, imports); err != nil {
			return err
		}
		if err := projections.StartOver(ctx, tx, views); err != nil {
			return err
		}
		if err := gatewaypg.MoveGroups(ctx, tx, a.groups); err != nil {
			return err
		}
		// This is checked again, because the operator may have answered late.
		return a.mustBeAlone(ctx, nodeSessions)
	})
	if err != nil {
		return fmt.Errorf("accept the log: %w", err)
	}
	return nil
}

// buildAgain builds what follows from the log, as a start of the program does, and waits until that
// is done. It also finishes work that has begun and not ended in the log.
func buildAgain(ctx context.Context, cfg nodeConfig, p *program, report *acceptReport) (err error) {
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	n.parts.begin(ctx, partReactor, partProjections)
	if err := n.finishWork(ctx, p.stderr); err != nil {
		return err
	}
	head, err := n.store.Head(ctx)
	if err != nil {
		return err
	}
	report.Head = head
	if err := n.catchUp(ctx, head, p.stderr); err != nil {
		return err
	}
	for _, view := range cfg.Views {
		status, err := n.activeBuild(ctx, view.Name)
		if err != nil {
			return err
		}
		if status.Error != "" {
			return fmt.Errorf("view %s: %s", view.Name, status.Error)
		}
		report.Views = append(report.Views, rebuildResult{View: view.Name, Build: status.Build, Position: status.Position, Events: status.Events})
	}
	if report.Parked, err = n.reactor.Parking.CountParked(ctx); err != nil {
		return err
	}
	report.Timers, err = commandspg.Timers{Pool: n.commandPool}.Count(ctx)
	return err
}

// otherLeadsAfter is how long this node tries to lead the reactor. If another node leads it, that
// node finishes the open work.
const otherLeadsAfter = 15 * time.Second

// finishWork returns when the reactor has read the log and has nothing left to do.
func (n *node) finishWork(ctx context.Context, progress io.Writer) error {
	ctx, end := n.guard(ctx)
	defer end()
	started, told := time.Now(), time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !n.reactor.Idle() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		open, leading := n.reactor.Open()
		if !leading && time.Since(started) > otherLeadsAfter {
			return nil
		}
		if time.Since(told) >= progressEvery {
			told = time.Now()
			fmt.Fprintf(progress, "the log is read for unfinished work; %d pieces are open\n", len(open))
		}
	}
	return nil
}

// tellUnknown prints in words what PostgreSQL knows and the log does not have.
func tellUnknown(out io.Writer, r *acceptReport) error {
	w := &lineWriter{out: out}
	w.printf("The log has %d events of the shop", r.Events)
	if r.Events > 0 {
		w.printf(", the last recorded at %s", instant(r.LastRecorded))
	}
	w.printf(". Its head is position %s.\n", r.Head)
	if !r.KnownUntil.IsZero() {
		w.printf("PostgreSQL knows events until %s.", instant(r.KnownUntil))
		if !r.AgreedUpTo.IsStart() {
			w.printf(" The last event that both have is at position %s.", r.AgreedUpTo)
		}
		w.printf("\n")
	}
	if r.AnotherLog != "" {
		w.printf("They do not belong together: %s.\n", r.AnotherLog)
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"PostgreSQL knows", "all", "not in the log", "different in the log"})
	var columns []table.ColumnConfig
	for _, name := range []string{"all", "not in the log", "different in the log"} {
		columns = append(columns, table.ColumnConfig{Name: name, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	for _, u := range r.Unknown {
		if u.NotCompared != "" {
			t.AppendRow(table.Row{u.Kind, "?", "?", "?"})
			continue
		}
		t.AppendRow(table.Row{u.Kind, u.Known, u.Missing, u.Different})
	}
	w.printf("%s\n", t.Render())
	for _, u := range r.Unknown {
		if u.NotCompared != "" {
			w.printf("\n%s: not compared, %s\n", u.Kind, u.NotCompared)
		}
		if len(u.Newest) > 0 {
			w.printf("\n%s, the newest:\n", u.Kind)
		}
		for _, thing := range u.Newest {
			w.printf("  %s  %s: %s\n", instant(thing.At), thing.ID, thing.Why)
		}
	}
	if r.placesDiverged() || len(r.Groups) > 0 {
		w.printf("\nplaces in the log:\n")
	}
	for _, place := range r.Places {
		if place.Diverged != "" {
			w.printf("  %s, position %s: %s\n", place.Keeper, place.Position, place.Diverged)
		}
	}
	for _, g := range r.Groups {
		w.printf("  group %s of %s was at place %s and begins again after place %s\n", g.Name, g.Source, g.From, g.To)
	}
	if r.unknowns() > 0 {
		w.printf("\nWhat is counted here as not in the log, or as different in the log, is lost for good when the log is accepted.\n")
	}
	return w.err
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// tellAccepted prints in words what was built.
func tellAccepted(out io.Writer, r *acceptReport) error {
	w := &lineWriter{out: out}
	w.printf("\nThe log is accepted, up to position %s (%.1f s). Built again from it:\n", r.Head, r.Seconds)
	for _, v := range r.Views {
		w.printf("%12d events in the read model %s\n", v.Events, v.View)
	}
	w.printf("%12d timers\n%12d pieces of parked work\n", r.Timers, r.Parked)
	w.printf("Answers under idempotency keys are not kept: a repeated request is answered from the log.\n")
	return w.err
}
