-- +goose Up

-- The log that everything else in this database follows, known by one of its
-- events; at most one row.
CREATE TABLE commands.origin (
    one_row     boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    stream      text COLLATE "C" NOT NULL,
    revision    bigint NOT NULL,
    event_id    uuid   NOT NULL,
    recorded_at timestamptz NOT NULL, -- of the event
    noted_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE commands.origin;
