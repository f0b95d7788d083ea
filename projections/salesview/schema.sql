-- One row a document of the merchant's: an order, what was canceled of an
-- order, a return, a stock adjustment, a credit note. Amounts and units have the
-- sign in which the merchant's sales change.
CREATE TABLE sales_documents (
    document    text        PRIMARY KEY,
    kind        text        NOT NULL,
    reference   text        NOT NULL,
    customer_id text        NOT NULL,
    country     text        NOT NULL,
    channel     text        NOT NULL,
    currency    text        NOT NULL,
    day         date        NOT NULL, -- of occurred_at, where the merchant is
    occurred_at timestamptz NOT NULL, -- effective time of the first fact
    lines       bigint      NOT NULL,
    units       bigint      NOT NULL,
    amount      numeric     NOT NULL  -- exact
) WITH (fillfactor = 90);

-- The same sums by day, without the SKU.
CREATE TABLE sales_days (
    day       date    NOT NULL,
    kind      text    NOT NULL,
    country   text    NOT NULL,
    channel   text    NOT NULL,
    currency  text    NOT NULL,
    documents bigint  NOT NULL, -- whose first fact is of this day
    lines     bigint  NOT NULL,
    units     bigint  NOT NULL,
    amount    numeric NOT NULL,
    PRIMARY KEY (day, kind, country, channel, currency)
) WITH (fillfactor = 80);

-- And with it.
CREATE TABLE sales_skus (
    day      date    NOT NULL,
    sku      text    NOT NULL,
    kind     text    NOT NULL,
    country  text    NOT NULL,
    channel  text    NOT NULL,
    currency text    NOT NULL,
    lines    bigint  NOT NULL,
    units    bigint  NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (day, sku, kind, country, channel, currency)
) WITH (fillfactor = 90);

-- What each customer bought, all in all.
CREATE TABLE customers (
    customer_id    text        NOT NULL,
    currency       text        NOT NULL,
    orders         bigint      NOT NULL,
    returns        bigint      NOT NULL,
    units          bigint      NOT NULL, -- net
    ordered        numeric     NOT NULL, -- as placed
    amount         numeric     NOT NULL, -- net of cancellations, returns and credit notes
    first_order_at timestamptz,
    last_order_at  timestamptz,
    last_order_id  text        NOT NULL,
    PRIMARY KEY (customer_id, currency)
) WITH (fillfactor = 80);

-- What of an order can still be canceled, and of a return still be counted:
-- those events name lines, not prices. Gone when nothing is left.
CREATE TABLE _open (
    stream text PRIMARY KEY,
    rest   json NOT NULL
) WITH (fillfactor = 70);
