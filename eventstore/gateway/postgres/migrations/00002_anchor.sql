-- +goose Up

-- The latest event that a group has read, in the text form of eventstore.Anchor. By this event a
-- node notices that the log is not the same any more. The event may be after the checkpoint. The
-- column is empty until the checkpoint moves.
ALTER TABLE gateway.groups ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway.groups DROP COLUMN anchor;
