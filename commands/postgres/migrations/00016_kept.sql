-- +goose Up

-- What an invoice needs of orders whose subjects were erased. The law wants it for some time. It is
-- encrypted with a data key of its own, whose subject is 'kept:' and the order's id.
CREATE TABLE commands.kept (
    order_id   text COLLATE "C" PRIMARY KEY,
    country    text COLLATE "C" NOT NULL,     -- of the order
    kept_until timestamptz NOT NULL,          -- then the row and its key go
    reason     text COLLATE "C" NOT NULL,     -- a word, such as invoice
    key_id     text COLLATE "C" NOT NULL,     -- of data_keys
    box        bytea NOT NULL,
    kept_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX kept_by_end ON commands.kept (kept_until);

-- +goose Down
DROP TABLE commands.kept;
