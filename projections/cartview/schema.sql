CREATE TABLE carts (
    cart_id     text        PRIMARY KEY,
    phase       text        NOT NULL,
    customer_id text        NOT NULL,
    currency    text        NOT NULL,
    country     text        NOT NULL,
    channel     text        NOT NULL,
    order_id    text        NOT NULL, -- of the checkout under way, or of the order that the cart became
    merged_into text        NOT NULL, -- the cart that has its lines, or soon will have them
    past_customers text[]   NOT NULL, -- that it had before, and does not have now
    line_count  integer     NOT NULL,
    units       bigint      NOT NULL,
    total       numeric     NOT NULL, -- exact
    short       boolean     NOT NULL, -- the last checkout was refused, or took less than all
    opened_at   timestamptz NOT NULL, -- effective time
    changed_at  timestamptz NOT NULL, -- effective time of the last event
    recorded_at timestamptz NOT NULL, -- recorded time of the last event
    revision    bigint      NOT NULL,
    state       json        NOT NULL
) WITH (fillfactor = 80);

-- The carts of a customer who is erased are looked up while the view is built, too.
CREATE INDEX carts_by_customer ON carts (customer_id, changed_at, cart_id) WHERE customer_id <> '';
CREATE INDEX carts_by_past_customer ON carts USING gin (past_customers) WHERE past_customers <> '{}';
