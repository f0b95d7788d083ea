-- One row for each document of the merchant's: an order, what was canceled of an order, what its
-- price was reduced by, a return, a stock adjustment, a credit note. Amounts and units are positive
-- if they raise the merchant's sales, and negative if they lower them.
CREATE TABLE sales_documents (
    document    text        PRIMARY KEY,
    kind        text        NOT NULL,
    reference   text        NOT NULL,
    customer_id text        NOT NULL,
    country     text        NOT NULL,
    channel     text        NOT NULL,
    currency    text        NOT NULL,
    day         date        NOT NULL, -- of occurred_at, in the merchant's time zone
    occurred_at timestamptz NOT NULL, -- effective time of the first event
    lines       bigint      NOT NULL,
    units       bigint      NOT NULL,
    amount      numeric     NOT NULL  -- exact
) WITH (fillfactor = 90);

-- The sums of the documents by day.
CREATE TABLE sales_days (
    day       date    NOT NULL,
    kind      text    NOT NULL,
    country   text    NOT NULL,
    channel   text    NOT NULL,
    currency  text    NOT NULL,
    documents bigint  NOT NULL, -- how many documents have their first event on this day
    lines     bigint  NOT NULL,
    units     bigint  NOT NULL,
    amount    numeric NOT NULL,
    PRIMARY KEY (day, kind, country, channel, currency)
) WITH (fillfactor = 80);

-- The same sums by day and SKU.
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

-- What each customer has bought in all.
CREATE TABLE customers (
    customer_id    text        NOT NULL,
    currency       text        NOT NULL,
    orders         bigint      NOT NULL,
    returns        bigint      NOT NULL,
    units          bigint      NOT NULL, -- net of cancellations, returns and credit notes
    ordered        numeric     NOT NULL, -- as placed
    amount         numeric     NOT NULL, -- net of cancellations, returns and credit notes
    first_order_at timestamptz,
    last_order_at  timestamptz,
    last_order_id  text        NOT NULL,
    PRIMARY KEY (customer_id, currency)
) WITH (fillfactor = 80);

-- The lines of an order that can still be canceled, and the lines of a return that can still be
-- counted. They are kept here because the events that cancel or count them name lines without
-- prices. An order whose lines have accounts is here as long as something is left of them. A row is
-- deleted when nothing is left.
CREATE TABLE _open (
    stream text PRIMARY KEY,
    rest   json NOT NULL
) WITH (fillfactor = 70);
