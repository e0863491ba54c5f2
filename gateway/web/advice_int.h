/* Private to the web room: the first sentence. What the gateway knows comes in (advice_told.c,
 * advice.c), pieces of advice come out, the most important first (advice_look.c for buses, devices
 * and values, advice_site.c for the rest), and are said by the tables of ui/lang/ (advice_say.c).
 */
#ifndef GATEWAY_WEB_ADVICE_INT_H
#define GATEWAY_WEB_ADVICE_INT_H

#include "gateway/web/web_int.h"

enum web_advice_level { WEB_GOOD, WEB_LOOK, WEB_ACT };
#define ADVICE(code, level) WEB_ADVICE_##code,
enum web_advice_code {
#include "gateway/web/advice.def"
    WEB_ADVICE_COUNT
};
#undef ADVICE
struct web_advice_kind {
    const char *code;
    enum web_advice_level level;
};
extern const struct web_advice_kind web_advice_kinds[WEB_ADVICE_COUNT]; /* in order */
/* The code of that name; dflt for NULL and for a name that is none. */
enum web_advice_code web_advice_code_of(const char *name, enum web_advice_code dflt);

/* A blank of the sentence, or what a page needs beside it. */
#define WEB_PARAM_BYTES 96
struct web_param {
    const char *key;
    bool number;
    int64_t v;
    char text[WEB_PARAM_BYTES]; /* UTF-8, one line, without what steers a terminal */
};
#define WEB_PARAMS_MAX 12
struct web_advice {
    enum web_advice_code code;
    const char *about; /* what it is about: of two with the same code and about one is kept */
    size_t n;
    struct web_param p[WEB_PARAMS_MAX];
};
/* The first ones in order; what does not fit is counted. */
#define WEB_ADVICE_MAX 16
struct web_advices {
    size_t n;
    int64_t left_off;
    struct web_advice v[WEB_ADVICE_MAX];
};

/* What the gateway knows at one moment. Borrowed. */
struct web_known {
    struct store *store;
    struct clk_time now;
    struct mono mono;
    struct store_stats stats;
    const struct web_uplink *up;
    size_t nup;
    struct store_set_aside refused; /* batches 0: none */
    char due[80];                   /* the first that is due and not configured; "" */
    const struct web_told *told;
    int64_t disk_free_bytes, disk_bytes; /* of the store's disk; disk_bytes 0: not known */
};
/* Never empty: all_well when there is nothing else. Pure, but for the store's board. */
void web_advise(const struct web_known *k, struct web_advices *out);

/* Of the one list that is filled: a new piece in its place, to be given params; NULL: it is there
 * already, or there are WEB_ADVICE_MAX more important ones. Valid until the next call. */
struct web_advice *web_advice_add(struct web_advices *all, enum web_advice_code code,
                                  const char *about);
/* Takes NULL for a, and then does nothing; so do the others. */
void web_param_text(struct web_advice *a, const char *key, const char *text);
void web_param_int(struct web_advice *a, const char *key, int64_t v);
/* `time` and `date` as people in Viet Nam write them (UTC+7; the year where it is another than
 * now's), since_ms, and age_ms, where these are known. */
void web_param_since(struct web_advice *a, int64_t ms, struct clk_time now);
/* One line of plain text: controls, and what turns the direction of writing, become spaces; bytes
 * that are no UTF-8 become U+FFFD; what is too long ends with an ellipsis. n > 4. */
void web_plain(char *out, size_t n, const char *text);

void web_advise_lines(const struct web_known *k, struct web_advices *all);
void web_advise_site(const struct web_known *k, struct web_advices *all);

/* Looks at the events that are new since the last time. */
enum st web_told_look(struct web_told *t, struct store_reader *r, struct err *e) ST_MUST_CHECK;
/* When that was told, in UTC; 0: it is not known. It is of this run, or of another. */
int64_t web_told_ms(const struct web_told *t, enum web_told_kind kind, struct clk_time now,
                    struct mono mono);

#endif
