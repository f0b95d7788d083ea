
-- The tables of the reports about money. Each row is a sum over orders. Amounts are above zero if
-- they raise what orders owe or what was paid, and below zero if they lower it.

-- What was ordered and what was taken off, by day and SKU or charge. The sum of net and tax over
-- all rows is what all orders owe.
CREATE TABLE report_items (
    day             date    NOT NULL, -- of the event, in the merchant's time zone
    kind            text    NOT NULL, -- placed, canceled, returned, reduced; written_off, kept_as_gain, beyond_owed
    sku             text    NOT NULL, -- empty for a charge
    charge          text    NOT NULL, -- shipping, unassigned, difference; empty for a SKU
    entity          text    NOT NULL, -- the legal entity; empty: taxes are not known
    channel         text    NOT NULL,
    country         text    NOT NULL, -- where it goes
    customer_groups text    NOT NULL, -- all groups of the customer, with commas between them
    currency        text    NOT NULL,
    units           bigint  NOT NULL,
    list            numeric NOT NULL, -- list price times units, in the price mode of the order
    discount        numeric NOT NULL, -- what promotions and people took off the list amount
    net             numeric NOT NULL,
    tax             numeric NOT NULL,
    PRIMARY KEY (day, kind, sku, charge, entity, channel, country, customer_groups, currency)
) WITH (fillfactor = 80);

-- The same discounts by promotion.
CREATE TABLE report_promotions (
    day             date    NOT NULL,
    kind            text    NOT NULL,
    promotion       text    NOT NULL,
    code            text    NOT NULL,
    sku             text    NOT NULL,
    charge          text    NOT NULL,
    entity          text    NOT NULL,
    channel         text    NOT NULL,
    country         text    NOT NULL,
    customer_groups text    NOT NULL,
    currency        text    NOT NULL,
    discount        numeric NOT NULL,
    PRIMARY KEY (day, kind, promotion, code, sku, charge, entity, channel, country, customer_groups, currency)
) WITH (fillfactor = 80);

-- The same taxes by component and rate. A component of several on one amount has the same base as
-- the others.
CREATE TABLE report_taxes (
    day       date    NOT NULL,
    kind      text    NOT NULL,
    entity    text    NOT NULL,
    country   text    NOT NULL,
    component text    NOT NULL,
    place     text    NOT NULL, -- country or region of the rate
    rate      text    NOT NULL, -- percent
    treatment text    NOT NULL,
    currency  text    NOT NULL,
    base      numeric NOT NULL,
    tax       numeric NOT NULL,
    PRIMARY KEY (day, kind, entity, country, component, place, rate, treatment, currency)
) WITH (fillfactor = 80);

-- Transactions that moved money, and losses. All amounts are above zero, as a rule.
CREATE TABLE report_payments (
    day          date    NOT NULL, -- on which it is known to have succeeded
    entity       text    NOT NULL,
    channel      text    NOT NULL,
    provider     text    NOT NULL,
    tender       text    NOT NULL, -- gift_card, store_credit; empty for any other
    type         text    NOT NULL, -- capture, refund, chargeback, reversal; lost
    purpose      text    NOT NULL, -- of a refund: settlement or compensation
    currency     text    NOT NULL,
    transactions bigint  NOT NULL,
    amount       numeric NOT NULL,
    PRIMARY KEY (day, entity, channel, provider, tender, type, purpose, currency)
) WITH (fillfactor = 80);

-- Money on gift cards and credit accounts. The sum of the amounts is what the shop owes to those
-- who have them. What is only held for an order is still on its card.
CREATE TABLE report_stored_value (
    day      date    NOT NULL,
    kind     text    NOT NULL, -- issued, credited_back; redeemed, expired, disabled (below zero)
    currency text    NOT NULL,
    events   bigint  NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (day, kind, currency)
) WITH (fillfactor = 80);
