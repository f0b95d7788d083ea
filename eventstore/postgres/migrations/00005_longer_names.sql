-- +goose Up

-- Names of streams and types may have up to 512 bytes. The name of a stream of metadata may have
-- two more, because of its prefix. The rows that are there obey the old limits, which are shorter.
-- So they need not be checked, and NOT VALID avoids reading the whole log.
ALTER TABLE eventstore.streams DROP CONSTRAINT streams_stream_check;
ALTER TABLE eventstore.streams ADD CONSTRAINT streams_stream_check CHECK (octet_length(stream) BETWEEN 1 AND 514) NOT VALID;
ALTER TABLE eventstore.events DROP CONSTRAINT events_type_check;
ALTER TABLE eventstore.events ADD CONSTRAINT events_type_check CHECK (octet_length(type) BETWEEN 1 AND 512) NOT VALID;
