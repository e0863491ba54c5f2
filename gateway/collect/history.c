/* What a device was before: the configuration's `was` and `capacity`, checked and handed on. */
#include <stdlib.h>
#include <string.h>

#include "gateway/base/clk.h"
#include "gateway/collect/collect_int.h"

#define DAY_MS INT64_C(86400000)
#define DATE_CHARS 10 /* 2026-06-30 */

#define WAS(k, m) .key = (k), .offset = offsetof(struct collect_was_cfg, m)
static const struct cfg_field was_fields[] = {
    {WAS("until", until), .kind = CFG_STRING, .required = true,
     .help = "last day of it in Viet Nam (UTC+7), such as 2026-06-30"},
    {WAS("stream", stream), .kind = CFG_WORD, .words = collect_stream_words,
     .help = "waste stream that it measured then"},
    {WAS("role", role), .kind = CFG_STRING, .help = "its part in the site then"},
    {WAS("place", place), .kind = CFG_STRING, .help = "where it stood then"},
    {WAS("capacity", capacity), .kind = CFG_STRING, .help = "what its container held then"},
    {.key = NULL}};
const struct cfg_table collect_was_table = {sizeof(struct collect_was_cfg), was_fields};

static bool date_parse(const char *text, int32_t *day)
{
    int64_t ms;
    if (strlen(text) != DATE_CHARS || !clk_parse(text, &ms))
        return false;
    *day = (int32_t)(ms / DAY_MS);
    return true;
}

/* "240l", "1.1m3". */
static bool volume_parse(const char *text, struct num *litres)
{
    char digits[32];
    size_t n = strspn(text, "0123456789.");
    const char *unit = text + n + strspn(text + n, " ");
    bool cubic = strcmp(unit, "m3") == 0;
    struct num v;
    if (n >= sizeof digits || (!cubic && strcmp(unit, "l") != 0))
        return false;
    memcpy(digits, text, n);
    digits[n] = 0;
    return num_parse(digits, &v) && num_double(v) > 0 &&
           num_scale(v, num_dec(cubic ? 1000 : 1, 0), num_dec(0, 0), litres);
}

static void check_volume(struct cfg *c, char *const *text, const char *id)
{
    struct num v;
    if (*text && **text && !volume_parse(*text, &v))
        cfg_complain(c, text,
                     "device %s: capacity %s: write a volume above 0 in l or m3, such as 240l or "
                     "1.1m3",
                     id, *text);
}

void collect_check_history(struct cfg *c, const struct collect_device_cfg *d)
{
    const struct collect_was_cfg *was = d->was.v;
    int32_t before = INT32_MIN;
    check_volume(c, &d->capacity, d->id);
    for (size_t i = 0; i < d->was.n; i++) {
        int32_t day;
        check_volume(c, &was[i].capacity, d->id);
        if (!cfg_given(c, &was[i].stream) && !cfg_given(c, &was[i].role) &&
            !cfg_given(c, &was[i].place) && !cfg_given(c, &was[i].capacity))
            cfg_complain(c, &was[i],
                         "device %s: was says nothing of the time until %s: give what was another "
                         "then, stream, role, place or capacity",
                         d->id, was[i].until);
        if (!*was[i].until)
            continue; /* missing, which is said already */
        if (!date_parse(was[i].until, &day)) {
            cfg_complain(c, &was[i].until,
                         "device %s: until %s: write a day as year-month-day, such as 2026-06-30",
                         d->id, was[i].until);
            continue;
        }
        if (day <= before)
            cfg_complain(c, &was[i].until,
                         "device %s: until %s is not behind the one before: write the times in "
                         "order, each with its own last day",
                         d->id, was[i].until);
        before = day;
    }
}

static struct num volume_of(const char *text)
{
    struct num v;
    return text && volume_parse(text, &v) ? v : (struct num){.kind = NUM_NONE};
}

enum st collect_history(const struct collect_device_cfg *d, struct store_device *to,
                        struct store_was **out, struct err *e)
{
    const struct collect_was_cfg *was = d->was.v;
    to->capacity = volume_of(d->capacity);
    *out = NULL;
    if (d->was.n == 0)
        return ST_OK;
    *out = calloc(d->was.n, sizeof **out);
    if (!*out)
        return err_set(e, ST_MEMORY, "device %s: no memory", d->id);
    for (size_t i = 0; i < d->was.n; i++) {
        struct store_was *w = &(*out)[i];
        w->stream = was[i].stream ? collect_stream_text(was[i].stream) : to->stream;
        w->role = was[i].role ? was[i].role : to->role;
        w->place = was[i].place ? was[i].place : to->place;
        w->capacity = was[i].capacity ? volume_of(was[i].capacity) : to->capacity;
        (void)date_parse(was[i].until, &w->until_day);
    }
    to->was = *out;
    to->nwas = (uint32_t)d->was.n;
    return ST_OK;
}
