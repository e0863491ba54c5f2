/* What is measured, and the latest value of each. */
#include "gateway/web/web_int.h"

#include <stdlib.h>
#include <string.h>

#define BOARD_STEP 32 /* values copied from the board at a time */

/* Within an object that is open. */
static void put_members(struct web_json *j, const struct web *w, uint32_t i,
                        const struct store_now *n, struct mono now)
{
    const struct store_series *s = store_series_at(w->store, i);
    bool read = n->count > 0;
    web_json_text(j, "device", store_device_at(w->store, s->device)->id);
    web_json_text(j, "point", s->point);
    web_json_text(j, "quantity", s->quantity->key);
    web_json_text(j, "unit", s->quantity->unit);
    web_json_int(j, "decimals", s->quantity->decimals);
    web_json_int(j, "period_ms", s->period_ms);
    web_json_num(j, "value", read ? n->v : (struct num){0});
    if (read) {
        web_json_int(j, "t_ms", n->t_ms);
        web_json_int(j, "age_ms", now.ms > n->read_at.ms ? now.ms - n->read_at.ms : 0);
        web_json_int(j, "q", n->q);
    }
    web_json_text(j, "missing", n->missing ? store_cause_text[n->cause] : NULL);
}

static void put_raw(struct web_json *j, const struct web_rooms *m, const char *device,
                    const char *point)
{
    struct web_raw r;
    if (!m->raw || !m->raw(m->ctx, device, point, &r)) {
        web_json_text(j, "raw", NULL);
        return;
    }
    web_json_open(j, "raw", '{');
    web_json_int(j, "function", r.function);
    web_json_int(j, "address", r.address);
    web_json_open(j, "registers", '[');
    for (unsigned i = 0; i + 1 < r.bytes; i += 2) {
        char hex[2 * 2 + 1];
        wire_hex(r.raw + i, 2, hex);
        web_json_text(j, NULL, hex);
    }
    web_json_close(j, ']');
    web_json_text(j, "type", r.type);
    web_json_text(j, "order", r.order);
    web_json_num(j, "scale", r.scaled ? r.scale : (struct num){.kind = NUM_NONE});
    web_json_num(j, "offset", r.scaled ? r.offset : (struct num){.kind = NUM_NONE});
    web_json_close(j, '}');
}

void web_put_point(struct web_json *j, const char *key, struct web *w, uint32_t i, bool raw)
{
    const struct store_series *s = store_series_at(w->store, i);
    struct store_now now;
    store_board(w->store, i, 1, &now);
    web_json_open(j, key, '{');
    put_members(j, w, i, &now, clk_mono(w->clk));
    if (raw)
        put_raw(j, &w->site.rooms, store_device_at(w->store, s->device)->id, s->point);
    web_json_close(j, '}');
}

static void put_point(struct web_json *j, const struct web *w, uint32_t i,
                      const struct store_now *n, struct mono now)
{
    web_json_open(j, NULL, '{');
    put_members(j, w, i, n, now);
    web_json_close(j, '}');
}

/* Labels once per quantity in use: with hundreds of points they would be most of the answer. */
void web_put_quantities(struct web_json *j, const struct store *s)
{
    bool *used = calloc(quantity_count, sizeof *used);
    if (!used) {
        j->st = ST_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < store_series_count(s); i++)
        used[store_series_at(s, i)->quantity - quantity_table] = true;
    web_json_open(j, "quantities", '{');
    for (size_t k = 0; k < quantity_count; k++) {
        const struct quantity *q = &quantity_table[k];
        if (!used[k])
            continue;
        web_json_open(j, q->key, '{');
        web_json_text(j, "vi", q->vi);
        web_json_text(j, "en", q->en);
        web_json_text(j, "domain", quantity_domain_name(q->domain));
        web_json_close(j, '}');
    }
    web_json_close(j, '}');
    free(used);
}

void web_api_series(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    struct store_now board[BOARD_STEP];
    const char *device = http_query(q, "device");
    uint32_t count = store_series_count(w->store);
    struct mono now = clk_mono(w->clk);
    web_answer_begin(a, &j);
    web_json_int(&j, "now_ms", clk_now(w->clk).utc_ms);
    web_put_quantities(&j, w->store);
    web_json_open(&j, "series", '[');
    for (uint32_t first = 0; first < count; first += BOARD_STEP) {
        uint32_t n = count - first < BOARD_STEP ? count - first : BOARD_STEP;
        store_board(w->store, first, n, board);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t d = store_series_at(w->store, first + i)->device;
            if (!device || strcmp(store_device_at(w->store, d)->id, device) == 0)
                put_point(&j, w, first + i, &board[i], now);
        }
    }
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}
