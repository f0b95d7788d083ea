-- +goose Up

CREATE SCHEMA IF NOT EXISTS gateway;

-- The nodes that Gossip names to clients. A node counts as alive while its seen_at is recent.
CREATE TABLE gateway.nodes (
    node_id uuid PRIMARY KEY,
    host    text NOT NULL,
    port    integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    seen_at timestamptz NOT NULL
);

-- One row: which node leads, and until when. The epoch grows with each change of the leader. A
-- leader writes to the tables below only while this row has the leader's own epoch. Each statement
-- that writes checks this under a share lock, and a new leader has to wait for that lock.
CREATE TABLE gateway.lease (
    one_row    boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    epoch      bigint NOT NULL,
    node_id    uuid,
    expires_at timestamptz NOT NULL
);

INSERT INTO gateway.lease (epoch, expires_at) VALUES (0, '-infinity');

-- A place is where an event is in the source of its group. It has two numbers. For $all they are
-- the commit and the prepare of the event's position. For a stream both are the event's revision +
-- 1.
CREATE TABLE gateway.groups (
    group_id    bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    source      text COLLATE "C" NOT NULL, -- a stream or $all
    name        text COLLATE "C" NOT NULL,
    filter      json NOT NULL,
    settings    json NOT NULL,
    -- The place up to which everything is handled; null before the first one.
    checkpoint_commit  bigint,
    checkpoint_prepare bigint,
    next_number bigint NOT NULL DEFAULT 0, -- the number of the next event that is parked
    CONSTRAINT groups_name_key UNIQUE (source, name),
    CHECK ((checkpoint_commit IS NULL) = (checkpoint_prepare IS NULL))
);

-- Events that could not be handled, one row for each event. If an event is parked again, its row
-- gets a new number. While replaying is true, the event is being handed out again. The row stays
-- until the event is handled.
CREATE TABLE gateway.parked (
    group_id      bigint NOT NULL REFERENCES gateway.groups ON DELETE CASCADE,
    number        bigint NOT NULL,
    place_commit  bigint NOT NULL,
    place_prepare bigint NOT NULL,
    event_id      uuid NOT NULL,
    reason        text NOT NULL,
    parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    replaying     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (group_id, number),
    CONSTRAINT parked_place_key UNIQUE (group_id, place_commit, place_prepare)
);
