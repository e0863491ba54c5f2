/* Rows of a report: what the catalogue says of an indicator, and what its hours or days come to. */
#include <gmp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/indicator/report_int.h"

/* ---- targets -----------------------------------------------------------------------------------
 */

/* That of the year; else the next ahead, for plans name every fifth year; else the last behind,
 * which nobody took back. */
const struct indicator_target *report_target_of(const struct indicator_def *d,
                                                const struct report_territory *t, int year)
{
    const struct indicator_target *best = NULL, *all = d->targets.v;
    for (size_t i = 0; i < d->targets.n; i++) {
        const struct indicator_target *x = &all[i];
        if (!report_territory_is(t, x->territory))
            continue;
        bool ahead = x->year >= year, best_ahead = best && best->year >= year;
        if (!best || (ahead && !best_ahead) || (ahead && best_ahead && x->year < best->year) ||
            (!ahead && !best_ahead && x->year > best->year))
            best = x;
    }
    return best;
}

static enum st set_target(struct report *r, struct report_row *x, const struct indicator_def *d,
                          const struct report_territory *t)
{
    static const char *const ops[] = {
        [INDICATOR_LT] = "<",  [INDICATOR_LE] = "<=", [INDICATOR_GT] = ">",
        [INDICATOR_GE] = ">=", [INDICATOR_EQ] = "=",  [INDICATOR_NE] = "!="};
    const struct indicator_target *g = report_target_of(d, t, r->period.year);
    x->target = (struct report_target){.op = "", .source = "", .note = ""};
    if (!g)
        return ST_OK;
    x->target = (struct report_target){.op = ops[g->op],
                                       .value = g->value,
                                       .year = g->year,
                                       .source = report_text(r, g->source),
                                       .note = report_text(r, g->note)};
    return x->target.source && x->target.note ? ST_OK : ST_MEMORY;
}

static enum st set_limit(struct report *r, struct report_row *x, const struct indicator_def *d,
                         const struct indicator_catalogue *c)
{
    const struct indicator_norm *n = d->limit.norm ? indicator_norm_find(c, d->limit.norm) : NULL;
    const struct indicator_limit *l =
        n ? indicator_limit_on(n, d->limit.parameter, d->limit.window, r->until_day) : NULL;
    x->limit = (struct report_limit){.norm = "", .parameter = "", .window = "", .unit = ""};
    if (!l)
        return ST_OK;
    x->limit = (struct report_limit){.norm = report_text(r, n->id),
                                     .parameter = report_text(r, l->parameter),
                                     .window = report_text(r, l->window),
                                     .unit = report_text(r, l->unit),
                                     .value = l->value};
    return x->limit.norm && x->limit.parameter && x->limit.window && x->limit.unit ? ST_OK
                                                                                   : ST_MEMORY;
}

/* ---- reasons -----------------------------------------------------------------------------------
 */

static const struct reason {
    const char *word, *text[REPORT_LANGUAGES];
} target_alone = {"target", {"", ""}},
  absent = {"absent",
            {"Điểm đo này không có thiết bị cho chỉ tiêu", "This site has no device for it"}},
  not_begun = {"not_begun",
               {"Kỳ báo cáo chưa có ngày nào kết thúc", "No day of the period is over"}},
  no_days = {"no_days",
             {"Trong kỳ chưa có ngày nào được tính", "No day of the period was computed"}},
  not_joined = {"not_joined",
                {"Chỉ có theo giờ hoặc ngày, không gộp theo kỳ",
                 "By the hour or day alone: it is not joined over periods"}};

/* The words of fold_reason_text in sentences. */
static const char *const folded[FOLD_REASONS][REPORT_LANGUAGES] = {
    [FOLD_OK] = {"", ""},
    [FOLD_INCOMPLETE] = {"Không đủ số liệu", "Too few readings"},
    [FOLD_MISSING] = {"Thiếu số liệu đầu vào", "What it is computed from is missing"},
    [FOLD_DIVISION] = {"Mẫu số bằng 0", "Its denominator is 0"},
    [FOLD_COUNTER] = {"Công tơ nhảy số bất thường", "A counter jumped"},
    [FOLD_RANGE] = {"Số quá lớn", "A number is too large"},
    [FOLD_NORM] = {"Không có giới hạn nào còn hiệu lực", "No limit is valid"},
    [FOLD_NO_HOURS] = {"Không có giờ nào đủ số liệu", "No hour has enough readings"}};

