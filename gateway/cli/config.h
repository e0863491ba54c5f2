/* One loaded configuration, all rooms checked: `check` and `run` see the same mistakes. */
#ifndef GATEWAY_CLI_CONFIG_H
#define GATEWAY_CLI_CONFIG_H

#include "gateway/collect/collect.h"
#include "gateway/connectivity/connectivity.h"
#include "gateway/indicator/indicator.h"
#include "gateway/seal/seal.h"
#include "gateway/store/store.h"
#include "gateway/uplink/uplink.h"
#include "gateway/web/web.h"

struct cli_gateway {
    char *id, *territory, *name;
    struct {
        double lat, lon;
    } location;
    int language; /* enum cli_language */
    char *user;   /* whom `run` becomes; NULL: it stays who started it */
};
enum cli_language { CLI_VI, CLI_EN };
extern const char *const cli_language_text[]; /* "vi", "en" */
extern const struct cfg_table cli_gateway_table;

struct cli_config {
    struct cli_gateway gateway;
    struct store_cfg store;
    struct seal_cfg seal;
    struct collect_cfg collect;
    struct connectivity_cfg connectivity;
    struct cfg_items uplinks_cfg, alarms_cfg;
    struct indicator_cfg indicator;
    struct web_cfg web;
    struct cfg *cfg;               /* owns the strings above */
    bool located;                  /* gateway.location was given */
    uint8_t hash[WIRE_HASH_BYTES]; /* SHA-256 of the file */
    char owner[65];                /* whose file it is */
    struct buf raw;                /* the file as it was read */
    char *nodes;                   /* the folder of what our nodes said of themselves */
    /* Opened by cli_config_open. */
    struct collect *collect_room;
    struct connectivity *connectivity_room;
    struct uplinks *uplinks_room;
    struct indicators *indicators_room;
    struct alarms *alarms_room;
};

/* Reads the file. Messages are in c->cfg (cfg_complaints); when there are none, in e. */
enum st cli_config_load(struct cli_config *c, const char *path, struct err *e) ST_MUST_CHECK;
/* Reads the file and opens the rooms that check the rest (profiles, buses, keys of the city), also
 * when the file itself has mistakes, so that all are told at once. */
enum st cli_config_open(struct cli_config *c, const char *path, struct err *e) ST_MUST_CHECK;
/* After cli_config_load: opens the room of buses and devices. */
enum st cli_collect_open(struct cli_config *c, struct err *e) ST_MUST_CHECK;
/* Reads the file and opens the uplinks, with what they trust by now. ST_BAD, ST_CORRUPT with an
 * uplinks_room: the notices that are kept are damaged, and what verified of them counts. */
enum st cli_config_uplinks(struct cli_config *c, const char *path, struct err *e) ST_MUST_CHECK;
/* After cli_config_load, once: all series that it configures, in a store without a file, which is
 * the caller's to close, also after a failure. */
enum st cli_config_declared(struct cli_config *c, struct store **out, struct err *e) ST_MUST_CHECK;
/* The same after cli_config_open that found no mistake, once. */
enum st cli_config_series(struct cli_config *c, struct store **out, struct err *e) ST_MUST_CHECK;
/* What the TLS identities stand beside: the key that seals, or the store when a token has that key.
 */
const char *cli_identity_beside(const struct cli_config *c);
void cli_config_done(struct cli_config *c); /* takes a zeroed one */
/* indicators.c: warns on standard error, behind `path`, of each device that feeds no indicator
 * though what it measures would. s: of cli_config_series or _declared. */
void cli_note_unfed(const struct cli_config *c, const struct store *s, const char *path);
/* deposit.c: the files of an opened configuration, for seal_deposit: as they were read, once. What
 * is installed is not among them. ST_FULL, ST_BAD: the city takes no such. */
enum st cli_deposit_files(struct cli_config *c, struct buf *out, struct err *e) ST_MUST_CHECK;
/* Folder of the installed profiles: ../share/fieldpost/profile beside the executable. */
const char *cli_profile_dir(char *buf, size_t n);

#endif
