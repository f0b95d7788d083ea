-- +goose Up

-- A login is how a customer signs in. Its row has no name, and its email is a keyed hash that
-- begins with "hmac-", so nobody can read from the table who buys in the shop. An address in clear
-- text never begins so.
ALTER TABLE commands.people ADD COLUMN customer_id text NOT NULL DEFAULT '';

-- A customer has one login.
CREATE UNIQUE INDEX ON commands.people (customer_id) WHERE customer_id <> '';

-- +goose Down
DELETE FROM commands.people WHERE customer_id <> '';
ALTER TABLE commands.people DROP COLUMN customer_id;
