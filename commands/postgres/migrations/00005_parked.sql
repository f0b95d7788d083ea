-- +goose Up

-- Work that spans aggregates and could not be finished. It is tried again now and then. No other
-- work waits for it. Its row is deleted when it is finished.
CREATE TABLE commands.parked (
    id          uuid PRIMARY KEY, -- derived from kind, subject and step
    kind        text NOT NULL,    -- what is parked, such as a checkout, or an event that cannot be read
    subject     text NOT NULL,    -- the cart of the checkout, the order, the return, or the event's stream
    step        text NOT NULL,
    stream      text NOT NULL,    -- in which the work began
    revision    bigint NOT NULL,  -- of the event in the stream with which the work began
    position    text NOT NULL,
    since       timestamptz NOT NULL, -- when that event was recorded
    meta        bytea NOT NULL,       -- of that event
    reason      text NOT NULL,    -- why the last try failed
    tries       bigint NOT NULL CHECK (tries > 0),
    first_tried timestamptz NOT NULL,
    last_tried  timestamptz NOT NULL
);

-- +goose Down
DROP TABLE commands.parked;
