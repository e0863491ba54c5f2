/* Territories: how each of them reports, as data files. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/base/share.h"
#include "gateway/indicator/report_int.h"

#define SUFFIX ".yaml"
#define PATH_BYTES 1024
#define FILES_MAX 512 /* in one folder */

/* ---- a file ---------------------------------------------------------------------------------- */

static const struct cfg_word periods[] = {{"month", REPORT_MONTH},
                                          {"quarter", REPORT_QUARTER},
                                          {"half", REPORT_KINDS},
                                          {"first-half", REPORT_FIRST_HALF},
                                          {"second-half", REPORT_SECOND_HALF},
                                          {"nine-months", REPORT_NINE_MONTHS},
                                          {"year", REPORT_YEAR},
                                          {NULL, 0}};
static const struct cfg_word closings[] = {
    {"calendar", REPORT_CALENDAR}, {"14", REPORT_ON_14TH}, {NULL, 0}};

#define DUTY(k, m) .key = (k), .offset = offsetof(struct report_duty, m)
static const struct cfg_field duty_fields[] = {
    {DUTY("period", period), .kind = CFG_WORD, .words = periods, .required = true,
     .help = "month, quarter, half, first-half, second-half, nine-months, year"},
    {DUTY("to", to), .kind = CFG_STRING, .required = true, .help = "whom the report goes to"},
    {DUTY("before", before), .kind = CFG_STRING,
     .help = "the day before which it is due, MM-DD of the period's year; absent: none is given"},
    {DUTY("source", source), .kind = CFG_STRING, .required = true, .help = "where it is written"},
    {.key = NULL}};
static const struct cfg_table duty_table = {sizeof(struct report_duty), duty_fields};

struct name {
    char *vi, *en;
};
static const struct cfg_field name_fields[] = {{.key = "vi",
                                                .offset = offsetof(struct name, vi),
                                                .kind = CFG_STRING,
                                                .required = true,
                                                .help = "Vietnamese"},
                                               {.key = "en",
                                                .offset = offsetof(struct name, en),
                                                .kind = CFG_STRING,
                                                .required = true,
                                                .help = "English"},
                                               {.key = NULL}};
static const struct cfg_table name_table = {sizeof(struct name), name_fields};
_Static_assert(offsetof(struct name, en) == REPORT_EN * sizeof(char *), "the order of languages");

#define FIELD(k, m) .key = (k), .offset = offsetof(struct report_territory, m)
static const struct cfg_field fields[] = {
    {FIELD("id", id), .kind = CFG_ID, .required = true, .help = "the name of the file"},
    {FIELD("code", code), .kind = CFG_STRING, .help = "official code; absent: not confirmed"},
    {FIELD("name", name), .kind = CFG_STRUCT, .sub = &name_table, .help = "vi and en"},
    {FIELD("office", office), .kind = CFG_STRING, .help = "who reports"},
    {FIELD("closing", closing), .kind = CFG_WORD, .words = closings, .dflt = "calendar",
     .help = "calendar, or 14: periods end on the 14th"},
    {FIELD("source", source), .kind = CFG_STRING, .required = true, .help = "where it is written"},
    {FIELD("duties", duties), .kind = CFG_LIST, .sub = &duty_table, .help = "what is due when"},
    {.key = NULL}};
static const struct cfg_table table = {sizeof(struct report_territory), fields};

/* The day of that text in that year; false: none. */
static bool day_of(const char *mmdd, int year, int32_t *day)
{
    char text[32];
    int64_t d = 0;
    (void)snprintf(text, sizeof text, "%04d-%.6s", year, mmdd);
    bool good = wire_day_parse((struct wire_span){(const uint8_t *)text, strlen(text)}, &d);
    *day = (int32_t)d;
    return good;
}

static void check(struct report_territory *t, const char *id)
{
    int32_t day;
    if (strcmp(t->id, id) != 0)
        cfg_complain(t->cfg, &t->id, "id: the file is called %s" SUFFIX ", so %s", id, id);
    for (size_t i = 0; i < t->duties.n; i++) {
        struct report_duty *d = (struct report_duty *)t->duties.v + i;
        if (d->before && !day_of(d->before, 2023, &day)) /* a day that every year has */
            cfg_complain(t->cfg, &d->before, "before: a day of each year, such as 06-10");
    }
}

