-- +goose Up

-- The latest event that is known at or before a build's position, in the text form of
-- eventstore.Anchor. It is compared with the log, and so shows whether the log was restored or
-- exchanged. It is empty for a build whose position has not moved since this column was added.
ALTER TABLE projections.builds ADD COLUMN anchor text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE projections.builds DROP COLUMN anchor;
