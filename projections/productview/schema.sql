CREATE TABLE products (
    sku        text        PRIMARY KEY,
    title      text        NOT NULL,
    kind       text        NOT NULL, -- stocked or service
    retired    boolean     NOT NULL,
    listed_at  timestamptz NOT NULL, -- effective time of the last listing
    changed_at timestamptz NOT NULL, -- recorded time of the last event
    revision   bigint      NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE product_prices (
    sku      text    NOT NULL,
    currency text    NOT NULL,
    price    numeric NOT NULL, -- of one unit
    PRIMARY KEY (sku, currency)
) WITH (fillfactor = 80);