static void say(struct report_row *x, const struct reason *why)
{
    x->reason = why->word;
    for (int l = 0; l < REPORT_LANGUAGES; l++)
        x->reason_text[l] = why->text[l];
}

static void say_folded(struct report_row *x, enum fold_reason why)
{
    x->reason = why == FOLD_OK ? "" : fold_reason_text[why];
    for (int l = 0; l < REPORT_LANGUAGES; l++)
        x->reason_text[l] = folded[why][l];
}

/* ---- what the catalogue says --------------------------------------------------------------------
 */

enum st report_row_of(struct report *r, struct report_row *x, const struct indicator_def *d,
                      const struct indicator_catalogue *c, const struct report_territory *t,
                      struct err *e)
{
    const bool computed = d->formula || d->numerator;
    *x = (struct report_row){.instance = "",
                             .about = "",
                             .decimals = d->q ? d->q->decimals : 0,
                             .label = (enum report_label)d->label,
                             .value = {.kind = NUM_NONE},
                             .numerator = "",
                             .denominator = "",
                             .needed = computed ? d->completeness : 0};
    const struct {
        const char **to, *from;
    } texts[] = {{&x->id, d->id},
                 {&x->name[REPORT_VI], d->name.vi},
                 {&x->name[REPORT_EN], d->name.en},
                 {&x->sentence[REPORT_VI], d->sentence.vi},
                 {&x->sentence[REPORT_EN], d->sentence.en},
                 {&x->unit, d->unit},
                 {&x->owner_unit, d->owner.unit},
                 {&x->owner_person, d->owner.person},
                 {&x->model_type, d->model.type},
                 {&x->model_attribute, d->model.attribute}};
    bool good = true;
    say(x, computed ? &absent : &target_alone);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good &= (*texts[i].to = report_text(r, texts[i].from)) != NULL;
    if (!computed) {
        good &= (x->reason_text[REPORT_VI] = report_text(r, d->reason.vi)) != NULL;
        good &= (x->reason_text[REPORT_EN] = report_text(r, d->reason.en)) != NULL;
    }
    good = good && set_target(r, x, d, t) == ST_OK && set_limit(r, x, d, c) == ST_OK;
    return good ? ST_OK : err_set(e, ST_MEMORY, "no memory for a report");
}

/* ---- its figures
 * --------------------------------------------------------------------------------- */

struct join {
    struct longer *longer;
    int64_t step_ms, next_ms; /* the period that is expected next */
    uint64_t due, good;       /* of all of them */
    bool known;               /* how much a period owes: as the one before, or else the first */
    uint64_t owes;
    size_t n;
    struct report_run *runs;
    size_t nruns, room;
    struct fold_result nothing;
    struct err *e;
};

static enum st skip_to(struct join *j, int64_t to_ms)
{
    j->nothing.due = j->owes;
    for (; j->next_ms < to_ms; j->next_ms += j->step_ms) {
        j->nothing.from_ms = j->next_ms;
        j->nothing.to_ms = j->next_ms + j->step_ms;
        j->due += j->owes;
        ERR_TRY(longer_add(j->longer, &j->nothing, j->e));
    }
    return ST_OK;
}

/* Days that follow each other and are of one revision are one run; hours of one day add theirs. */
static enum st note(struct join *j, int32_t day, uint32_t revision)
{
    struct report_run *last = j->nruns > 0 ? &j->runs[j->nruns - 1] : NULL;
    if (last && last->day + last->days - 1 == day) { /* another hour of that day */
        if (revision == 0)
            return ST_OK;
        revision += last->revision;
        j->nruns -= --last->days == 0;
        last = j->nruns > 0 ? &j->runs[j->nruns - 1] : NULL;
    }
    if (last && last->day + last->days == day && last->revision == revision) {
        last->days++;
        return ST_OK;
    }
    if (!j->runs || j->nruns == j->room) {
        size_t room = j->room ? 2 * j->room : 16;
        struct report_run *more = realloc(j->runs, room * sizeof *more);
        if (!more)
            return err_set(j->e, ST_MEMORY, "no memory for a report");
        j->runs = more;
        j->room = room;
    }
    j->runs[j->nruns++] = (struct report_run){.day = day, .days = 1, .revision = revision};
    return ST_OK;
}