/* ST_NOT_FOUND: no such file. */
static enum st load(struct report_territory *out, const char *folder, const char *id, struct err *e)
{
    char path[PATH_BYTES];
    const char *text = NULL;
    *out = (struct report_territory){.id = NULL};
    if (snprintf(path, sizeof path, "%s/%s" SUFFIX, folder, id) >= (int)sizeof path)
        return err_set(e, ST_BAD, "%s: the name is too long", folder);
    enum st st = cfg_load_struct(&out->cfg, path, &table, out, e);
    if (out->cfg && st == ST_OK)
        check(out, id);
    if (out->cfg && cfg_complaints(out->cfg, &text) > 0)
        st = err_set(e, st == ST_OK ? ST_BAD : st, "%s: not the file of a territory", path);
    return st;
}

void report_territory_close(struct report_territory *t)
{
    cfg_free(t->cfg);
    *t = (struct report_territory){.id = NULL};
}

/* ---- the folders ------------------------------------------------------------------------------
 */

static bool is_name(const char *a, const char *b)
{
    return a && strcasecmp(a, b) == 0;
}

bool report_territory_is(const struct report_territory *t, const char *name)
{
    return is_name(t->id, name) || is_name(t->code, name) || is_name(t->name[REPORT_VI], name) ||
           is_name(t->name[REPORT_EN], name);
}

struct search {
    const char *wanted;
    struct report_territory *out;
    bool found;
    struct buf known; /* "tra-cau (21451)\0…": what people may write */
    struct err *e;
};

/* "tra-cau.yaml" -> "tra-cau"; false: no such file. */
static bool id_of(const char *file, char id[65])
{
    size_t n = strlen(file), k = strlen(SUFFIX);
    if (n <= k || n - k > 64 || strcmp(file + n - k, SUFFIX) != 0)
        return false;
    (void)snprintf(id, 65, "%.*s", (int)(n - k), file);
    return true;
}

static enum st look_at(struct search *s, const char *const *folders, size_t at, const char *id)
{
    struct report_territory t;
    for (size_t later = at + 1; folders[later]; later++) {
        char path[PATH_BYTES];
        FILE *f = snprintf(path, sizeof path, "%s/%s" SUFFIX, folders[later], id) < PATH_BYTES
                      ? fopen(path, "re")
                      : NULL;
        if (f) { /* takes the place of this one */
            (void)fclose(f);
            return ST_OK;
        }
    }
    enum st st = load(&t, folders[at], id, s->e);
    bool it = st == ST_OK ? report_territory_is(&t, s->wanted) : t.cfg && is_name(id, s->wanted);
    if (it) {
        report_territory_close(s->out);
        *s->out = t;
        s->found = st == ST_OK;
        return st;
    }
    if (st == ST_OK) {
        st = buf_put(&s->known, t.id, strlen(t.id) + 1);
        if (st == ST_OK && t.code)
            st = buf_put(&s->known, t.code, strlen(t.code) + 1);
        st = st == ST_OK ? ST_OK : err_set(s->e, st, "too many territories");
    } else if (t.cfg) {
        st = ST_OK; /* what is wrong with others is not in the way */
    }
    report_territory_close(&t);
    return st;
}

static enum st look_in(struct search *s, const char *const *folders, size_t at)
{
    struct dirent **names = NULL;
    char id[65];
    enum st st = ST_OK;
    int n = scandir(folders[at], &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (st == ST_OK && !s->found && i < FILES_MAX && id_of(names[i]->d_name, id))
            st = look_at(s, folders, at, id);
        free(names[i]);
    }
    free(names);
    return st;
}

