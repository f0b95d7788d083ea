CREATE TABLE carts (
    cart_id     text        PRIMARY KEY,
    phase       text        NOT NULL,
    customer_id text        NOT NULL,
    currency    text        NOT NULL,
    country     text        NOT NULL,
    channel     text        NOT NULL,
    order_id    text        NOT NULL, -- of the checkout under way, or of the order it became
    merged_into text        NOT NULL, -- the cart that has, or soon will have, its lines
    line_count  integer     NOT NULL,
    units       bigint      NOT NULL,
    total       numeric     NOT NULL, -- exact
    short       boolean     NOT NULL, -- the last checkout was refused, or took less than all
    opened_at   timestamptz NOT NULL, -- effective time
    changed_at  timestamptz NOT NULL, -- effective time of the last event
    recorded_at timestamptz NOT NULL, -- and its recorded time
    revision    bigint      NOT NULL,
    state       json        NOT NULL
) WITH (fillfactor = 80);