static enum st take(void *ctx, const struct report_figure *f)
{
    struct join *j = ctx;
    if (f->from_ms < j->next_ms) /* no period begins within another */
        return ST_OK;
    j->owes = j->known ? j->owes : f->r->due;
    j->known = true;
    ERR_TRY(skip_to(j, f->from_ms));
    j->owes = f->r->due;
    j->due += f->r->due;
    j->good += f->r->good;
    j->next_ms = f->from_ms + j->step_ms;
    j->n++;
    ERR_TRY(note(j, indicator_day_of(f->from_ms), f->revision));
    return longer_add(j->longer, f->r, j->e);
}

/* A rational as the report's text; NULL: no memory. */
static const char *exact(struct report *r, bool there, mpq_srcptr v)
{
    char *text = there ? mpq_get_str(NULL, 10, v) : NULL;
    const char *out = !there ? "" : text ? report_text(r, text) : NULL;
    void (*release)(void *, size_t) = NULL;
    mp_get_memory_functions(NULL, NULL, &release);
    if (text)
        release(text, strlen(text) + 1);
    return out;
}

static enum st conclude(struct report *r, struct report_row *x, struct join *j,
                        struct fold_result *all)
{
    ERR_TRY(longer_result(j->longer, all, j->e));
    x->numerator = exact(r, all->has_num, all->num);
    x->denominator = exact(r, all->has_den, all->den);
    if (!x->numerator || !x->denominator)
        return err_set(j->e, ST_MEMORY, "no memory for a report");
    x->value = all->value;
    say_folded(x, all->reason);
    return ST_OK;
}

static void compare(struct report_row *x, const struct indicator_target *g)
{
    if (!g || x->value.kind == NUM_NONE)
        return;
    x->target.distance = indicator_distance(x->value, g->value);
    x->target.met = indicator_met(x->value, (enum indicator_op)g->op, g->value);
}

static enum st fill(struct report *r, struct report_row *x, const struct report_source *s,
                    struct join *j, bool joined)
{
    struct fold_result all;
    const int64_t from_ms = indicator_day_ms(r->period.from_day);
    const int64_t to_ms = indicator_day_ms(r->until_day + 1);
    j->next_ms = from_ms;
    enum st st = s->figures(s->ctx, x->instance, from_ms, to_ms, take, j, j->e);
    if (st == ST_OK && j->n == 0) {
        say(x, &no_days);
        return ST_OK;
    }
    if (st == ST_OK)
        st = skip_to(j, to_ms);
    if (st == ST_FULL) { /* a sum that nothing holds any more */
        say_folded(x, FOLD_RANGE);
        return ST_OK;
    }
    ERR_TRY(st);
    x->due = j->due;
    x->good = j->good;
    if (!joined) {
        say(x, &not_joined);
        return ST_OK;
    }
    fold_result_init(&all);
    st = conclude(r, x, j, &all);
    fold_result_done(&all);
    return st;
}

enum st report_row_fill(struct report *r, struct report_row *x, const struct indicator_def *d,
                        const struct report_territory *t, const struct report_source *s, bool *any,
                        struct err *e)
{
    struct join j = {.step_ms = d->period == INDICATOR_HOUR ? INDICATOR_HOUR_MS : INDICATOR_DAY_MS,
                     .e = e};
    *any = false;
    if (r->until_day < r->period.from_day) {
        say(x, &not_begun);
        return ST_OK;
    }
    fold_result_init(&j.nothing);
    j.nothing.reason = FOLD_MISSING;
    enum st st = longer_open(&j.longer, d, e);
    if (st == ST_OK)
        st = fill(r, x, s, &j, d->longer != INDICATOR_NONE);
    struct report_run *runs =
        st == ST_OK && j.nruns > 0 ? report_bytes(r, j.nruns * sizeof *runs) : NULL;
    if (runs)
        memcpy(runs, j.runs, j.nruns * sizeof *runs);
    else if (st == ST_OK && j.nruns > 0)
        st = err_set(e, ST_MEMORY, "no memory for a report");
    x->runs = runs;
    x->nruns = runs ? j.nruns : 0;
    *any = j.n > 0;
    if (st == ST_OK)
        compare(x, report_target_of(d, t, r->period.year));
    longer_close(j.longer);
    fold_result_done(&j.nothing);
    free(j.runs);
    return st;
}
