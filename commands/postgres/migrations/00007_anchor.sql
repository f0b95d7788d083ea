-- +goose Up

-- The latest event that a reader has seen, in the text form of eventstore.Anchor:
-- so it shows when the log is not the same any more. It may be after the position,
-- which waits for work that is under way. Empty until the position moves.
ALTER TABLE commands.checkpoints ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE commands.checkpoints DROP COLUMN anchor;
