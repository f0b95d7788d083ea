-- One row an order: columns to find and sort by, and two documents. "lines" is
-- written once; "state" is the aggregate's fold and changes with most events.
CREATE TABLE orders (
    order_id          text        PRIMARY KEY,
    reference         text        NOT NULL,
    customer_id       text        NOT NULL,
    cart_id           text        NOT NULL,
    currency          text        NOT NULL,
    country           text        NOT NULL,
    channel           text        NOT NULL,
    status            text        NOT NULL,
    payment_state     text        NOT NULL,
    fulfillment_state text        NOT NULL,
    on_hold           boolean     NOT NULL,
    archived          boolean     NOT NULL,
    needs_attention   boolean     NOT NULL, -- stock lost, or money to give back
    placed_total      numeric     NOT NULL,
    total             numeric     NOT NULL, -- exact, of what is not taken off
    owed              numeric     NOT NULL, -- total rounded to be charged
    captured          numeric     NOT NULL,
    refunded          numeric     NOT NULL,
    line_count        integer     NOT NULL,
    units             bigint      NOT NULL, -- as placed
    placed_at         timestamptz NOT NULL, -- effective time
    changed_at        timestamptz NOT NULL, -- recorded time
    revision          bigint      NOT NULL,
    skus              text[]      NOT NULL,
    lines             json        NOT NULL,
    state             json        NOT NULL
) WITH (fillfactor = 85);

-- Who did what when: one row an event, of orders and of returns.
CREATE TABLE order_timeline (
    order_id     text        NOT NULL,
    revision     bigint      NOT NULL,
    entry        text        NOT NULL,
    type         text        NOT NULL,
    actor        text        NOT NULL,
    channel      text        NOT NULL,
    effective_at timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    position     text        NOT NULL,
    facts        json        NOT NULL, -- what the entry says in words, as members
    PRIMARY KEY (order_id, revision)
);

CREATE TABLE returns (
    return_id   text        PRIMARY KEY,
    reference   text        NOT NULL,
    order_id    text        NOT NULL,
    customer_id text        NOT NULL,
    currency    text        NOT NULL,
    country     text        NOT NULL,
    channel     text        NOT NULL,
    status      text        NOT NULL,
    reason      text        NOT NULL,
    value       numeric     NOT NULL, -- of all lines, as asked for
    refunded    numeric     NOT NULL,
    units       bigint      NOT NULL,
    created_at  timestamptz NOT NULL, -- effective time
    changed_at  timestamptz NOT NULL, -- recorded time
    revision    bigint      NOT NULL,
    state       json        NOT NULL
) WITH (fillfactor = 85);

CREATE TABLE return_orders (
    order_id  text NOT NULL,
    return_id text NOT NULL,
    PRIMARY KEY (order_id, return_id)
);

CREATE TABLE return_timeline (
    return_id    text        NOT NULL,
    revision     bigint      NOT NULL,
    entry        text        NOT NULL,
    type         text        NOT NULL,
    actor        text        NOT NULL,
    channel      text        NOT NULL,
    effective_at timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    position     text        NOT NULL,
    facts        json        NOT NULL, -- what the entry says in words, as members
    PRIMARY KEY (return_id, revision)
);
