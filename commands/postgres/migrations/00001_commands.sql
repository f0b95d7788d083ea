-- +goose Up
-- What the command side keeps beside the log. If it is lost, no fact is lost: snapshots, timers and
-- the checkpoint can be made again from the log, and a repeated request without a kept answer is
-- answered from the log.
CREATE SCHEMA IF NOT EXISTS commands;

-- The newest snapshot of each stream. A snapshot with another fold version is ignored, so a new
-- version of the program needs no migration here.
CREATE TABLE commands.snapshots (
    stream       text COLLATE "C" PRIMARY KEY,
    fold_version int    NOT NULL,
    revision     bigint NOT NULL CHECK (revision >= 0),
    data         bytea  NOT NULL,
    saved_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Deadlines. They are set and cleared in the transaction that moves the reactor's checkpoint. The
-- clock of this database decides when one is due.
CREATE TABLE commands.timers (
    key      text COLLATE "C" PRIMARY KEY,
    kind     text NOT NULL,
    target   text NOT NULL,
    due_at   timestamptz NOT NULL,
    -- How often the attempt to act on the deadline has failed. After each failure the next try
    -- waits longer.
    failures int NOT NULL DEFAULT 0
);
CREATE INDEX timers_due ON commands.timers (due_at);

-- Places in the log. reader says who keeps the place: for example, how far the reactor has read.
CREATE TABLE commands.checkpoints (
    reader   text COLLATE "C" PRIMARY KEY,
    position text NOT NULL
);

-- The answers that are kept under idempotency keys. scope says who asked: the same key of another
-- caller is another key.
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

-- How far the import of a file has come. The first done_invoices invoices of the file are imported
-- or refused, and counts has their totals.
CREATE TABLE commands.imports (
    import        text COLLATE "C" PRIMARY KEY,
    done_invoices bigint NOT NULL,
    counts        json   NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP SCHEMA commands CASCADE;
