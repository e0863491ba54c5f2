/* The pieces of advice: their table, their list, and /api/v1/advice. */
#include "gateway/web/advice_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define UPLINKS_MAX 16
#define ZONE_MS INT64_C(25200000) /* Viet Nam is UTC+7 all year */
#define KNOWN_MS (2 * CLK_UNKNOWN_BASE_MS)

#define ADVICE(name, how) [WEB_ADVICE_##name] = {#name, WEB_##how},
const struct web_advice_kind web_advice_kinds[WEB_ADVICE_COUNT] = {
#include "gateway/web/advice.def"
};
#undef ADVICE
static const char *const level_text[] = {
    [WEB_GOOD] = "good", [WEB_LOOK] = "look", [WEB_ACT] = "act"};

enum web_advice_code web_advice_code_of(const char *name, enum web_advice_code dflt)
{
    for (size_t i = 0; name && i < WEB_ADVICE_COUNT; i++)
        if (strcmp(web_advice_kinds[i].code, name) == 0)
            return (enum web_advice_code)i;
    return dflt;
}

struct web_advice *web_advice_add(struct web_advices *all, enum web_advice_code code,
                                  const char *about)
{
    size_t at = all->n;
    for (size_t i = 0; i < all->n; i++)
        if (all->v[i].code == code && strcmp(all->v[i].about, about) == 0)
            return NULL;
    while (at > 0 && all->v[at - 1].code > code)
        at--;
    bool full = all->n == WEB_ADVICE_MAX;
    all->left_off += full;
    if (at == WEB_ADVICE_MAX)
        return NULL;
    size_t moved = all->n - at - full;
    memmove(&all->v[at + 1], &all->v[at], moved * sizeof *all->v);
    all->n += !full;
    all->v[at] = (struct web_advice){.code = code, .about = about};
    return &all->v[at];
}

/* ---- params ------------------------------------------------------------------------------- */

/* Unicode's controls, and what is not seen but turns, joins or hides what is. */
static bool is_unseen(const unsigned char *p, size_t n)
{
    static const struct {
        uint32_t from, to;
    } unseen[] = {{0, 0x1f},        {0x7f, 0x9f},      {0xad, 0xad},     {0x061c, 0x061c},
                  {0x200b, 0x200f}, {0x2028, 0x202e},  {0x2060, 0x206f}, {0xfeff, 0xfeff},
                  {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fU);
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++)
        if (c >= unseen[i].from && c <= unseen[i].to)
            return true;
    return false;
}

void web_plain(char *out, size_t n, const char *text)
{
    static const char ellipsis[] = "…", strange[] = "\xef\xbf\xbd";
    size_t at = 0, cut = 0; /* cut: where the ellipsis still has room */
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t len = web_utf8_length((const char *)p);
        const char *put = len == 0 ? strange : is_unseen(p, len) ? " " : (const char *)p;
        size_t bytes = len == 0 ? sizeof strange - 1 : put == (const char *)p ? len : 1;
        if (at + sizeof ellipsis <= n)
            cut = at;
        if (at + bytes >= n) {
            memcpy(out + cut, ellipsis, sizeof ellipsis);
            return;
        }
        memcpy(out + at, put, bytes);
        at += bytes;
        p += len == 0 ? 1 : len;
    }
    out[at] = '\0';
}

static struct web_param *param(struct web_advice *a, const char *key)
{
    if (!a || a->n == WEB_PARAMS_MAX)
        return NULL;
    a->p[a->n] = (struct web_param){.key = key};
    return &a->p[a->n++];
}

void web_param_text(struct web_advice *a, const char *key, const char *text)
{
    struct web_param *p = param(a, key);
    if (p)
        web_plain(p->text, sizeof p->text, text ? text : "");
}

void web_param_int(struct web_advice *a, const char *key, int64_t v)
{
    struct web_param *p = param(a, key);
    if (p) {
        p->number = true;
        p->v = v;
    }
}

