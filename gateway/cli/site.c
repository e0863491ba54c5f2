#include "gateway/cli/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/qr.h"

/* A thread that has not come round for so long does not live any more: the longest step of the
 * writer is a seal on a slow card, that of a bus one poll. */
#define STANDS_MAX_MS 60000

static bool bus(void *ctx, const char *id, struct web_bus *out)
{
    const struct cli_site *x = ctx;
    for (size_t i = 0; i < x->buses; i++)
        if (strcmp(x->bus[i].id, id) == 0) {
            *out = (struct web_bus){.asked = x->bus[i].byte_ns > 0, .load = x->bus[i].load};
            (void)snprintf(out->line, sizeof out->line, "%s", x->bus[i].line);
            return true;
        }
    return false;
}

static bool raw(void *ctx, const char *device, const char *point, struct web_raw *out)
{
    const struct cli_site *x = ctx;
    struct collect_behind b;
    if (!collect_behind_of(x->c->collect_room, device, point, &b))
        return false;
    *out = (struct web_raw){.function = b.function,
                            .address = b.address,
                            .type = b.type,
                            .order = b.order,
                            .scaled = b.scaled,
                            .scale = b.scale,
                            .offset = b.offset,
                            .bytes = b.bytes};
    memcpy(out->raw, b.raw, sizeof out->raw);
    return true;
}

static bool profile(void *ctx, const char *device, struct web_profile *out)
{
    const struct cli_site *x = ctx;
    struct collect_about a;
    if (!collect_about_of(x->c->collect_room, device, &a))
        return false;
    *out = (struct web_profile){a.name, a.model, a.what, a.source, a.verified};
    return true;
}

static enum st probe(void *ctx, const char *id, int unit, struct err *e)
{
    const struct cli_site *x = ctx;
    return collect_nudge(x->c->collect_room, id, unit, x->clk, e);
}

static bool alive(void *ctx)
{
    struct cli_site *x = ctx;
    int64_t at = atomic_load(&x->writer_ms), now = clk_mono(x->clk).ms;
    return (at == 0 || now - at < STANDS_MAX_MS) &&
           collect_stands_ms(x->c->collect_room, x->clk) < STANDS_MAX_MS;
}

_Static_assert(WEB_MESSAGES_MAX >= CONNECTIVITY_MESSAGES_MAX, "the page has room for all");
_Static_assert(WEB_CARD_BYTES == CONNECTIVITY_CARD_BYTES, "and for the card's digits");

static size_t messages(void *ctx, struct web_message out[WEB_MESSAGES_MAX],
                       char card[WEB_CARD_BYTES])
{
    const struct cli_site *x = ctx;
    struct connectivity_message all[CONNECTIVITY_MESSAGES_MAX];
    size_t n = connectivity_messages(x->c->connectivity_room, all, card);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(out[i].from, sizeof out[i].from, "%s", all[i].from);
        (void)snprintf(out[i].text, sizeof out[i].text, "%s", all[i].text);
        out[i].at_ms = all[i].at_ms;
    }
    return n;
}

static enum st survey(void *ctx, const struct web_survey_ask *ask, struct buf *out, struct err *e)
{
    const struct cli_site *x = ctx;
    const struct cli_config *c = x->c;
    struct connectivity_area *area = NULL;
    struct connectivity_survey_ask by = {.cfg = &c->connectivity.survey,
                                         .store_path = c->store.path,
                                         .gateway = c->gateway.id,
                                         .from_ms = ask->from_ms,
                                         .to_ms = ask->to_ms,
                                         .part = true,
                                         .geojson = true,
                                         .most = ask->most,
                                         .go_on = ask->go_on,
                                         .ctx = ask->ctx};
    enum st st = connectivity_area_load(&area, c->connectivity.survey.area, e);
    by.area = area;
    if (st == ST_OK)
        st = store_reader_open(&by.reader, c->store.path, e);
    if (st == ST_OK)
        st = connectivity_survey_report(&by, out, e);
    store_reader_close(by.reader);
    connectivity_area_free(area);
    return st;
}

