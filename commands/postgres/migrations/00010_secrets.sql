-- +goose Up

-- Random values that all nodes share and nobody else may read. They are not in the log, because an
-- auditor reads the log.
CREATE TABLE commands.secrets (
    name    text PRIMARY KEY,
    value   bytea NOT NULL CHECK (octet_length(value) = 32),
    made_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE commands.secrets;
