/* A sheet as JSON: what the sheet is, and on a line of its own the content, whose bytes the digest
 * is of. */
#include "gateway/cli/sheet.h"

static enum st put_pair(struct buf *out, const char *name, const char *text)
{
    ERR_TRY(buf_printf(out, ",\"%s\":", name));
    return report_quote(out, text);
}

static enum st put_act(struct buf *out, const char *name, const struct report_act *a)
{
    char at[CLK_TEXT_BYTES];
    if (!a->who[0])
        return buf_printf(out, ",\"%s\":null", name);
    ERR_TRY(buf_printf(out, ",\"%s\":{\"at\":\"%s\"", name, clk_text(a->at_ms, at)));
    ERR_TRY(put_pair(out, "by", a->who));
    return buf_put(out, "}", 1);
}

static enum st put_both(struct buf *out, const char *name, const char *const text[REPORT_LANGUAGES])
{
    ERR_TRY(buf_printf(out, ",\"%s\":{\"vi\":", name));
    ERR_TRY(report_quote(out, text[REPORT_VI]));
    ERR_TRY(put_pair(out, "en", text[REPORT_EN]));
    return buf_put(out, "}", 1);
}

static enum st put_change(struct buf *out, const struct report_change *c)
{
    ERR_TRY(buf_printf(out, "{\"id\":"));
    ERR_TRY(report_quote(out, c->id));
    ERR_TRY(put_pair(out, "instance", c->instance));
    ERR_TRY(put_both(out, "was", c->was));
    ERR_TRY(put_both(out, "now", c->now));
    ERR_TRY(put_both(out, "why", c->why));
    return buf_put(out, "}", 1);
}

static enum st put_version(struct buf *out, const struct report_version *v)
{
    ERR_TRY(buf_printf(out, "{\"version\":%u", v->number));
    ERR_TRY(put_pair(out, "digest", v->digest));
    ERR_TRY(put_pair(out, "why", v->reason));
    ERR_TRY(put_act(out, "approved", &v->approved));
    ERR_TRY(put_act(out, "submitted", &v->submitted));
    return buf_put(out, "}", 1);
}

static enum st put(struct buf *out, const struct report *r)
{
    char made[CLK_TEXT_BYTES];
    ERR_TRY(buf_printf(out, "{\"digest\":\"%s\",\"made\":\"%s\",\"state\":\"%s\"", r->digest,
                       clk_text(r->made_ms, made), report_state_text[r->state]));
    ERR_TRY(put_act(out, "approved", &r->approved));
    ERR_TRY(put_act(out, "submitted", &r->submitted));
    ERR_TRY(buf_printf(out, ",\"version\":%u,\"versions\":[", r->version));
    for (size_t i = 0; i < r->nversions; i++) {
        ERR_TRY(buf_put(out, ",", i > 0));
        ERR_TRY(put_version(out, &r->versions[i]));
    }
    ERR_TRY(buf_printf(out, "],\"changes\":["));
    for (size_t i = 0; i < r->nchanges; i++) {
        ERR_TRY(buf_put(out, ",", i > 0));
        ERR_TRY(put_change(out, &r->changes[i]));
    }
    ERR_TRY(buf_printf(out, "],\"content\":\n"));
    ERR_TRY(buf_put(out, r->content.p, r->content.n));
    return buf_printf(out, "\n}\n");
}

enum st sheet_json(struct buf *out, const struct report *r, enum report_language l, struct err *e)
{
    (void)l;
    enum st st = put(out, r);
    return st == ST_OK ? st : err_set(e, st, "the report is too large for a JSON file");
}
