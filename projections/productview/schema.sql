CREATE TABLE products (
    sku        text        PRIMARY KEY,
    title      text        NOT NULL,
    kind       text        NOT NULL, -- stocked or service
    retired    boolean     NOT NULL,
    listed_at  timestamptz NOT NULL, -- effective time of the last listing
    changed_at timestamptz NOT NULL, -- recorded time of the last event
    revision   bigint      NOT NULL,
    -- What prices, taxes and shipping need to know. NULL: the product was never described.
    tax_class    text,
    categories   text[],
    weight_grams bigint,
    gift_card    boolean
) WITH (fillfactor = 80);

CREATE TABLE product_prices (
    sku      text    NOT NULL,
    currency text    NOT NULL,
    price    numeric NOT NULL, -- of one unit
    PRIMARY KEY (sku, currency)
) WITH (fillfactor = 80);
