/* A sheet as CSV: a line for each indicator and instance, with all that is known of it. Numbers are
 * exact decimals with a dot. */
#include "gateway/cli/sheet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- columns -----------------------------------------------------------------------------------
 */

#define COLUMN(name)                                                                               \
    static const char *name(const struct report *r, const struct report_row *x, char *buf, size_t n)
#define TEXT(name, member)                                                                         \
    COLUMN(name)                                                                                   \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)x;                                                                                   \
        (void)buf;                                                                                 \
        (void)n;                                                                                   \
        return member;                                                                             \
    }
TEXT(gateway, r->gateway)
TEXT(territory, r->territory)
TEXT(territory_code, r->code)
TEXT(period, r->period.text)
TEXT(state, report_state_text[r->state])
TEXT(approved_by, r->approved.who)
TEXT(submitted_by, r->submitted.who)
TEXT(digest, r->digest)
TEXT(replaces, r->replaces)
TEXT(why, r->reason)
TEXT(id, x->id)
TEXT(instance, x->instance)
TEXT(about, x->about)
TEXT(name_vi, x->name[REPORT_VI])
TEXT(name_en, x->name[REPORT_EN])
TEXT(unit, x->unit)
TEXT(reason, x->reason)
TEXT(reason_vi, x->reason_text[REPORT_VI])
TEXT(reason_en, x->reason_text[REPORT_EN])
TEXT(numerator, x->numerator)
TEXT(denominator, x->denominator)
TEXT(label, report_label_text[x->label])
TEXT(sentence_vi, x->sentence[REPORT_VI])
TEXT(sentence_en, x->sentence[REPORT_EN])
TEXT(target_op, x->target.op)
TEXT(target_source, x->target.source)
TEXT(target_note, x->target.note)
TEXT(limit_norm, x->limit.norm)
TEXT(limit_parameter, x->limit.parameter)
TEXT(limit_window, x->limit.window)
TEXT(limit_unit, x->limit.unit)
TEXT(owner_unit, x->owner_unit)
TEXT(owner_person, x->owner_person)
TEXT(model_type, x->model_type)
TEXT(model_attribute, x->model_attribute)

static const char *number(struct num v, char *buf, size_t n)
{
    char text[NUM_TEXT_BYTES];
    (void)snprintf(buf, n, "%s", v.kind == NUM_NONE ? "" : num_text(v, text));
    return buf;
}

static const char *day(int32_t d, char *buf, size_t n)
{
    char text[WIRE_DAY_TEXT] = "";
    (void)snprintf(buf, n, "%s", d != INT32_MAX && wire_day_text(d, text) == ST_OK ? text : "");
    return buf;
}

static const char *whole(bool there, uint64_t v, char *buf, size_t n)
{
    buf[0] = '\0';
    if (there)
        (void)snprintf(buf, n, "%" PRIu64, v);
    return buf;
}

static const char *when(const struct report_act *a, char *buf, size_t n)
{
    char text[CLK_TEXT_BYTES];
    (void)snprintf(buf, n, "%s", a->who[0] ? clk_text(a->at_ms, text) : "");
    return buf;
}

#define MADE(name, call)                                                                           \
    COLUMN(name)                                                                                   \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)x;                                                                                   \
        return call;                                                                               \
    }
MADE(from, day(r->period.from_day, buf, n))
MADE(to, day(r->period.to_day, buf, n))
MADE(until, day(r->until_day, buf, n))
MADE(due_before, day(r->due_day, buf, n))
MADE(approved_at, when(&r->approved, buf, n))
MADE(submitted_at, when(&r->submitted, buf, n))
MADE(version, whole(r->version > 0, r->version, buf, n))
MADE(value, number(x->value, buf, n))
MADE(due, whole(true, x->due, buf, n))
MADE(good, whole(true, x->good, buf, n))
MADE(complete,
     number(sheet_complete(x) < 0 ? (struct num){.kind = NUM_NONE} : num_dec(sheet_complete(x), -1),
            buf, n))
MADE(needed, whole(true, (uint64_t)x->needed, buf, n))
MADE(target_value, number(x->target.value, buf, n))
MADE(target_year, whole(x->target.op[0] != '\0', (uint64_t)x->target.year, buf, n))
MADE(distance, number(x->target.distance, buf, n))
MADE(limit_value, number(x->limit.value, buf, n))

COLUMN(met)
{
    (void)r;
    (void)buf;
    (void)n;
    return x->target.distance.kind == NUM_NONE ? "" : x->target.met ? "true" : "false";
}

