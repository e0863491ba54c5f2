/* What a status may say: in a profile, and in words. */
#include <stdio.h>
#include <string.h>

#include "gateway/collect/collect_int.h"

static const struct cfg_word severity_words[] = {{"none", COLLECT_UNSAID},
                                                 {"info", STORE_INFO},
                                                 {"warning", STORE_WARNING},
                                                 {"error", STORE_ERROR},
                                                 {NULL, 0}};

/* A state and a bit differ in the key of their number alone. */
#define STATE(k, m) .key = k, .offset = offsetof(struct collect_state, m)
#define STATE_NAME                                                                                 \
    STATE("name", name), .kind = CFG_STRING, .required = true, .help = "what it means"
#define STATE_SEVERITY                                                                             \
    STATE("severity", severity), .kind = CFG_WORD, .dflt = "info", .words = severity_words,        \
                                 .help = "of the event; error: the device is faulty; none: a bit " \
                                         "that is no news"
#define STATE_TODO STATE("do", todo), .kind = CFG_STRING, .help = "what is to be done then"
static const struct cfg_field state_fields[] = {
    {STATE("value", value), .kind = CFG_INT, .required = true, .min = -2147483648.0,
     .max = 4294967295.0, .help = "what the register holds then"},
    {STATE_NAME},
    {STATE_SEVERITY},
    {STATE_TODO},
    {.key = NULL}};
static const struct cfg_field bit_fields[] = {{STATE("bit", value), .kind = CFG_INT,
                                               .required = true, .min = 0, .max = 63,
                                               .help = "its number; 0 is the lowest"},
                                              {STATE_NAME},
                                              {STATE_SEVERITY},
                                              {STATE_TODO},
                                              {.key = NULL}};
const struct cfg_table collect_state_table = {sizeof(struct collect_state), state_fields};
const struct cfg_table collect_bit_table = {sizeof(struct collect_state), bit_fields};

/* ---- checks ------------------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static void check_state_text(struct cfg *c, const struct collect_point *p, char *const *text,
                             size_t most)
{
    if (*text && (strlen(*text) > most || !is_plain(*text)))
        cfg_complain(c, text, "%s: at most %zu bytes in one line", p->name, most);
}

void collect_state_check(struct cfg *c, const struct collect_point *p)
{
    const struct collect_type_info *t = &collect_types[p->type];
    const struct cfg_items *all = p->states.n > 0 ? &p->states : &p->bits;
    const struct collect_state *v = all->v;
    bool bits = all == &p->bits, one = t->form == COLLECT_BIT;
    if (all->n == 0)
        return;
    if (p->states.n > 0 && p->bits.n > 0)
        cfg_complain(c, &p->bits, "%s: a status has states or bits, not both", p->name);
    if (p->identity || (bits ? t->form != COLLECT_UNSIGNED
                             : t->form != COLLECT_UNSIGNED && t->form != COLLECT_SIGNED && !one))
        cfg_complain(c, all, "%s: %s are of an integer%s", p->name, bits ? "bits" : "states",
                     bits ? " without sign" : " or a bit");
    if (num_cmp(p->scale, num_dec(1, 0)) != 0 || num_cmp(p->offset, num_dec(0, 0)) != 0)
        cfg_complain(c, all, "%s: a status has no scale and no offset", p->name);
    if (all->n > COLLECT_STATES_MAX)
        cfg_complain(c, all, "%s: at most %d of them", p->name, COLLECT_STATES_MAX);
    for (size_t i = 0; i < all->n && i < COLLECT_STATES_MAX; i++) {
        if (bits && t->regs > 0 && v[i].value >= 16 * t->regs)
            cfg_complain(c, &v[i].value, "%s: a %s has no bit %lld", p->name,
                         collect_type_words[p->type].word, (long long)v[i].value);
        if (!bits && v[i].severity == COLLECT_UNSAID)
            cfg_complain(c, &v[i].severity, "%s: a state is always told: info", p->name);
        for (size_t k = 0; k < i; k++)
            if (v[k].value == v[i].value)
                cfg_complain(c, &v[i].value, "%s: %lld stands twice", p->name,
                             (long long)v[i].value);
        check_state_text(c, p, &v[i].name, COLLECT_STATE_BYTES);
        check_state_text(c, p, &v[i].todo, COLLECT_ADVICE_BYTES);
    }
}

/* ---- in words ------------------------------------------------------------------------------ */

bool collect_append(char *text, size_t n, size_t spare, const char *join, const char *word)
{
    size_t have = strlen(text), more = strlen(word) + (have > 0 ? strlen(join) : 0);
    if (have + more + spare >= n)
        return false;
    (void)snprintf(text + have, n - have, "%s%s", have > 0 ? join : "", word);
    return true;
}

static const struct collect_state *find(const struct cfg_items *all, int64_t value)
{
    const struct collect_state *v = all->v;
    for (size_t i = 0; i < all->n; i++)
        if (v[i].value == value)
            return &v[i];
    return NULL;
}

uint64_t collect_told_bits(const struct collect_point *p)
{
    const struct collect_state *v = p->bits.v;
    uint64_t mask = UINT64_MAX;
    for (size_t i = 0; i < p->bits.n; i++)
        if (v[i].severity == COLLECT_UNSAID)
            mask &= ~(UINT64_C(1) << v[i].value);
    return mask;
}

/* One state or bit of a value: its word, and how bad it is. */
static const char *name_of(const struct collect_state *is, const char *kind, int64_t value,
                           char number[32], int *severity, const char **todo)
{
    int bad = is ? is->severity : STORE_WARNING;
    if (bad > *severity) {
        *severity = bad;
        *todo = is ? is->todo : NULL;
    } else if (bad == *severity && !*todo && is) {
        *todo = is->todo;
    }
    (void)snprintf(number, 32, "%s %lld", kind, (long long)value);
    return is ? is->name : number;
}

void collect_state_words(const struct collect_point *p, uint64_t v, uint64_t but, char *text,
                         size_t n, int *severity, const char **todo)
{
    char number[32];
    unsigned left = 0;
    *severity = STORE_INFO;
    *todo = NULL;
    *text = '\0';
    if (p->states.n > 0) {
        (void)snprintf(
            text, n, "%s",
            name_of(find(&p->states, (int64_t)v), "state", (int64_t)v, number, severity, todo));
        return;
    }
    v &= collect_told_bits(p);
    for (int bit = 0; bit < 64; bit++) {
        uint64_t one = UINT64_C(1) << bit;
        int known = STORE_ERROR;
        const char *nothing = "";
        if (!(v & one))
            continue;
        const char *name = name_of(find(&p->bits, bit), "bit", bit, number,
                                   but & one ? &known : severity, but & one ? &nothing : todo);
        left += !collect_append(text, n, sizeof " + 63 more", " + ", name);
    }
    if (left > 0) {
        (void)snprintf(number, sizeof number, "%u more", left);
        (void)collect_append(text, n, 0, " + ", number);
    }
    if (*text == '\0')
        (void)snprintf(text, n, "none");
}
