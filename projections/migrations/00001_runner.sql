-- +goose Up

-- What readers query: one SQL view for each published table of a read model. It always shows the
-- build in use. Only the runner changes this schema.
CREATE SCHEMA IF NOT EXISTS read;

-- A build is one copy of a read model's tables, in a schema of its own. position says how far the
-- build has read the log, in the text form of eventstore.Position. It moves only in the transaction
-- that writes the rows.
CREATE TABLE projections.builds (
    view         text        NOT NULL,
    build        integer     NOT NULL CHECK (build > 0),
    version      integer     NOT NULL CHECK (version > 0),
    setting      text        NOT NULL DEFAULT '',
    schema_name  text        NOT NULL UNIQUE,
    state        text        NOT NULL CHECK (state IN ('building', 'active', 'old')),
    position     text        NOT NULL DEFAULT '0',
    -- The epoch of the latest lease. A writer with an earlier lease is refused.
    epoch        bigint      NOT NULL DEFAULT 0,
    events       bigint      NOT NULL DEFAULT 0, -- how many events were applied since the beginning of the log
    indexed      boolean     NOT NULL DEFAULT false,
    error        text        NOT NULL DEFAULT '',
    failed_at    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    activated_at timestamptz,
    PRIMARY KEY (view, build)
) WITH (fillfactor = 50); -- leaves room for HOT updates, because the position changes with every batch

CREATE UNIQUE INDEX builds_one_active ON projections.builds (view) WHERE state = 'active';
CREATE UNIQUE INDEX builds_one_building ON projections.builds (view) WHERE state = 'building';

-- Which node writes the rows of which view. A lease only saves double work: rows stay right because
-- each batch compares the epoch in builds. Leases have a table of their own, so that a node that
-- renews its lease never waits for a batch.
CREATE TABLE projections.leases (
    view       text        NOT NULL,
    version    integer     NOT NULL,
    owner      text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (view, version)
) WITH (fillfactor = 50);

-- The nodes that run, so that each takes its share of the views. Nodes share only with nodes that
-- have the same views in the same versions.
CREATE TABLE projections.nodes (
    owner      text        PRIMARY KEY,
    views      text        NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE projections.nodes;
DROP TABLE projections.leases;
DROP TABLE projections.builds;
