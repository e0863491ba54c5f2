#include "gateway/cli/config.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/share.h"

const char *const cli_language_text[] = {[CLI_VI] = "vi", [CLI_EN] = "en"};

static const struct cfg_word languages[] = {{"vi", CLI_VI}, {"en", CLI_EN}, {NULL, 0}};

#define LOCATION(member)                                                                           \
    offsetof(struct cli_gateway, location.member) - offsetof(struct cli_gateway, location)
static const struct cfg_field location_fields[] = {{.key = "lat",
                                                    .kind = CFG_REAL,
                                                    .offset = LOCATION(lat),
                                                    .required = true,
                                                    .min = -90,
                                                    .max = 90,
                                                    .help = "latitude in degrees north, WGS 84"},
                                                   {.key = "lon",
                                                    .kind = CFG_REAL,
                                                    .offset = LOCATION(lon),
                                                    .required = true,
                                                    .min = -180,
                                                    .max = 180,
                                                    .help = "longitude in degrees east, WGS 84"},
                                                   {.key = NULL}};
static const struct cfg_table location_table = {sizeof(((struct cli_gateway *)0)->location),
                                                location_fields};

static const struct cfg_field gateway_fields[] = {
    {.key = "id",
     .kind = CFG_ID,
     .offset = offsetof(struct cli_gateway, id),
     .required = true,
     .help = "the gateway's id, as the city enrolled it"},
    {.key = "territory",
     .kind = CFG_STRING,
     .offset = offsetof(struct cli_gateway, territory),
     .help = "territory code of the ward or commune"},
    {.key = "name",
     .kind = CFG_STRING,
     .offset = offsetof(struct cli_gateway, name),
     .help = "name for people"},
    {.key = "location",
     .kind = CFG_STRUCT,
     .offset = offsetof(struct cli_gateway, location),
     .sub = &location_table,
     .help = "where it stands: {lat, lon}"},
    {.key = "language",
     .kind = CFG_WORD,
     .offset = offsetof(struct cli_gateway, language),
     .dflt = "vi",
     .words = languages,
     .help = "language of the page"},
    {.key = "user",
     .kind = CFG_STRING,
     .offset = offsetof(struct cli_gateway, user),
     .help = "whom `fieldpost run`, started as root, becomes once the signing process has the key"},
    {.key = NULL}};
const struct cfg_table cli_gateway_table = {sizeof(struct cli_gateway), gateway_fields};

/* What tells this file from another, and who answers for it. */
static void identify(struct cli_config *c)
{
    uid_t uid = cfg_take(c->cfg, &c->raw);
    const struct passwd *user = getpwuid(uid);
    wire_sha256(c->raw.p, c->raw.n, c->hash);
    if (user) {
        (void)snprintf(c->owner, sizeof(c->owner), "%s", user->pw_name);
    } else {
        (void)snprintf(c->owner, sizeof(c->owner), "uid %u", (unsigned)uid);
    }
}

enum st cli_config_load(struct cli_config *c, const char *path, struct err *e)
{
    *c = (struct cli_config){0};
    const struct cfg_section sections[] = {
        {"gateway", &cli_gateway_table, &c->gateway, false, true},
        {"store", &store_cfg_table, &c->store, false, true},
        {"seal", &seal_cfg_table, &c->seal, false, true},
        {"buses", &collect_bus_table, &c->collect.buses, true, false},
        {"devices", &collect_device_table, &c->collect.devices, true, false},
        {"connectivity", &connectivity_cfg_table, &c->connectivity, false, false},
        {"uplinks", &uplink_table, &c->uplinks_cfg, true, false},
        {"indicator", &indicator_cfg_table, &c->indicator, false, false},
        {"alarms", &alarm_cfg_table, &c->alarms_cfg, true, false},
        {"web", &web_cfg_table, &c->web, false, false},
        {NULL, NULL, NULL, false, false}};
    enum st st = cfg_load(&c->cfg, path, sections, NULL, e);
    if (c->cfg) {
        identify(c);
    }
    if (st == ST_OK && c->seal.next_key && !signer_is_token(c->seal.next_key)) {
        cfg_complain(c->cfg, &c->seal.next_key,
                     "next_key: a pkcs11: URI; the next key in a file is made by `fieldpost key "
                     "rotate`");
        st = err_set(e, ST_BAD, "%s: see the configuration", path);
    }
    /* the signing process refuses one in seal.key, but a gateway runs without its next key, and the
     * city is to keep this file */
    if (st == ST_OK && c->seal.next_key && strstr(c->seal.next_key, "pin-value")) {
        cfg_complain(c->cfg, &c->seal.next_key,
                     "next_key: a PIN does not belong here: write it into a file of mode 0600 and "
                     "name that as pin-source=file:PATH");
        st = err_set(e, ST_BAD, "%s: see the configuration", path);
    }
    c->located = c->cfg && cfg_given(c->cfg, &c->gateway.location.lat);
    return st;
}

