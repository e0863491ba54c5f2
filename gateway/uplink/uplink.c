#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/uplink/enrol_int.h"

enum uplink_type { TYPE_CITY };
static const struct cfg_word metered[] = {{"auto", UPLINK_METERED_AUTO},
                                          {"always", UPLINK_METERED_ALWAYS},
                                          {"never", UPLINK_METERED_NEVER},
                                          {NULL, 0}};
static const struct cfg_word types[] = {{"city", TYPE_CITY}, {NULL, 0}};
static const struct cfg_field fields[] = {
    {.key = "type",
     .kind = CFG_WORD,
     .offset = offsetof(struct uplink_cfg, type),
     .dflt = "city",
     .words = types,
     .help = "the protocol"},
    {.key = "url",
     .kind = CFG_STRING,
     .offset = offsetof(struct uplink_cfg, url),
     .required = true,
     .help = "the city's address, such as https://city.example:8443"},
    {.key = "ca",
     .kind = CFG_STRING,
     .offset = offsetof(struct uplink_cfg, ca),
     .required = true,
     .help = "PEM file with the certificate that signs the city's TLS certificate"},
    {.key = "receipt_keys",
     .kind = CFG_STRINGS,
     .offset = offsetof(struct uplink_cfg, receipt_keys),
     .required = true,
     .help = "PEM files with the public keys that sign the city's receipts"},
    {.key = "identity",
     .kind = CFG_STRING,
     .offset = offsetof(struct uplink_cfg, identity),
     .help =
         "PEM file with this gateway's TLS key and certificate; ID.pem beside seal.key if absent"},
    {.key = "required",
     .kind = CFG_BOOL,
     .offset = offsetof(struct uplink_cfg, required),
     .dflt = "true",
     .help = "whether batches stay in the store until this uplink acknowledged them"},
    {.key = "budget",
     .kind = CFG_DATA,
     .offset = offsetof(struct uplink_cfg, budget_bytes),
     .min = 1e6,
     .max = 1e12,
     .help = "what a calendar month may take on the wire over links that cost by the byte"},
    {.key = "metered",
     .kind = CFG_WORD,
     .offset = offsetof(struct uplink_cfg, metered),
     .dflt = "auto",
     .words = metered,
     .help = "whether the link costs by the byte; auto: modems do, cable and Wi-Fi do not"},
    {.key = NULL}};
const struct cfg_table uplink_table = {sizeof(struct uplink_cfg), fields};

/* ---- configuration ---- */

static bool check_entry(const struct uplink_cfg *u, struct cfg *c)
{
    struct err e = {.text = ""};
    bool good = uplink_url_check(u->url, &e) == ST_OK;
    if (!good) {
        cfg_complain(c, &u->url, "%s", e.text);
    }
    if (access(u->ca, R_OK) != 0) {
        cfg_complain(c, &u->ca,
                     "ca: %s cannot be read: copy the city's CA certificate there, or have "
                     "`fieldpost enroll` bring it",
                     u->ca);
        good = false;
    }
    if (u->receipt_keys.n == 0) {
        cfg_complain(c, &u->receipt_keys, "receipt_keys: name at least one public key of the city");
        good = false;
    }
    return good;
}

static enum st open_entry(struct uplink *u, const struct uplink_cfg *cfg, struct cfg *c,
                          struct err *e)
{
    bool good = check_entry(cfg, c);
    u->id = strdup(cfg->id);
    u->url = strdup(cfg->url);
    u->ca = strdup(cfg->ca);
    if (!u->id || !u->url || !u->ca) {
        return err_set(e, ST_MEMORY, "uplinks.%s: no memory", cfg->id);
    }
    struct uplink_trust *t = &u->t.trust;
    ERR_TRY(uplink_trust_init(t, cfg->receipt_keys.n, e));
    if (cfg->identity && uplink_identity_path(cfg->identity, "", cfg->id, u->identity.path,
                                              sizeof(u->identity.path), e) != ST_OK) {
        cfg_complain(c, &cfg->identity, "identity: the path is too long");
        good = false;
    }
    u->required = cfg->required;
    u->budget.limit = cfg->budget_bytes;
    u->metered = (enum uplink_metered)cfg->metered;
    for (size_t i = 0; i < cfg->receipt_keys.n; i++) {
        struct err why = {0};
        if (wire_pub_load(&t->keys[t->nkeys].pub, cfg->receipt_keys.v[i], &why) == ST_OK) {
            t->keys[t->nkeys++].until_ms = INT64_MAX;
            t->files++;
        } else {
            cfg_complain(c, &cfg->receipt_keys.v[i], "receipt_keys: %s", why.text);
            good = false;
        }
    }
    return good ? ST_OK : err_set(e, ST_BAD, "uplinks.%s: see the configuration", cfg->id);
}

