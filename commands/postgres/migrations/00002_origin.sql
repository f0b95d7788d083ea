-- +goose Up

-- One event of the log from which everything else in this database was made. A log that does not
-- have this event is another log. There is at most one row.
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