const char *cli_identity_beside(const struct cli_config *c)
{
    return signer_is_token(c->seal.key) ? c->store.path : c->seal.key;
}

/* Which uplinks there are the room of connectivity cannot know. */
static enum st check_paths(struct cli_config *c, struct err *e)
{
    size_t n = uplinks_count(c->uplinks_room), before = cfg_complaints(c->cfg, NULL);
    const char **ids = calloc(n + 1, sizeof(*ids));
    if (!ids) {
        return err_set(e, ST_MEMORY, "no memory for the configuration");
    }
    for (size_t i = 0; i < n; i++) {
        ids[i] = uplinks_id(c->uplinks_room, i);
    }
    connectivity_uplinks_check(&c->connectivity, ids, n, c->cfg);
    free(ids);
    return cfg_complaints(c->cfg, NULL) == before
               ? ST_OK
               : err_set(e, ST_BAD, "the section connectivity has mistakes");
}

/* No room sees another's devices, and all of them are series of one gateway. */
static enum st check_ids(struct cli_config *c, struct err *e)
{
    const struct cfg_items *d = &c->collect.devices;
    size_t before = cfg_complaints(c->cfg, NULL);
    for (size_t i = 0; i < d->n; i++) {
        const void *item = (const char *)d->v + i * collect_device_table.struct_size;
        char *const *id = (char *const *)item; /* cfg.h: its first member */
        const char *kind = connectivity_id_used(&c->connectivity, *id);
        if (kind) {
            cfg_complain(c->cfg, id,
                         "the device id %s is used under connectivity.%s, too: choose another", *id,
                         kind);
        }
        if (c->indicators_room && indicators_id_used(c->indicators_room, *id)) {
            cfg_complain(c->cfg, id,
                         "the device id %s is that of an indicator's values: choose another", *id);
        }
    }
    return cfg_complaints(c->cfg, NULL) == before
               ? ST_OK
               : err_set(e, ST_BAD, "the section devices has mistakes");
}

/* The series of alarms, among those of all rooms. */
static enum st check_alarms(struct cli_config *c, struct err *e)
{
    struct store *s = NULL;
    size_t before = cfg_complaints(c->cfg, NULL);
    enum st st = store_open_declared(&s, c->gateway.id, e);
    if (st == ST_OK) {
        st = collect_declare(c->collect_room, s, e);
    }
    if (st == ST_OK) {
        st = connectivity_declare(c->connectivity_room, s, e);
    }
    if (st == ST_OK) {
        st = alarms_declare(c->alarms_room, s, c->cfg, e);
    }
    store_close(s);
    for (size_t i = 0; i < c->alarms_cfg.n && !c->connectivity.sms.numbers; i++) {
        const struct alarm_cfg *a = (const struct alarm_cfg *)c->alarms_cfg.v + i;
        if (a->sms) {
            cfg_complain(c->cfg, &a->sms, "alarm %s: sms needs connectivity.sms: whom it reaches",
                         a->id);
        }
    }
    return st != ST_OK || cfg_complaints(c->cfg, NULL) == before
               ? st
               : err_set(e, ST_BAD, "the section alarms has mistakes");
}

enum st cli_collect_open(struct cli_config *c, struct err *e)
{
    char dir[512];
    if (c->store.path && *c->store.path && !c->nodes &&
        asprintf(&c->nodes, "%s.nodes", c->store.path) < 0) {
        c->nodes = NULL;
        return err_set(e, ST_MEMORY, "no memory for the configuration");
    }
    c->collect.nodes = c->nodes;
    return collect_open(&c->collect_room, &c->collect, c->cfg, cli_profile_dir(dir, sizeof(dir)),
                        e);
}

