-- +goose Up
-- What the command side keeps beside the log. None of it is truth: snapshots can
-- be folded again, timers and the checkpoint follow from the log, and answers
-- only spare a repeated request its second look.
CREATE SCHEMA IF NOT EXISTS commands;

-- One newest snapshot a stream. A snapshot of another fold version is ignored,
-- so a new version of the program needs no migration here.
CREATE TABLE commands.snapshots (
    stream       text COLLATE "C" PRIMARY KEY,
    fold_version int    NOT NULL,
    revision     bigint NOT NULL CHECK (revision >= 0),
    data         bytea  NOT NULL,
    saved_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Deadlines. They are set and cleared in the transaction that moves the
-- reactor's checkpoint, and due by this database's clock.
CREATE TABLE commands.timers (
    key      text COLLATE "C" PRIMARY KEY,
    kind     text NOT NULL,
    target   text NOT NULL,
    due_at   timestamptz NOT NULL,
    -- How often firing failed; the next try waits longer.
    failures int NOT NULL DEFAULT 0
);
CREATE INDEX timers_due ON commands.timers (due_at);

-- How far a reader of the log that acts on it has come.
CREATE TABLE commands.checkpoints (
    reader   text COLLATE "C" PRIMARY KEY,
    position text NOT NULL
);

-- Answers to requests with an idempotency key, scoped to who asked.
CREATE TABLE commands.answers (
    scope        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL,
    status       int   NOT NULL,
    headers      json  NOT NULL,
    body         bytea NOT NULL,
    answered_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX answers_age ON commands.answers (answered_at);

-- Where an import of a file stands: the invoices before done_invoices are in or
-- refused, and counts are their totals.
CREATE TABLE commands.imports (
    import        text COLLATE "C" PRIMARY KEY,
    done_invoices bigint NOT NULL,
    counts        json   NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP SCHEMA commands CASCADE;