enum st uplinks_open(struct uplinks **out, const struct cfg_items *cfg, const char *gateway,
                     struct cfg *c, struct err *e)
{
    *out = NULL;
    struct uplinks *us = calloc(1, sizeof(*us));
    if (!us) {
        return err_set(e, ST_MEMORY, "uplinks: no memory");
    }
    us->gw = strdup(gateway);
    us->v = calloc(cfg->n + 1, sizeof(*us->v));
    if (!us->gw || !us->v) {
        uplinks_close(us);
        return err_set(e, ST_MEMORY, "uplinks: no memory");
    }
    const struct uplink_cfg *entries = cfg->v;
    enum st worst = ST_OK;
    for (size_t i = 0; i < cfg->n; i++) {
        struct uplink *u = &us->v[us->n++];
        (void)pthread_mutex_init(&u->lock, NULL); /* default attributes: cannot fail on Linux */
        buf_init(&u->reply.body, UPLINK_ANSWER_MAX);
        buf_init(&u->run.bytes, (size_t)UPLINK_RUN_MAX * UPLINK_RECEIPT_MAX);
        enum st st = open_entry(u, &entries[i], c, e);
        worst = worst == ST_OK ? st : worst;
    }
    if (worst != ST_OK) {
        uplinks_close(us);
        return worst;
    }
    *out = us;
    return ST_OK;
}

enum st uplinks_beside(struct uplinks *us, const char *seal_key, struct err *e)
{
    for (size_t i = 0; i < us->n; i++) {
        struct uplink *u = &us->v[i];
        if (!u->identity.path[0]) {
            ERR_TRY(uplink_identity_path(NULL, seal_key, u->id, u->identity.path,
                                         sizeof(u->identity.path), e));
        }
    }
    return ST_OK;
}

enum st uplinks_declare(struct uplinks *us, struct store *s, struct err *e)
{
    enum st st = ST_OK;
    drop_clean_at(store_path(s), UPLINK_SPOOL);
    for (size_t i = 0; i < us->n && st == ST_OK; i++) {
        struct uplink *u = &us->v[i];
        st = store_add_uplink(s, u->id, u->required, &u->index, e);
    }
    return st;
}

void uplinks_close(struct uplinks *us)
{
    if (!us) {
        return;
    }
    for (size_t i = 0; i < us->n; i++) {
        struct uplink *u = &us->v[i];
        uplink_trust_done(&u->t.trust);
        buf_done(&u->reply.body);
        buf_done(&u->run.bytes);
        (void)pthread_mutex_destroy(&u->lock);
        free(u->id);
        free(u->url);
        free(u->ca);
    }
    free(us->v);
    free(us->gw);
    free(us);
}

size_t uplinks_count(const struct uplinks *us)
{
    return us->n;
}

const char *uplinks_id(const struct uplinks *us, size_t i)
{
    return us->v[i].id;
}

const char *uplinks_identity(const struct uplinks *us, size_t i)
{
    return us->v[i].identity.path;
}

bool uplinks_busy(const struct uplinks *us)
{
    bool busy = false;
    for (size_t i = 0; i < us->n; i++)
        busy |= atomic_load(&us->v[i].busy);
    return busy;
}

void uplinks_reach(const struct uplinks *us, size_t i, struct uplink_reach *out)
{
    struct uplink *u = &us->v[i];
    _Static_assert(sizeof(out->ca) >= sizeof(u->t.ca), "it fits");
    out->url = u->url;
    out->identity = u->identity.path;
    (void)pthread_mutex_lock(&u->lock);
    (void)snprintf(out->ca, sizeof(out->ca), "%s", u->t.ca[0] ? u->t.ca : u->ca);
    (void)pthread_mutex_unlock(&u->lock);
}

void uplinks_status(const struct uplinks *us, size_t i, struct uplink_status *out)
{
    struct uplink *u = &us->v[i];
    (void)pthread_mutex_lock(&u->lock);
    *out = u->status;
    out->required = u->required;
    (void)pthread_mutex_unlock(&u->lock);
}

/* ---- receipts in files ---- */

enum st uplinks_carried(const struct uplinks *us, size_t i, struct store_reader *r,
                        const char *path, struct uplink_carried *n, struct err *e)
{
    const struct uplink *u = &us->v[i];
    const struct uplink_taker t = {
        .id = u->id, .gw = us->gw, .keys = u->t.trust.keys, .nkeys = u->t.trust.nkeys, .reader = r};
    return uplink_carried_take(&t, path, n, e);
}
