-- +goose Up

-- Which master keys are in the files of the nodes that run, so that a new master key is used only
-- when all of them have it.
CREATE TABLE commands.master_key_nodes (
    node    text COLLATE "C" PRIMARY KEY,
    masters text[] COLLATE "C" NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Master keys that wrapped new keys once, and do so no longer.
CREATE TABLE commands.former_master_keys (
    id    text COLLATE "C" PRIMARY KEY,
    until timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- +goose Down
DROP TABLE commands.former_master_keys;
DROP TABLE commands.master_key_nodes;
