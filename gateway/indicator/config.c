/* Section `indicator` of the configuration, and the catalogue that it asks for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/share.h"
#include "gateway/indicator/instances_int.h"
#include "gateway/indicator/report_int.h"

/* What a site sets of one indicator. */
struct site_params {
    char *id; /* the indicator */
    struct cfg_items params;
};

static const struct cfg_field number_fields[] = {{.key = CFG_WHOLE,
                                                  .kind = CFG_DECIMAL,
                                                  .offset = offsetof(struct indicator_param, value),
                                                  .help = "in place of the catalogue's number"},
                                                 {.key = NULL}};
static const struct cfg_table number_table = {sizeof(struct indicator_param), number_fields};
static const struct cfg_field site_fields[] = {{.key = CFG_WHOLE,
                                                .kind = CFG_MAP,
                                                .offset = offsetof(struct site_params, params),
                                                .sub = &number_table,
                                                .help = "params of one indicator"},
                                               {.key = NULL}};
static const struct cfg_table site_table = {sizeof(struct site_params), site_fields};

#define FIELD(k, m) .key = k, .offset = offsetof(struct indicator_cfg, m)
static const struct cfg_field fields[] = {
    {FIELD("use", use), .kind = CFG_STRINGS,
     .help = "ids of the catalogue; absent: all whose series are there and that are not off"},
    {FIELD("folder", folder), .kind = CFG_STRING,
     .help = "files of your own: ID.yaml and norm/ID.yaml; one of a name that is installed takes "
             "its place"},
    {FIELD("params", params), .kind = CFG_MAP, .sub = &site_table,
     .help = "{id: {param: number}}: other numbers than the catalogue's"},
    {.key = NULL}};
const struct cfg_table indicator_cfg_table = {sizeof(struct indicator_cfg), fields};

#define PATH_BYTES 4096
#define PARAMS_SHOWN 32 /* among which a near name is looked for */

/* ---- checks --------------------------------------------------------------------------------- */

static void complain_id(struct cfg *c, const void *member, const char *key, const char *id,
                        const struct indicator_file *files, size_t n)
{
    const char *known[INDICATOR_FILES_MAX];
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!files[i].is_norm && files[i].def.id)
            known[k++] = files[i].def.id;
    const char *near = cfg_nearest(id, known, k);
    cfg_complain(c, member, "%s: unknown indicator \"%s\"%s%s%s", key, id,
                 near ? "; did you mean \"" : "", near ? near : "",
                 near ? "\"?" : "; `fieldpost indicators` lists them");
}

static struct indicator_def *find(struct indicator_file *files, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (!files[i].is_norm && files[i].def.id && strcmp(files[i].def.id, id) == 0)
            return &files[i].def;
    return NULL;
}

