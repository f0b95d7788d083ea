-- +goose Up
-- There is no way down: no tool of ours drops the log.

CREATE SCHEMA IF NOT EXISTS eventstore;

-- One row per stream. It is what writers of a stream queue up at, and it tells
-- the last revision without a look at the events. A row with revision -1 is a
-- stream that holds no event: an append made it and was then refused.
CREATE TABLE eventstore.streams (
    stream    text COLLATE "C" PRIMARY KEY CHECK (octet_length(stream) BETWEEN 1 AND 256),
    -- Short name of the stream in events; unique because only the sequence gives it.
    stream_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    revision  bigint NOT NULL CHECK (revision >= -1)
) WITH (fillfactor = 70); -- room on the page: a new revision touches no index

-- The log. Rows are added and never changed. data and meta are json, not jsonb,
-- because the bytes must come back as they were given. The name of the stream
-- is here too, so that reading the log needs no join.
CREATE TABLE eventstore.events (
    position    bigint NOT NULL CHECK (position > 0),
    stream_id   bigint NOT NULL,
    revision    bigint NOT NULL CHECK (revision >= 0),
    recorded_at timestamptz NOT NULL,
    event_id    uuid NOT NULL,
    stream      text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL CHECK (octet_length(type) BETWEEN 1 AND 128),
    data        json NOT NULL,
    meta        json,
    CONSTRAINT events_position_key PRIMARY KEY (position),
    CONSTRAINT events_revision_key UNIQUE (stream_id, revision),
    CONSTRAINT events_id_key UNIQUE (event_id)
);

-- The head: one row, the position of the last event. An append takes it last
-- and keeps it until commit, which is what makes positions follow each other
-- without gaps and become visible in order. It is updated by every batch, so
-- its page is kept nearly empty and vacuumed early.
CREATE TABLE eventstore.head (
    one_row     boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL -- of the last event; recorded times never fall
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

INSERT INTO eventstore.head (position, recorded_at) VALUES (0, '-infinity');
