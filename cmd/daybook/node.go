package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/commands/aggregate"
	"daybook/commands/keyring"
	"daybook/commands/payments"
	commandspg "daybook/commands/postgres"
	"daybook/commands/pricebook"
	"daybook/commands/reactor"
	"daybook/commands/signin"
	"daybook/eventstore"
	"daybook/eventstore/sealing"
	"daybook/internal/httpapi"
	"daybook/internal/idtoken"
	"daybook/internal/live"
	"daybook/internal/personal"
	"daybook/internal/telemetry"
	"daybook/projections"
	"daybook/readapi"
)

// nodeConfig says how a node is opened. A server, an import and a verification open it in different
// ways.
type nodeConfig struct {
	Database  databaseConfig
	KurrentDB string // where the log is; empty: in the database
	Policy    commands.Policy
	Views     []projections.View // the views that the node updates
	ViewGap   time.Duration      // see projections.Config.Gap
	Guest     bool               // another node may be updating the read models, so this node does not update them
	Shared    bool               // other nodes use the database, even if its server is our own
	// Serving means that the node opens even if the log has diverged. Then it refuses all requests,
	// and says why.
	Serving bool
	Start   *start // waits while the log or the database is away; nil: openNode does not wait and returns an error
	// CacheStreams is how many folded streams of each kind of aggregate are kept in memory at most.
	// 0 means the default.
	CacheStreams int
	// MasterKeyFile has the master key of personal texts. Empty: the one in the data directory, if
	// the database is the program's own.
	MasterKeyFile string
	// MasterKeyCommand is a command with master keys, and its arguments. Empty: there is none.
	MasterKeyCommand []string
	// Environ is the environment of this command.
	Environ []string
	// Master has the master keys in place of a file and a command.
	Master sealing.Master
	// Unsealed records personal texts in clear text, whether or not there is a master key. It is
	// for the benchmark that compares the two.
	Unsealed bool
	// NoPersonalTexts means that the node opens without the master key of personal texts, because
	// its command reads and writes none.
	NoPersonalTexts bool
	Web             webFlags // the zero value is the defaults
	Admin           adminConfig
	Backups         backupPlan
	Retention       retention
	Keep            keeping // what stays of somebody who is erased
	Mail            mailConfig
	Payments        payments.Providers   // who moves money; the zero value: only people
	Telemetry       *telemetry.Telemetry // nil: nothing is measured
	Now             func() time.Time
	PasswordCost    signin.Cost
}

// metrics is nil if there are none.
func (c nodeConfig) metrics() *telemetry.Metrics {
	if c.Telemetry == nil {
		return nil
	}
	return c.Telemetry.Metrics
}

// node is the whole program except its HTTP API and its gateway: a database, the log, the command
// side and the read models. openNode opens it, start begins its work, close closes it.
type node struct {
	log *slog.Logger
	web webFlags
	// telemetry is nil if nothing is measured.
	telemetry *telemetry.Telemetry
	now       func() time.Time

	database database
	// Each purpose has a pool, so that one cannot take all connections from another.
	logPool, commandPool, viewPool, readPool *pgxpool.Pool

	store        *guardedLog         // the log as it is: personal texts are sealed
	events       *sealing.Store      // the log with clear text, for everything that the shop itself does
	keysOfPeople *sealing.Keys       // the keys of personal texts; nil: there is no master key
	masters      *masterKeys         // the master keys of personal texts; nil: there are none
	masterFile   string              // the file with the master keys, or where it would be; empty: nowhere
	erasing      *erasing            // erases personal texts
	views        []projections.View  // that this node knows
	name         string              // tells this node apart from others that run
	sparse       bool                // the log's positions have gaps
	shared       bool                // the configuration says that other nodes use the database
	answers      *commandspg.Answers // the answers that are kept under idempotency keys
	service      *commands.Service
	reactor      *reactor.Reactor
	clockwork    *reactor.Clockwork
	projections  *projections.Runner
	watch        *readapi.Watch
	backups      *backups // nil: none are made
	keys         *keyring.Keyring
	book         *pricebook.Book
	keyUses      *keyring.Uses // when keys were last used
	guests       *keyring.Guests
	withhold     *personal.Withholder // takes personal data out of what callers get who must not see it
	refusals     *httpapi.Refusals    // counts requests that were refused because of who sent them
	allowances   *httpapi.Allowances
	callers      *httpapi.Refusals // counts calls of the gateway that were refused in the same way
	desk         *signin.Desk      // where people sign in
	tokens       *idtoken.Verifier // of an identity provider; nil: none are good

	parts   parts         // all parts of this node that are open
	awayMax time.Duration // see untilAway
}