static enum st position(void *ctx, const struct web_fix *f, bool *fresh, bool *used, struct err *e)
{
    const struct cli_site *x = ctx;
    struct connectivity_phone_fix fix = {.lat = f->lat,
                                         .lon = f->lon,
                                         .accuracy_m = f->accuracy_m,
                                         .has_altitude = f->has_altitude,
                                         .stamp_ms = f->stamp_ms,
                                         .age_ms = f->age_ms};
    _Static_assert(sizeof fix.from == sizeof f->from, "who sends it");
    memcpy(fix.from, f->from, sizeof fix.from);
    return connectivity_phone(x->c->connectivity_room, &fix, clk_mono(x->clk), fresh, used, e);
}

_Static_assert(ALARM_NAME_BYTES == sizeof(((struct web_alarm *)0)->by), "the page has room for it");

static size_t alarms(void *ctx, size_t first, struct web_alarm *out, size_t max)
{
    static const char *const severity[] = {"info", "warning", "error"};
    const struct cli_site *x = ctx;
    size_t n = 0;
    for (struct alarm_view v; n < max && alarms_look(x->c->alarms_room, first + n, &v, 1) == 1;
         n++) {
        out[n] = (struct web_alarm){.id = v.cfg->id,
                                    .series = v.cfg->series,
                                    .state = alarm_state_text[v.state],
                                    .severity = severity[v.cfg->severity],
                                    .vi = v.cfg->text.vi,
                                    .en = v.cfg->text.en,
                                    .when = v.kind,
                                    .unit = v.unit,
                                    .decimals = v.decimals,
                                    .limit = v.limit,
                                    .clear = v.cfg->clear,
                                    .value = v.value,
                                    .t_ms = v.value_ms,
                                    .at = v.at,
                                    .since_ms = v.since_ms,
                                    .known_ms = v.known_ms};
        memcpy(out[n].by, v.by, sizeof out[n].by);
    }
    return n;
}

static enum st acknowledge(void *ctx, const char *id, const char *by, struct err *e)
{
    const struct cli_site *x = ctx;
    return alarms_acknowledge(x->c->alarms_room, id, by, e);
}

enum st cli_site_picture(struct wire_span text, struct buf *out, struct err *e)
{
    char *p = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&p, &n);
    if (!f)
        return err_set(e, ST_MEMORY, "no memory for the picture");
    enum st st = qr_print(text, QR_SVG, f, e);
    if (fclose(f) != 0 && st == ST_OK)
        st = err_set(e, ST_MEMORY, "no memory for the picture");
    if (st == ST_OK)
        st = buf_put(out, p, n);
    free(p);
    return st;
}

static void add_key(struct web_rooms *m, const struct wire_signer *s)
{
    if (!s || m->keys == WEB_KEYS)
        return;
    struct wire_span der = wire_pub_der(s->pub);
    struct web_key *k = &m->key[m->keys++];
    memcpy(k->kid, wire_pub_kid(s->pub), sizeof k->kid);
    wire_sha256(der.p, der.n, k->sha256);
}

enum st cli_site_open(struct cli_site *x, const struct cli_config *c, const struct clk *clk,
                      const struct signer *signer, struct web_rooms *out, struct err *e)
{
    x->c = c;
    x->clk = clk;
    x->buses = collect_bus_count(c->collect_room);
    x->bus = calloc(x->buses + 1, sizeof *x->bus);
    if (!x->bus)
        return err_set(e, ST_MEMORY, "no memory for the page");
    for (size_t i = 0; i < x->buses; i++)
        collect_show_bus(c->collect_room, i, &x->bus[i]);
    *out = (struct web_rooms){.ctx = x,
                              .bus = bus,
                              .raw = raw,
                              .profile = profile,
                              .probe = probe,
                              .messages = messages,
                              .has_area = c->connectivity.survey.area != NULL,
                              .walks = connectivity_walks(c->connectivity_room),
                              .browser = c->connectivity.survey.browser,
                              .survey = survey,
                              .position = position,
                              .alive = alive,
                              .alarms = alarms,
                              .acknowledge = acknowledge,
                              .proof = qr_proof_put,
                              .picture = cli_site_picture};
    memcpy(out->config, c->hash, sizeof out->config);
    add_key(out, signer_now(signer));
    const char *fault;
    add_key(out, signer_next(signer, &fault));
    return ST_OK;
}

void cli_site_done(struct cli_site *x)
{
    free(x->bus);
    x->bus = NULL;
}
