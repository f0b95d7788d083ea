-- +goose Up

-- What the log must not have of people who sign in. The log says which of it counts, so rows that
-- no event names do no harm. Texts that people send are stored as their SHA-256 only.

CREATE TABLE commands.people (
    person text PRIMARY KEY,
    email  text NOT NULL UNIQUE, -- in lower case
    name   text NOT NULL,
    since  timestamptz NOT NULL
);

-- Hashes of passwords (argon2id), and the secrets that apps for codes share.
CREATE TABLE commands.people_secrets (
    id      text PRIMARY KEY,
    person  text NOT NULL,
    value   text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON commands.people_secrets (person);

CREATE TABLE commands.people_sessions (
    hash       text PRIMARY KEY,
    id         text NOT NULL,
    person     text NOT NULL,
    stage      text NOT NULL,
    generation bigint NOT NULL,
    credential text NOT NULL,
    pending    text NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    began_at   timestamptz NOT NULL,
    used_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ON commands.people_sessions (person);
CREATE INDEX ON commands.people_sessions (expires_at);

-- +goose Down
DROP TABLE commands.people, commands.people_secrets, commands.people_sessions;