// Sizes of the pools. Together with the four connections of the log's own they are half of
// PostgreSQL's usual hundred, so two nodes can use one database.
const (
	logConns     = 8
	commandConns = 12
	viewConns    = 12
	readConns    = 10
)

// How old unfinished work must be before the reactor takes it over. If the database is the
// program's own, no other node can still be working on it, so the time is shorter.
const (
	graceAlone  = 500 * time.Millisecond
	graceShared = 5 * time.Second
)

// Names of the parts that work by themselves. Some commands start only some of them.
const (
	partGuard       = "the log's guard"
	partReactor     = "reactor"
	partProjections = "projections"
	partErasing     = "erasures"
	partPrices      = "the rules of prices"
)

// nodeConfig returns what all subcommands set in the same way.
func (p *program) nodeConfig(policy commands.Policy) nodeConfig {
	return nodeConfig{Database: p.database(), KurrentDB: p.KurrentDB, Policy: policy, Views: p.views(), Now: p.now, PasswordCost: p.passwordCost, MasterKeyFile: p.MasterKeyFile, MasterKeyCommand: strings.Fields(p.MasterKeyCommand), Environ: p.withoutSecrets()}
}

// openNode opens the parts in the order of their list. Only the database and the log's own
// connections run then; the other parts do not work yet.
func openNode(ctx context.Context, cfg nodeConfig, log *slog.Logger) (*node, error) {
	n := &node{log: log, name: nodeName(), views: cfg.Views, web: cfg.Web, refusals: httpapi.NewRefusals(), callers: httpapi.NewRefusals(gatewayReasons...), allowances: httpapi.NewAllowances(cfg.Web.limits(), nil), telemetry: cfg.Telemetry, now: cfg.Now, sparse: cfg.KurrentDB != "", shared: cfg.Shared, parts: parts{failed: make(chan error, 1)}, awayMax: awayMax}
	if err := n.parts.openThrough(ctx, cfg.Start, n.list(cfg)); err != nil {
		return nil, errors.Join(err, n.closeInTime(ctx))
	}
	return n, nil
}

// list is the parts of a node. Each part needs the parts before it. So they are opened and begin to
// work in this order, and are closed in the reverse order.
func (n *node) list(cfg nodeConfig) []part {
	list := []part{{
		name: "the database", needs: "the database", once: cfg.Database.URL == "",
		open: func(ctx context.Context) (err error) {
			n.database, err = openDatabase(ctx, cfg.Database, n.log)
			return explain(err)
		},
		stop: func(ctx context.Context) error { return n.database.stop(ctx) },
	}}
	list = append(list, n.connections()...)
	list = append(list, n.logParts(cfg)...)
	return append(list, n.workers(cfg)...)
}

// connections are the parts for the pools. Each purpose has a pool, so that one cannot take all
// connections from another.
func (n *node) connections() (list []part) {
	for _, pool := range []struct {
		to      **pgxpool.Pool
		purpose string
		size    int32
	}{
		{&n.logPool, "log", logConns},
		{&n.commandPool, "commands", commandConns},
		{&n.viewPool, "projections", viewConns},
		{&n.readPool, "reads", readConns},
	} {
		list = append(list, part{
			name: "connections for " + pool.purpose, needs: "the database", once: true,
			open: func(ctx context.Context) (err error) {
				*pool.to, err = openPool(ctx, n.database.url, pool.purpose, pool.size, n.log)
				return err
			},
			stop: func(ctx context.Context) error { return closePool(ctx, *pool.to) },
		})
	}
	return list
}

// logParts are the parts for the tables and the log, and the parts that watch the log.
func (n *node) logParts(cfg nodeConfig) []part {
	return []part{{
		name: "the tables", needs: "the database to be brought to this program's version",
		open: func(ctx context.Context) error { return migrate(ctx, n.logPool) },
	}, {
		name: "the log", needs: "the log",
		open: func(ctx context.Context) (err error) {
			n.store, err = openLog(ctx, n.logPool, cfg, n.log)
			if err == nil {
				cfg.Start.setStore(n.store)
			}
			return err
		},
		stop: func(ctx context.Context) error { return n.store.Close(ctx) },
	}, {
		name: partGuard, needs: "the log to be compared with what is known of it",
		open: func(ctx context.Context) error { return n.follow(ctx, cfg.Serving) },
		run:  n.guardLog,
	}, {
		name: "the log's origin", onLog: true,
		run: n.runOrigin,
	}}
}