static enum st open_rooms(struct cli_config *c, struct err *e)
{
    enum st worst = ST_OK, st[7];
    /* every room has its say, whatever the others found */
    st[0] = cli_collect_open(c, e);
    st[1] = connectivity_open(&c->connectivity_room, &c->connectivity, c->cfg, e);
    st[2] = uplinks_open(&c->uplinks_room, &c->uplinks_cfg, c->gateway.id, c->cfg, e);
    if (st[2] == ST_OK) {
        st[2] = uplinks_beside(c->uplinks_room, cli_identity_beside(c), e);
    }
    if (c->uplinks_room && c->connectivity_room) {
        st[1] = check_paths(c, e);
    }
    struct err why;
    st[3] = web_check(&c->web, &why);
    if (st[3] != ST_OK) {
        cfg_complain(c->cfg, &c->web.names, "%s", why.text);
    }
    st[4] = check_ids(c, e);
    st[5] = indicators_open(&c->indicators_room, &c->indicator, c->cfg, e);
    st[6] = alarms_open(&c->alarms_room, &c->alarms_cfg, c->cfg, e);
    if (c->alarms_room && alarms_count(c->alarms_room) > 0 && st[0] == ST_OK && st[1] == ST_OK &&
        st[4] == ST_OK) {
        enum st declared = check_alarms(c, e);
        st[6] = st[6] == ST_OK ? declared : st[6];
    }
    for (size_t i = 0; i < sizeof(st) / sizeof(st[0]); i++) {
        worst = worst == ST_OK ? st[i] : worst;
    }
    return worst;
}

enum st cli_config_open(struct cli_config *c, const char *path, struct err *e)
{
    enum st st = cli_config_load(c, path, e);
    /* a file that could not be parsed has nothing that the rooms could look at */
    if (!c->cfg || st == ST_NOT_FOUND || st == ST_IO || !c->gateway.id) {
        return st;
    }
    enum st rooms = open_rooms(c, e);
    return st == ST_OK ? rooms : st;
}

enum st cli_config_uplinks(struct cli_config *c, const char *path, struct err *e)
{
    ERR_TRY(cli_config_load(c, path, e));
    ERR_TRY(uplinks_open(&c->uplinks_room, &c->uplinks_cfg, c->gateway.id, c->cfg, e));
    return uplinks_trust_open(c->uplinks_room, c->store.path, e);
}

enum st cli_config_series(struct cli_config *c, struct store **out, struct err *e)
{
    enum st st = store_open_declared(out, c->gateway.id, e);
    if (st == ST_OK) {
        st = collect_declare(c->collect_room, *out, e);
    }
    if (st == ST_OK) {
        st = connectivity_declare(c->connectivity_room, *out, e);
    }
    if (st == ST_OK) {
        st = indicators_declare(c->indicators_room, *out, e);
    }
    if (st == ST_OK) {
        st = alarms_declare(c->alarms_room, *out, NULL, e);
    }
    return st;
}

enum st cli_config_declared(struct cli_config *c, struct store **out, struct err *e)
{
    *out = NULL;
    enum st st = cli_collect_open(c, e);
    if (st == ST_OK) {
        st = connectivity_open(&c->connectivity_room, &c->connectivity, c->cfg, e);
    }
    if (st == ST_OK) {
        st = indicators_open(&c->indicators_room, &c->indicator, c->cfg, e);
    }
    if (st == ST_OK) {
        st = alarms_open(&c->alarms_room, &c->alarms_cfg, c->cfg, e);
    }
    return st == ST_OK ? cli_config_series(c, out, e) : st;
}

void cli_config_done(struct cli_config *c)
{
    indicators_close(c->indicators_room);
    alarms_close(c->alarms_room);
    uplinks_close(c->uplinks_room);
    connectivity_close(c->connectivity_room);
    collect_close(c->collect_room);
    cfg_free(c->cfg);
    buf_done(&c->raw);
    free(c->nodes);
    *c = (struct cli_config){0};
}

const char *cli_profile_dir(char *buf, size_t n)
{
    return share_path("profile", buf, n);
}