static struct tm local(int64_t ms)
{
    time_t s = (time_t)((ms + ZONE_MS) / 1000);
    struct tm t = {0};
    (void)gmtime_r(&s, &t);
    return t;
}

void web_param_since(struct web_advice *a, int64_t ms, struct clk_time now)
{
    char time[16] = "--:--", date[32] = "--/--";
    bool known = ms >= KNOWN_MS, dated = known && now.grade != CLK_UNKNOWN;
    struct tm t = local(ms);
    if (known) {
        bool year = dated && local(now.utc_ms).tm_year != t.tm_year;
        (void)snprintf(time, sizeof time, "%02d:%02d", t.tm_hour, t.tm_min);
        (void)snprintf(date, sizeof date, year ? "%02d/%02d/%04d" : "%02d/%02d", t.tm_mday,
                       t.tm_mon + 1, t.tm_year + 1900);
    }
    web_param_text(a, "time", time);
    web_param_text(a, "date", date);
    if (known)
        web_param_int(a, "since_ms", ms);
    if (dated)
        web_param_int(a, "age_ms", now.utc_ms > ms ? now.utc_ms - ms : 0);
}

/* ---- all of it ---------------------------------------------------------------------------- */

void web_advise(const struct web_known *k, struct web_advices *out)
{
    out->n = 0;
    out->left_off = 0;
    web_advise_lines(k, out);
    web_advise_site(k, out);
    if (out->n > 0)
        return;
    struct web_advice *a = web_advice_add(out, WEB_ADVICE_all_well, "");
    web_param_int(a, "devices", store_device_count(k->store));
    web_param_int(a, "points", store_series_count(k->store));
}

/* What cannot be read now says nothing: the store's own fault does. */
static void ask_store(struct web *w, struct web_known *k)
{
    struct statvfs disk;
    struct store_reader *r = web_reader(w);
    if (statvfs(store_path(w->store), &disk) == 0) {
        k->disk_free_bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
        k->disk_bytes = (int64_t)disk.f_blocks * (int64_t)disk.f_frsize;
    }
    (void)snprintf(k->due, sizeof k->due, "%s", web_due_look(w)->first);
    if (!r)
        return;
    if (store_set_aside_last(r, &k->refused, NULL) != ST_OK)
        k->refused.batches = 0;
    (void)!web_told_look(&w->told, r, NULL);
}

static void put(struct web_json *j, const struct web_advice *a)
{
    web_json_text(j, "code", web_advice_kinds[a->code].code);
    web_json_text(j, "level", level_text[web_advice_kinds[a->code].level]);
    web_json_open(j, "params", '{');
    for (size_t i = 0; i < a->n; i++)
        if (a->p[i].number)
            web_json_int(j, a->p[i].key, a->p[i].v);
        else
            web_json_text(j, a->p[i].key, a->p[i].text);
    web_json_close(j, '}');
}

void web_api_advice(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    struct web_uplink up[UPLINKS_MAX];
    struct web_known k = {.store = w->store,
                          .now = clk_now(w->clk),
                          .mono = clk_mono(w->clk),
                          .up = up,
                          .told = &w->told};
    struct web_advices *all = malloc(sizeof *all);
    (void)q;
    if (!all) {
        http_problem(a, 503, "unavailable", "no memory now", NULL, NULL);
        return;
    }
    k.nup = w->site.uplinks ? w->site.uplinks(w->site.uplinks_ctx, up, UPLINKS_MAX) : 0;
    store_stats(w->store, &k.stats);
    ask_store(w, &k);
    web_advise(&k, all);
    web_answer_begin(a, &j);
    put(&j, &all->v[0]);
    web_json_open(&j, "more", '[');
    for (size_t i = 1; i < all->n; i++) {
        web_json_open(&j, NULL, '{');
        put(&j, &all->v[i]);
        web_json_close(&j, '}');
    }
    web_json_close(&j, ']');
    web_json_int(&j, "left_off", all->left_off);
    web_answer_end(a, &j, 200);
    free(all);
}