// workers are the parts that use the log: the command side, the read models, and the watch over
// both.
func (n *node) workers(cfg nodeConfig) []part {
	return []part{{
		name: "the keys of personal texts", needs: "the keys of personal texts",
		open: func(ctx context.Context) error { return n.openSealing(ctx, cfg) },
		run:  n.runSealing,
		stop: func(context.Context) error { return n.masters.close() },
	}, {
		name: "answers",
		open: func(context.Context) error {
			n.answers = commandspg.NewAnswers(n.commandPool, n.log)
			n.answers.Seen, n.answers.Kept = n.store.Latest, cfg.Retention.answers
			return nil
		},
		run:  func(ctx context.Context) error { return n.answers.Run(ctx) },
		stop: func(ctx context.Context) error { return n.answers.Flush(ctx) },
	}, {
		name: "commands",
		open: func(context.Context) error {
			n.service = commands.NewService(n.events, cfg.Policy, cfg.Now, aggregate.Options{
				Logger: n.log, Snapshots: commandspg.Snapshots{Pool: n.commandPool}, CacheStreams: cfg.CacheStreams,
				Observe: cfg.Telemetry.Commands(),
			})
			n.service.Payments = cfg.Payments
			return nil
		},
		stop: func(ctx context.Context) error { return n.service.Close(ctx) },
	}, {
		name: "news of other nodes", onLog: true,
		run: n.hearOthers,
	}, n.keysPart(cfg), n.bookPart(), {
		name: "uses of API keys",
		open: func(context.Context) error {
			n.keyUses = keyring.NewUses(commandspg.KeyUses{Pool: n.commandPool}, cfg.Now, n.log)
			return nil
		},
		run: func(ctx context.Context) error { return n.keyUses.Run(ctx) },
	}, n.peoplePart(cfg), {
		name: "the secret of guests", needs: "the database",
		open: n.openGuests,
	}, {
		name: "the secret of pseudonyms", needs: "the database",
		open: n.openWithhold,
	}, {
		name: "timers", onLog: true,
		open: func(context.Context) error {
			n.clockwork = reactor.NewClockwork(commandspg.Timers{Pool: n.commandPool}, n.service, n.log)
			return nil
		},
		run: func(ctx context.Context) error { return n.clockwork.Run(ctx) },
	}, {
		name: partReactor, onLog: true,
		open: func(context.Context) error {
			n.reactor = n.newReactor(cfg)
			return nil
		},
		run: func(ctx context.Context) error { return n.reactor.Run(ctx) },
	}, {
		name: partProjections, onLog: true, needs: "the read models",
		open: func(ctx context.Context) error { return n.openProjections(ctx, cfg) },
		run:  func(ctx context.Context) error { return n.projections.Run(ctx) },
	}, n.erasingPart(cfg), n.retentionPart(cfg.Retention), {
		name: "the watch over the node",
		open: func(context.Context) error {
			n.watch = readapi.NewWatch(live.Progress{Runner: n.projections}, live.Log{Store: n.store}, n.processes())
			n.watch.Keys = func() readapi.KeysHeard { return n.keysHeard(cfg.Web.Access) }
			return nil
		},
		run: func(ctx context.Context) error { return n.watch.Run(ctx) },
	}, n.backupPart(cfg.Backups)}
}

// keysHeard tells whether the node hears of changes of keys. who is the value of --access.
func (n *node) keysHeard(who string) readapi.KeysHeard {
	deaf := n.keys.Deaf()
	return readapi.KeysHeard{Deaf: deaf, Trouble: n.keys.Trouble(), Refuses: who == accessByKeys && deaf > keyring.MaxDeaf}
}

// backupPart makes the backups of a plan.
func (n *node) backupPart(plan backupPlan) part {
	if plan.every == 0 {
		return part{name: "backups"}
	}
	return part{
		name: "backups", onLog: true,
		open: func(context.Context) error {
			n.backups = &backups{plan: plan, node: n}
			return nil
		},
		run: func(ctx context.Context) error { return n.backups.Run(ctx) },
	}
}

// keysPart is the part that knows the API keys and roles.
func (n *node) keysPart(cfg nodeConfig) part {
	return part{
		name: "API keys", needs: "the API keys to be read",
		open: func(ctx context.Context) error {
			n.keys = keyring.New(n.events, cfg.Now, n.log)
			if n.diverged() {
				return nil
			}
			err := n.keys.Open(ctx)
			if err != nil && cfg.Web.Access != accessByKeys {
				n.log.WarnContext(ctx, "the API keys cannot be read; requests need none", "error", err)
				return nil
			}
			return err
		},
		run: n.followKeys,
	}
}

