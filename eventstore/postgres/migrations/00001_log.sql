-- +goose Up
-- There is no down migration, because no tool of this project may drop the log.

CREATE SCHEMA IF NOT EXISTS eventstore;

-- One row per stream. Writers of the same stream wait for each other at this row. It has the
-- stream's last revision, so nobody has to look for it among the events. A row with revision -1 is
-- a stream without events: an append inserted the row and was then refused.
CREATE TABLE eventstore.streams (
    stream    text COLLATE "C" PRIMARY KEY CHECK (octet_length(stream) BETWEEN 1 AND 256),
    -- The stream's number, by which the table of events names it. It is unique, because only the
    -- sequence gives numbers.
    stream_id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    revision  bigint NOT NULL CHECK (revision >= -1)
) WITH (fillfactor = 70); -- leaves space on each page, so that a new revision changes no index

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

-- The head: one row with the position of the last event. An append locks it last, and keeps the
-- lock until the commit. So positions have no gaps, and become visible in order. Every batch
-- updates the row, so its page is kept nearly empty and is vacuumed early.
CREATE TABLE eventstore.head (
    one_row     boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL -- of the last event; it never becomes earlier
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

INSERT INTO eventstore.head (position, recorded_at) VALUES (0, '-infinity');