#define KNOWN_MAX 256
static enum st unknown(struct search *s)
{
    const char *list[KNOWN_MAX] = {NULL};
    char all[ERR_TEXT_BYTES / 2] = "";
    size_t n = 0, used = 0;
    for (size_t at = 0; at < s->known.n && n < KNOWN_MAX; n++) {
        list[n] = (const char *)s->known.p + at;
        at += strlen(list[n]) + 1;
        int more = snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", list[n]);
        used += used + (size_t)more < sizeof all ? (size_t)more : 0;
    }
    const char *near = cfg_nearest(s->wanted, list, n);
    return err_set(s->e, ST_NOT_FOUND, "territory \"%.60s\" is not known%s%s%s; known are: %s",
                   s->wanted, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                   n ? all : "none");
}

enum st report_territory_open(struct report_territory *out, const char *const *folders,
                              const char *wanted, const char **complaints, struct err *e)
{
    struct search s = {.wanted = wanted, .out = out, .e = e};
    enum st st = ST_OK;
    *out = (struct report_territory){.id = NULL};
    *complaints = "";
    buf_init(&s.known, (size_t)64 * 1024);
    for (size_t i = 0; st == ST_OK && !s.found && folders[i]; i++)
        st = look_in(&s, folders, i);
    if (st == ST_OK && !s.found)
        st = unknown(&s);
    if (st != ST_OK && out->cfg)
        (void)cfg_complaints(out->cfg, complaints);
    buf_done(&s.known);
    return st;
}

enum st report_territory_find(struct report_territory *out, const struct indicator_cfg *cfg,
                              const struct cfg *c, const char *wanted, const char **complaints,
                              struct err *e)
{
    char installed[PATH_BYTES], beside[PATH_BYTES];
    char *own = cfg->folder ? indicator_folder(c, cfg->folder) : NULL;
    const char *folders[] = {share_path("territory", installed, sizeof installed), NULL, NULL};
    *out = (struct report_territory){.id = NULL};
    *complaints = "";
    if (cfg->folder && !own)
        return err_set(e, ST_MEMORY, "no memory for a territory");
    if (own && snprintf(beside, sizeof beside, "%s/territory", own) < (int)sizeof beside)
        folders[1] = beside;
    enum st st = report_territory_open(out, folders, wanted, complaints, e);
    free(own);
    return st;
}

enum st report_territory_each_own(const struct indicator_cfg *cfg, const struct cfg *c,
                                  enum st (*each)(void *ctx, const char *path, struct buf *bytes,
                                                  struct err *e),
                                  void *ctx, struct err *e)
{
    char folder[PATH_BYTES], id[65];
    struct dirent **names = NULL;
    enum st st = ST_OK;
    char *own = cfg->folder ? indicator_folder(c, cfg->folder) : NULL;
    if (cfg->folder && !own)
        return err_set(e, ST_MEMORY, "no memory for a territory");
    bool is = own && snprintf(folder, sizeof folder, "%s/territory", own) < (int)sizeof folder;
    int n = is ? scandir(folder, &names, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        struct report_territory t = {.id = NULL};
        struct buf bytes = {0};
        if (st == ST_OK && i < FILES_MAX && id_of(names[i]->d_name, id) &&
            load(&t, folder, id, NULL) == ST_OK) {
            (void)cfg_take(t.cfg, &bytes);
            st = each(ctx, cfg_path(t.cfg), &bytes, e);
        }
        report_territory_close(&t);
        free(names[i]);
    }
    free(names);
    free(own);
    return st;
}

/* ---- duties -----------------------------------------------------------------------------------
 */

const struct report_duty *report_duty_of(const struct report_territory *t,
                                         const struct report_period *p, int32_t *due_day)
{
    *due_day = INT32_MAX;
    for (size_t i = 0; i < t->duties.n; i++) {
        const struct report_duty *d = (const struct report_duty *)t->duties.v + i;
        bool half = p->kind == REPORT_FIRST_HALF || p->kind == REPORT_SECOND_HALF;
        if (d->period != (int)p->kind && !(half && d->period == REPORT_KINDS))
            continue;
        if (d->before && !day_of(d->before, p->year, due_day))
            *due_day = INT32_MAX;
        return d;
    }
    return NULL;
}
