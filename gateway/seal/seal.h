/* Seal: decides what a batch says. Windows, chain, gaps and control entries over the store's
 * frames; runs on the writer thread. */
#ifndef GATEWAY_SEAL_SEAL_H
#define GATEWAY_SEAL_SEAL_H

#include "gateway/base/cfg.h"
#include "gateway/base/clk.h"
#include "gateway/signer/signer.h"
#include "gateway/store/store.h"

struct seal_cfg {
    char *key, *next_key; /* next_key: NULL, or the URI of a key in a token */
    int64_t every_ms, max_readings;
    /* Who signs, borrowed. NULL (tests and tools): the key is loaded into this process. */
    struct signer *signer;
};
extern const struct cfg_table seal_cfg_table;

struct seal;
/* After store_start. Begins a chain when the store is new or machine or key
 * changed, and accounts for the time since the last run as gaps `off`. machine_id: text of
 * /etc/machine-id (or any stable identity). */
enum st seal_open(struct seal **out, const struct seal_cfg *cfg, const char *gateway,
                  const char *machine_id, struct store *s, const struct clk *clk,
                  struct err *e) ST_MUST_CHECK;
void seal_close(struct seal *l);
/* Asks the gateway on this store to look for the next key (signer.h), and to let it take over: a
 * file beside the store, which it removes. A gateway that starts looks in any case. ST_NOT_FOUND:
 * there is no store yet. */
enum st seal_rotation_ask(const char *store, struct err *e) ST_MUST_CHECK;
/* Before the first step: the configuration that is in force, by the hash of its file, and who
 * answers for it. Sealed as a `config` entry when it is another than the last that was. */
void seal_config(struct seal *l, const uint8_t hash[WIRE_HASH_BYTES], const char *who);
/* Before the first step: the files of this configuration (wire_deposit_files), to be signed and
 * kept in the store for the uplinks. Takes files over, and gives them back once that is done. None:
 * the city keeps what it has. */
void seal_deposit(struct seal *l, struct buf *files);
/* Writer: looks at new frames and seals what is due. A failure leaves everything unsealed, to be
 * tried again at the next step. */
enum st seal_step(struct seal *l, struct err *e) ST_MUST_CHECK;
/* When seal_step wants to run next. */
struct mono seal_due(const struct seal *l);

#endif
