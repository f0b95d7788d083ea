-- +goose Up

-- What readers query: one SQL view per published table of a read model, always
-- on the build in use. Nothing but the runner writes here.
CREATE SCHEMA IF NOT EXISTS read;

-- A build is one copy of a read model's tables, in a schema of its own, with
-- the place in the log it has been posted to. The position is the text form of
-- eventstore.Position; it moves only in the transaction that writes the rows.
CREATE TABLE projections.builds (
    view         text        NOT NULL,
    build        integer     NOT NULL CHECK (build > 0),
    version      integer     NOT NULL CHECK (version > 0),
    setting      text        NOT NULL DEFAULT '',
    schema_name  text        NOT NULL UNIQUE,
    state        text        NOT NULL CHECK (state IN ('building', 'active', 'old')),
    position     text        NOT NULL DEFAULT '0',
    -- The lease under which rows may be written; a writer of an earlier epoch is refused.
    epoch        bigint      NOT NULL DEFAULT 0,
    events       bigint      NOT NULL DEFAULT 0, -- applied since event 0
    indexed      boolean     NOT NULL DEFAULT false,
    error        text        NOT NULL DEFAULT '',
    failed_at    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    activated_at timestamptz,
    PRIMARY KEY (view, build)
) WITH (fillfactor = 50); -- the position changes with every batch: room for HOT updates

CREATE UNIQUE INDEX builds_one_active ON projections.builds (view) WHERE state = 'active';
CREATE UNIQUE INDEX builds_one_building ON projections.builds (view) WHERE state = 'building';

-- Who posts to which view. A lease saves double work; it is the epoch in builds
-- that keeps rows right. Kept apart from builds so that renewing never waits
-- for a batch.
CREATE TABLE projections.leases (
    view       text        NOT NULL,
    version    integer     NOT NULL,
    owner      text        NOT NULL,
    epoch      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (view, version)
) WITH (fillfactor = 50);

-- The nodes that run, so that each takes its share. Nodes with other views or
-- other versions do not count as peers.
CREATE TABLE projections.nodes (
    owner      text        PRIMARY KEY,
    views      text        NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE projections.nodes;
DROP TABLE projections.leases;
DROP TABLE projections.builds;
