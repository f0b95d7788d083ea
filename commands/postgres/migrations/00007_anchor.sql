-- +goose Up

-- The latest event that a reader has seen, in the text form of eventstore.Anchor. It is compared
-- with the log, and so shows whether the log was restored or exchanged. It may be after the
-- position, because the position stays before work that is under way. It is empty until the
-- position moves.
ALTER TABLE commands.checkpoints ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE commands.checkpoints DROP COLUMN anchor;
