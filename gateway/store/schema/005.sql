-- Schema 5: what control batches say about sealed readings, where it is found without decoding
-- every batch. `batch` is the one that says it, `n` the entry's place in it: later wins.

-- `time` entries: add_ms goes to every time of that boot in these batches of the chain.
CREATE TABLE moved (
  batch INTEGER NOT NULL, n INTEGER NOT NULL,
  boot BLOB NOT NULL, seq_from INTEGER NOT NULL, seq_to INTEGER NOT NULL,
  add_ms INTEGER NOT NULL, err_ms INTEGER NOT NULL,
  PRIMARY KEY (batch, n)
) WITHOUT ROWID;

-- `correct` entries.
CREATE TABLE corrected (
  batch INTEGER NOT NULL, n INTEGER NOT NULL,
  series TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, what TEXT NOT NULL,
  PRIMARY KEY (batch, n)
) WITHOUT ROWID;
