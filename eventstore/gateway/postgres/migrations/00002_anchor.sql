-- +goose Up

-- The latest event that a group has read, in the text form of eventstore.Anchor: so
-- it shows when the log is not the same any more. It may be after the checkpoint.
-- Empty until the checkpoint moves.
ALTER TABLE gateway.groups ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway.groups DROP COLUMN anchor;
