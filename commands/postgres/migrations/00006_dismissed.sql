-- +goose Up

-- Parked work that an operator has decided to leave as it is. It is tried again only when its
-- stream gets an event, or when an operator asks for it.
ALTER TABLE commands.parked
    ADD dismissed_at     timestamptz,
    ADD dismissed_by     text NOT NULL DEFAULT '',
    ADD dismissed_reason text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE commands.parked DROP dismissed_at, DROP dismissed_by, DROP dismissed_reason;