static void set_param(struct cfg *c, struct indicator_def *d, const struct indicator_param *p)
{
    struct indicator_param *own = d->params.v;
    const char *known[PARAMS_SHOWN];
    size_t n = 0;
    for (size_t i = 0; i < d->params.n; i++) {
        if (strcmp(own[i].id, p->id) == 0) {
            own[i].value = p->value;
            return;
        }
        if (n < PARAMS_SHOWN)
            known[n++] = own[i].id;
    }
    const char *near = cfg_nearest(p->id, known, n);
    cfg_complain(c, &p->id, "%s has no param \"%s\"%s%s%s", d->id, p->id,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void indicator_params_set(const struct indicator_cfg *site, struct cfg *c,
                          struct indicator_file *files, size_t n)
{
    const struct site_params *s = site->params.v;
    for (size_t i = 0; i < site->use.n; i++)
        if (!find(files, n, site->use.v[i]))
            complain_id(c, &site->use.v[i], "use", site->use.v[i], files, n);
    for (size_t i = 0; i < site->params.n; i++) {
        struct indicator_def *d = find(files, n, s[i].id);
        const struct indicator_param *p = s[i].params.v;
        if (!d)
            complain_id(c, &s[i].id, "params", s[i].id, files, n);
        for (size_t k = 0; d && k < s[i].params.n; k++)
            set_param(c, d, &p[k]);
    }
}

/* ---- the room ------------------------------------------------------------------------------- */

/* The files' mistakes stand behind the line that names them. */
static void tell(struct cfg *c, const struct indicator_cfg *cfg, const struct buf *complaints)
{
    const void *member = cfg->folder ? (const void *)&cfg->folder : cfg;
    for (size_t at = 0, n; at < complaints->n; at += n + 1) {
        const char *line = (const char *)complaints->p + at;
        n = (size_t)((const char *)memchr(line, '\n', complaints->n - at) - line);
        cfg_complain(c, member, "%.*s", (int)n, line);
    }
}

/* The site's folder; one that is no whole path lies beside the configuration. NULL: no memory. */
char *indicator_folder(const struct cfg *c, const char *folder)
{
    const char *slash = strrchr(cfg_path(c), '/');
    int beside = folder[0] == '/' || !slash ? 0 : (int)(slash + 1 - cfg_path(c));
    char *path = NULL;
    return asprintf(&path, "%.*s%s", beside, cfg_path(c), folder) < 0 ? NULL : path;
}

enum st indicators_open(struct indicators **out, const struct indicator_cfg *cfg, struct cfg *c,
                        struct err *e)
{
    struct indicators *x = calloc(1, sizeof *x);
    char installed[PATH_BYTES], *own = cfg->folder ? indicator_folder(c, cfg->folder) : NULL;
    const char *const folders[] = {share_path("indicator", installed, sizeof installed), own, NULL};
    size_t before = cfg_complaints(c, NULL);
    struct buf complaints;
    enum st st = ST_OK;
    *out = x;
    buf_init(&complaints, INDICATOR_COMPLAINTS_MAX_BYTES);
    if (!x || (cfg->folder && !own))
        st = err_set(e, ST_MEMORY, "no memory for the indicators");
    else if (cfg_line(c, cfg) > 0) /* else there is no such section: nothing is computed */
        st = indicator_catalogue_open_for(&x->catalogue, folders, cfg, c, &complaints, e);
    if (x)
        x->cfg = cfg;
    tell(c, cfg, &complaints);
    if (st == ST_OK && cfg_complaints(c, NULL) > before)
        st = err_set(e, ST_BAD, "the section indicator has mistakes");
    buf_done(&complaints);
    free(own);
    return st;
}

enum st indicators_installed(struct indicators **out, struct buf *complaints, struct err *e)
{
    struct indicators *x = calloc(1, sizeof *x);
    char installed[PATH_BYTES];
    const char *const folders[] = {share_path("indicator", installed, sizeof installed), NULL};
    *out = x;
    if (!x)
        return err_set(e, ST_MEMORY, "no memory for the indicators");
    return indicator_catalogue_open(&x->catalogue, folders, complaints, e);
}

void indicators_close(struct indicators *x)
{
    if (x) {
        instances_close(x->instances);
        indicator_catalogue_close(x->catalogue);
    }
    free(x);
}

const char *indicators_take(struct indicators *x, size_t i, struct buf *bytes)
{
    return x->catalogue ? indicator_catalogue_take(x->catalogue, i, bytes) : NULL;
}

/* ---- what a site wants ---------------------------------------------------------------------- */

static bool is_named(const struct indicator_cfg *cfg, const struct indicator_def *d)
{
    if (!cfg || cfg->use.n == 0)
        return !d->off;
    for (size_t i = 0; i < cfg->use.n; i++)
        if (strcmp(cfg->use.v[i], d->id) == 0)
            return true;
    return false;
}

static bool takes(const struct indicator_def *d, const char *id)
{
    const struct indicator_input *in = d->inputs.v;
    for (size_t i = 0; i < d->inputs.n; i++)
        if (in[i].indicator && strcmp(in[i].indicator, id) == 0)
            return true;
    return false;
}

/* As deep as indicators feed each other, which is without a cycle. */
bool indicator_is_used(const struct indicators *x, const struct indicator_def *d)
{
    bool used = is_named(x->cfg, d);
    for (size_t i = 0; !used && i < indicator_catalogue_count(x->catalogue); i++) {
        const struct indicator_def *by = indicator_catalogue_at(x->catalogue, i);
        used = takes(by, d->id) && indicator_is_used(x, by);
    }
    return used && (d->formula || d->numerator);
}
