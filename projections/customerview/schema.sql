CREATE TABLE customer_accounts (
    customer_id   text        PRIMARY KEY,
    name          text        NOT NULL,
    name_key      text        NOT NULL, -- the name in lower case, for the search
    email         text        NOT NULL,
    email_key     text        NOT NULL, -- the address in lower case, for the search
    blocked       boolean     NOT NULL,
    registered_at timestamptz NOT NULL, -- effective time
    changed_at    timestamptz NOT NULL, -- effective time of the last event
    recorded_at   timestamptz NOT NULL, -- recorded time of the last event
    revision      bigint      NOT NULL,
    state         json        NOT NULL
) WITH (fillfactor = 80);
