-- +goose Up

-- When each API key was last used. It is not in the log, because reads are not recorded. A node
-- notes a key about once a minute, so the time can be a minute too early.
CREATE TABLE commands.key_uses (
    key_id  text COLLATE "C" PRIMARY KEY,
    used_at timestamptz NOT NULL
);

-- +goose Down
DROP TABLE commands.key_uses;
