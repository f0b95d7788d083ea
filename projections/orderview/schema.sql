-- One row for each order. Most columns serve to find and sort orders. Two columns are documents:
-- "lines" is written once, and "state" is the folded state of the aggregate, which changes with
-- most events.
CREATE TABLE orders (
    order_id          text        PRIMARY KEY,
    reference         text        NOT NULL,
    customer_id       text        NOT NULL,
    cart_id           text        NOT NULL,
    currency          text        NOT NULL,
    country           text        NOT NULL,
    channel           text        NOT NULL,
    guest_email_key   text        NOT NULL, -- of an order without a customer: the address in lower case, for the search
    status            text        NOT NULL,
    payment_state     text        NOT NULL,
    fulfillment_state text        NOT NULL,
    on_hold           boolean     NOT NULL,
    archived          boolean     NOT NULL,
    needs_attention   boolean     NOT NULL,
    attention         text[]      NOT NULL, -- why
    placed_total      numeric     NOT NULL,
    total             numeric     NOT NULL, -- exact, without what was taken off
    owed              numeric     NOT NULL, -- total, rounded to an amount that can be paid, less credits
    to_return         numeric     NOT NULL, -- what is kept and not owed, less the refunds in flight
    to_collect        numeric     NOT NULL,
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
    value       numeric     NOT NULL, -- of all lines, as requested
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

-- The orders and returns of a customer who is erased are looked up while the view is built, too.
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at, order_id);
CREATE INDEX returns_by_customer ON returns (customer_id, created_at, return_id);

-- One row for each gift card and each credit account that was issued. It has no code and no reason.
CREATE TABLE gift_cards (
    gift_card_id text        PRIMARY KEY,
    kind         text        NOT NULL, -- gift_card or credit
    status       text        NOT NULL, -- as the events say: active, expired or disabled
    customer_id  text        NOT NULL, -- of a credit account
    order_id     text        NOT NULL, -- in which a gift card was sold; empty: a person issued it
    currency     text        NOT NULL,
    issued       numeric     NOT NULL, -- what came in, in all
    balance      numeric     NOT NULL, -- what the shop owes
    held         numeric     NOT NULL, -- the part of the balance that is set aside for orders
    expires_at   timestamptz,          -- NULL: never
    issued_at    timestamptz NOT NULL, -- effective time
    changed_at   timestamptz NOT NULL, -- recorded time
    revision     bigint      NOT NULL,
    state        json        NOT NULL  -- the folded state
) WITH (fillfactor = 85);