// peoplePart is the part where people sign in.
func (n *node) peoplePart(cfg nodeConfig) part {
	return part{
		name: "people who sign in", needs: "the database",
		open: func(ctx context.Context) error {
			secret, err := commandspg.Secret(ctx, n.commandPool, commandspg.SecretOfResets)
			if err != nil {
				return err
			}
			logins, err := commandspg.Secret(ctx, n.commandPool, commandspg.SecretOfLogins)
			if err != nil {
				return err
			}
			codes, err := commandspg.Secret(ctx, n.commandPool, commandspg.SecretOfCodes)
			if err != nil {
				return err
			}
			n.service.Secrets = commands.NewSecrets(codes)
			n.desk = signin.New(n.service, signin.Options{
				Store: commandspg.People{Pool: n.commandPool}, Grants: n.keys.Grants, FactorFor: cfg.Web.factorFor(), Logger: n.log, Cost: cfg.PasswordCost,
				Mailer: cfg.Mail.mailer, PublicURL: cfg.Mail.publicURL, ResetSecret: secret, LoginSecret: logins, ClaimOrders: n.service.ClaimGuestOrders,
			})
			n.tokens = cfg.Web.OIDC.verifier(n)
			return nil
		},
		run:  func(ctx context.Context) error { return n.desk.Run(ctx) },
		stop: func(ctx context.Context) error { return n.desk.Flush(ctx) },
	}
}

// openGuests reads the secret with which the tokens of guests are made, or makes it.
func (n *node) openGuests(ctx context.Context) error {
	secret, err := commandspg.Secret(ctx, n.commandPool, commandspg.SecretOfGuests)
	n.guests = keyring.NewGuests(secret)
	return err
}

// openWithhold reads the secret with which the pseudonyms of customers are made, or makes it.
func (n *node) openWithhold(ctx context.Context) error {
	secret, err := commandspg.Secret(ctx, n.commandPool, commandspg.SecretOfPseudonyms)
	n.withhold = personal.NewWithholder(secret)
	return err
}

// hearOthers lets the commands know what other nodes record. If the log is on another server, this
// would cost a second read of all events. Then the commands learn of other nodes only from
// conflicts. A node that is alone has nothing to hear.
func (n *node) hearOthers(ctx context.Context) error {
	if n.sparse || !n.mayShare() {
		<-ctx.Done()
		return ctx.Err()
	}
	return n.service.Follow(ctx)
}

// mayShare tells whether other nodes may use the database. A node that runs its own database server
// is alone, unless the configuration says otherwise.
func (n *node) mayShare() bool { return n.shared || n.database.server == nil }

func (n *node) newReactor(cfg nodeConfig) *reactor.Reactor {
	reactor := &reactor.Reactor{
		Store: n.events, Journal: commandspg.Journal{Pool: n.commandPool, Reader: commandspg.ReactorReader},
		Parking:  commandspg.Parking{Pool: n.commandPool},
		Finisher: n.service, Logger: n.log, Grace: graceShared, CartsExpireAfter: cfg.Policy.CartsExpireAfter, TimersSet: n.clockwork.AskAgain,
	}
	if !n.mayShare() {
		reactor.Grace = graceAlone
	}
	return reactor
}

// openProjections makes the read models' runner. Over a log that has diverged it changes
// nothing.
func (n *node) openProjections(ctx context.Context, cfg nodeConfig) (err error) {
	n.projections, err = projections.New(projections.Config{Store: n.events, Pool: n.viewPool, Views: cfg.Views, Guest: cfg.Guest, Gap: cfg.ViewGap, Observe: cfg.Telemetry.Posted(), Log: n.log})
	if err != nil || n.diverged() {
		return err
	}
	if n.database.server != nil {
		// The database was not running, so no other node does.
		if err := projections.ForgetNodes(ctx, n.viewPool); err != nil {
			return err
		}
	}
	return n.projections.Prepare(ctx)
}

// follow makes sure that the log is the one that the database follows. If the database follows no
// log yet, it follows this one from now on. If serves is set, a diverged log is no error, because
// the node must open to say so.
func (n *node) follow(ctx context.Context, serves bool) error {
	err := n.compared(ctx, func() error {
		if err := (commandspg.Origin{Pool: n.logPool}).Check(ctx, n.store); err != nil {
			return err
		}
		return n.store.noteUpgraded(ctx, n.logPool)
	})
	_, diverged := errors.AsType[*eventstore.DivergedError](err)
	switch {
	case diverged && !serves:
		return fmt.Errorf("%w. If you want to go on with this log, because it was restored, run daybook accept-log", err)
	case diverged:
		return nil
	default:
		return err
	}
}

