-- Schema 1. Migrations only add; PRAGMA user_version says which ran.

-- Small values that outlive a restart.
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- Chains in order of birth, each with where it stands: batches leave the store, this stays.
CREATE TABLE chain (
  id INTEGER PRIMARY KEY,
  chain BLOB NOT NULL UNIQUE,
  kid BLOB NOT NULL,
  after_chain BLOB, after_seq INTEGER, after_hash BLOB,
  last_seq INTEGER NOT NULL DEFAULT 0,
  last_hash BLOB,
  last_to_ms INTEGER NOT NULL,
  last_clk INTEGER NOT NULL DEFAULT 0,
  last_boot BLOB,
  ended INTEGER NOT NULL DEFAULT 0
);

-- Polls that no batch holds yet: what a power cut must not lose. One blob a commit.
CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);

-- Sealed batches: id = chain.id * 2^40 + seq. The bytes stand apart, so that counting what waits
-- does not read them.
CREATE TABLE batch (
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
  n INTEGER NOT NULL,
  hash BLOB NOT NULL
);
CREATE INDEX batch_control ON batch (id) WHERE kind = 1;
CREATE TABLE batch_bytes (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

-- Acknowledged ranges a..z (inclusive) per uplink and chain, merged.
CREATE TABLE ack (
  uplink TEXT NOT NULL, chain INTEGER NOT NULL, a INTEGER NOT NULL, z INTEGER NOT NULL,
  PRIMARY KEY (uplink, chain, a)
) WITHOUT ROWID;

-- The last receipt of each batch, as the uplink's city signed it.
CREATE TABLE receipt (
  uplink TEXT NOT NULL, id INTEGER NOT NULL, at_ms INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (id, uplink)
) WITHOUT ROWID;

-- Refused for ever by an uplink; voided once a control batch has said so.
CREATE TABLE refused (
  uplink TEXT NOT NULL, id INTEGER NOT NULL, code TEXT NOT NULL, at_ms INTEGER NOT NULL,
  voided INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (id, uplink)
) WITHOUT ROWID;

-- The inventory as last signed into the newest chain.
CREATE TABLE plan (
  series TEXT PRIMARY KEY, quantity TEXT NOT NULL, unit TEXT,
  period_ms INTEGER NOT NULL, from_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  t_ms INTEGER NOT NULL, grade INTEGER NOT NULL, severity INTEGER NOT NULL,
  code TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL
);