const struct sheet_field sheet_fields[] = {{"gateway", SHEET_WORD, gateway},
                                           {"territory", SHEET_WORD, territory},
                                           {"territory_code", SHEET_FREE, territory_code},
                                           {"period", SHEET_WORD, period},
                                           {"from", SHEET_WORD, from},
                                           {"to", SHEET_WORD, to},
                                           {"until", SHEET_WORD, until},
                                           {"due_before", SHEET_WORD, due_before},
                                           {"state", SHEET_WORD, state},
                                           {"approved_by", SHEET_FREE, approved_by},
                                           {"approved_at", SHEET_WORD, approved_at},
                                           {"submitted_by", SHEET_FREE, submitted_by},
                                           {"submitted_at", SHEET_WORD, submitted_at},
                                           {"id", SHEET_WORD, id},
                                           {"instance", SHEET_FREE, instance},
                                           {"about", SHEET_FREE, about},
                                           {"name_vi", SHEET_FREE, name_vi},
                                           {"name_en", SHEET_FREE, name_en},
                                           {"unit", SHEET_FREE, unit},
                                           {"value", SHEET_FIGURE, value},
                                           {"reason", SHEET_WORD, reason},
                                           {"reason_vi", SHEET_FREE, reason_vi},
                                           {"reason_en", SHEET_FREE, reason_en},
                                           {"numerator", SHEET_FIGURE, numerator},
                                           {"denominator", SHEET_FIGURE, denominator},
                                           {"due", SHEET_FIGURE, due},
                                           {"good", SHEET_FIGURE, good},
                                           {"complete", SHEET_FIGURE, complete},
                                           {"needed", SHEET_FIGURE, needed},
                                           {"label", SHEET_WORD, label},
                                           {"sentence_vi", SHEET_FREE, sentence_vi},
                                           {"sentence_en", SHEET_FREE, sentence_en},
                                           {"target_op", SHEET_FREE, target_op},
                                           {"target", SHEET_FIGURE, target_value},
                                           {"target_year", SHEET_FIGURE, target_year},
                                           {"target_source", SHEET_FREE, target_source},
                                           {"target_note", SHEET_FREE, target_note},
                                           {"distance", SHEET_FIGURE, distance},
                                           {"met", SHEET_WORD, met},
                                           {"limit", SHEET_FIGURE, limit_value},
                                           {"limit_unit", SHEET_FREE, limit_unit},
                                           {"limit_norm", SHEET_FREE, limit_norm},
                                           {"limit_parameter", SHEET_FREE, limit_parameter},
                                           {"limit_window", SHEET_FREE, limit_window},
                                           {"owner_unit", SHEET_FREE, owner_unit},
                                           {"owner_person", SHEET_FREE, owner_person},
                                           {"model_type", SHEET_FREE, model_type},
                                           {"model_attribute", SHEET_FREE, model_attribute},
                                           {"digest", SHEET_WORD, digest},
                                           {"version", SHEET_FIGURE, version},
                                           {"replaces", SHEET_WORD, replaces},
                                           {"why", SHEET_FREE, why},
                                           {NULL, SHEET_WORD, NULL}};

/* ---- the file ----------------------------------------------------------------------------------
 */

/* A spreadsheet takes a text that begins so for a formula: an apostrophe makes it a text again. */
static bool is_formula(const char *text)
{
    return text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

static enum st put_field(struct buf *out, enum sheet_kind kind, const char *text)
{
    const char *guard = kind == SHEET_FREE && is_formula(text) ? "'" : "";
    if (!strpbrk(text, ",\"\r\n"))
        return buf_printf(out, "%s%s", guard, text);
    ERR_TRY(buf_printf(out, "\"%s", guard));
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            ERR_TRY(buf_put(out, "\"", 1));
        ERR_TRY(buf_put(out, p, 1));
    }
    return buf_put(out, "\"", 1);
}

static enum st put_line(struct buf *out, const struct report *r, const struct report_row *x)
{
    char text[NUM_TEXT_BYTES];
    for (const struct sheet_field *f = sheet_fields; f->name; f++) {
        if (f > sheet_fields)
            ERR_TRY(buf_put(out, ",", 1));
        ERR_TRY(x ? put_field(out, f->kind, f->text(r, x, text, sizeof text))
                  : buf_put(out, f->name, strlen(f->name)));
    }
    return buf_put(out, "\r\n", 2);
}

enum st sheet_csv(struct buf *out, const struct report *r, enum report_language l, struct err *e)
{
    (void)l;
    enum st st = put_line(out, r, NULL);
    for (size_t i = 0; st == ST_OK && i < r->n; i++)
        st = put_line(out, r, &r->rows[i]);
    return st == ST_OK ? st : err_set(e, st, "the report is too large for a CSV file");
}