// compared compares the log with what is known of it, and then calls do. If the comparison or do
// finds a difference, compared waits until the difference is gone or final. If it is gone, compared
// calls do again. If it is final, compared returns it.
func (n *node) compared(ctx context.Context, do func() error) error {
	for {
		err := n.store.Open(ctx)
		if err == nil {
			err = do()
		}
		if _, diverged := errors.AsType[*eventstore.DivergedError](err); !diverged {
			return err
		}
		if n.diverged() {
			// err may have been made before the difference was final, and then it says that the
			// difference may pass.
			return n.store.Diverged()
		}
	}
}

// diverged tells whether the log has diverged for good. A difference that is not final
// is left to the guard, which goes on comparing.
func (n *node) diverged() bool {
	select {
	case <-n.store.Final():
		return true
	default:
		return false
	}
}

// start lets all parts that work by themselves begin. They work until close.
func (n *node) start(ctx context.Context) {
	if !n.diverged() { // otherwise somebody must decide which log is right, and start the node again
		n.parts.begin(ctx)
	}
}

// guardLog goes on comparing the log. If the log has diverged, the parts that act on it end: no
// timer fires and nothing is projected.
func (n *node) guardLog(ctx context.Context) error {
	go func() {
		select {
		case <-ctx.Done():
		case <-n.store.Final():
			n.parts.endOnLog()
		}
	}()
	return n.store.Run(ctx)
}

// runOrigin ties the database to the log. It does not report a wrong log, because the guard does
// that.
func (n *node) runOrigin(ctx context.Context) error {
	for {
		err := commandspg.Origin{Pool: n.commandPool}.Run(ctx, n.store)
		_, another := errors.AsType[*commandspg.AnotherLogError](err)
		_, diverged := errors.AsType[*eventstore.DivergedError](err)
		if !another && !diverged {
			return err
		}
		// Check notes a difference itself.
		_ = n.store.Check(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// wait returns nil when ctx ends, or says which vital part ended by itself.
func (n *node) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.parts.failed:
		// Most likely the part ended because the database died. A moment later it is known whether
		// it did.
		select {
		case <-n.database.done():
			return n.database.server.Err()
		case <-time.After(time.Second):
			return err
		}
	case <-n.database.done():
		return n.database.server.Err()
	}
}

// guard returns a context that also ends when a vital part of the node dies, or when the log or the
// database has been away for long. The context's cause is the reason. It is for commands that come
// to an end. A server does not use it, because it goes on waiting.
func (n *node) guard(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	for _, ends := range []func(context.Context) error{n.wait, n.untilAway} {
		go func() {
			if err := ends(ctx); err != nil {
				end(err)
			}
		}()
	}
	return ctx, func() { end(nil) }
}

const (
	// awayMax is how long the log or the database may be away before a command that needs it ends.
	// It is longer than a cluster needs to elect a new leader, or a server to start again.
	awayMax = 30 * time.Second
	// awayAsk bounds one question to the database.
	awayAsk = 3 * time.Second
)

// untilAway returns an error when the log or the database has been away for awayMax,
// and nil when ctx ends.
func (n *node) untilAway(ctx context.Context) error {
	log, database := time.Now(), time.Now() // when each of them last answered
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		unheard := n.askDatabase(ctx)
		if unheard == nil {
			database = time.Now()
		}
		trouble := n.store.Pulse().Trouble
		if trouble == nil {
			log = time.Now()
		}
		switch limit := n.awayMax; {
		case ctx.Err() != nil:
			return nil
		case time.Since(log) > limit:
			return &eventstore.UnavailableError{Cause: fmt.Errorf("the log has been away for %.0f s: %w", time.Since(log).Seconds(), trouble)}
		case time.Since(database) > limit:
			return fmt.Errorf("the database has been away for %.0f s: %w", time.Since(database).Seconds(), unheard)
		}
	}
}

// askDatabase returns an error if the database does not answer.
func (n *node) askDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, awayAsk)
	defer cancel()
	err := n.readPool.Ping(ctx)
	if stat := n.readPool.Stat(); errors.Is(err, context.DeadlineExceeded) && stat.AcquiredConns() >= stat.MaxConns() {
		return nil // if no connection of the pool is free, nothing is known about the database
	}
	return err
}
