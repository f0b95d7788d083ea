-- +goose Up

-- The keys of the personal fields in the log: one for each customer, and one for each cart of a
-- guest. They are not in the log, because a key that is destroyed must be nowhere. Each is wrapped:
-- encrypted with a master key that this database does not have.
CREATE TABLE commands.data_keys (
    id           text COLLATE "C" PRIMARY KEY,
    subject      text COLLATE "C" NOT NULL,
    master       text COLLATE "C" NOT NULL,
    wrapped      bytea,
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    CONSTRAINT destroyed_keys_are_gone CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);

CREATE UNIQUE INDEX data_keys_of_subject ON commands.data_keys (subject) WHERE destroyed_at IS NULL;
CREATE INDEX data_keys_destroyed ON commands.data_keys (destroyed_at) WHERE destroyed_at IS NOT NULL;
CREATE INDEX data_keys_of_master ON commands.data_keys (master) WHERE destroyed_at IS NULL;

-- The id of the master key that wraps new keys. It has one row at most.
CREATE TABLE commands.master_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       text COLLATE "C" NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE commands.master_key;
DROP TABLE commands.data_keys;
