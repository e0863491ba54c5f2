/* A made-up site in a real store: a good meter, an air station with a doubtful value, a bin that
 * has gone silent, a device with a hostile name, a ping. Header only; used by the unit tests and by
 * test-web-site. Every step that fails ends the program. */
#ifndef TESTS_GATEWAY_WEB_SITE_H
#define TESTS_GATEWAY_WEB_SITE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/base/thr.h"
#include "gateway/web/web.h"
#include "tests/support/temp.h"

#define SITE_HOSTILE "<img src=x onerror=alert(1)>\" & </script>"
#define SITE_SILENT_MS (10 * 60 * 1000)

struct site {
    char dir[64], path[96];
    char at[64], cert[128]; /* where it listens, and what it is verified with */
    char console[WEB_TOKEN_TEXT];
    struct clk clk;
    _Atomic int64_t back_ms; /* how far behind the real clocks the injected ones are now */
    struct store *store;
    struct web *web;
    struct web_uplink uplink;
    enum st acked;
};

/* What a test adds: devices (rooms is NULL), then what the rooms tell. NULL: nothing. */
static void (*site_more)(struct site *s, struct web_rooms *rooms);

#define SITE_TRY(x)                                                                                \
    do {                                                                                           \
        struct err e_ = {.text = ""}, *e = &e_;                                                    \
        (void)e;                                                                                   \
        if ((x) != ST_OK) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, e_.text);                   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct clk_time site_now(void *ctx)
{
    const struct site *s = ctx;
    return (struct clk_time){clk_now(clk_real()).utc_ms - s->back_ms, CLK_SYNCED, 0};
}

static struct mono site_mono(void *ctx)
{
    const struct site *s = ctx;
    return (struct mono){clk_mono(clk_real()).ms - s->back_ms};
}

static size_t site_uplinks(void *ctx, struct web_uplink *out, size_t max)
{
    const struct site *s = ctx;
    if (max > 0)
        out[0] = s->uplink;
    return max > 0;
}

static size_t site_messages(void *ctx, struct web_message out[WEB_MESSAGES_MAX],
                            char card[WEB_CARD_BYTES])
{
    (void)ctx;
    strcpy(card, "4321");
    out[0] = (struct web_message){.from = "Viettel", .at_ms = INT64_C(1795000000000)};
    snprintf(out[0].text, sizeof out[0].text, "Gói data đã hết. %s", SITE_HOSTILE);
    return 1;
}

static uint32_t site_device(struct site *s, const char *id, const char *name, const char *place,
                            const char *source, const char *address, const char *model,
                            int64_t period_ms)
{
    uint32_t i = 0;
    const struct store_device d = {.id = id,
                                   .name = name,
                                   .place = place,
                                   .source = source,
                                   .address = address,
                                   .model = model,
                                   .period_ms = period_ms};
    SITE_TRY(store_add_device(s->store, &d, &i, e));
    return i;
}

static void site_series(struct site *s, uint32_t device, const char *point, const char *quantity)
{
    uint32_t i;
    const struct store_series d = {.device = device,
                                   .point = point,
                                   .quantity = quantity_by_key(quantity),
                                   .period_ms = store_device_at(s->store, device)->period_ms};
    SITE_TRY(store_add_series(s->store, &d, &i, e));
}

static void site_put(struct site *s, uint32_t device, const struct store_value *v, uint32_t n)
{
    int64_t t = site_now(s).utc_ms;
    const struct store_poll p = {device, t, t, CLK_SYNCED, STORE_DEVICE, n};
    SITE_TRY(store_put(s->store, &p, v, 0));
}

static void site_health(struct site *s, uint32_t device, enum store_state state, const char *text)
{
    struct store_health h = {.state = state,
                             .since_ms = site_now(s).utc_ms,
                             .polls = 1234,
                             .failures = state == STORE_GOOD ? 0 : 61,
                             .answer_ms = 42,
                             .heard = {.asked = state == STORE_GOOD ? 120 : 0, .good = 119}};
    snprintf(h.text, sizeof h.text, "%s", text);
    store_health_set(s->store, device, &h);
}

enum { SITE_METER, SITE_AIR, SITE_BIN, SITE_HOSTILE_DEVICE, SITE_PING, SITE_MODEM, SITE_DEVICES };

/* With EN-DC both cells serve; the 5G cell's number is not said. */
static const struct {
    const char *point, *quantity;
    int64_t v;
    bool none;
} site_modem[] = {{"state", "modem_state", 0, false},
                  {"registration", "registration", 1, false},
                  {"technology", "radio_technology", 13, false},
                  {"operator", "radio_operator", 45204, false},
                  {"rsrp", "rsrp", -97, false},
                  {"sinr", "sinr", 11, false},
                  {"nr_rsrp", "rsrp", -104, false},
                  {"nr_cell", "radio_cell", 0, true}};
#define SITE_MODEM_POINTS (sizeof site_modem / sizeof *site_modem)
#define SITE_MODEM_SERIES 9 /* of the first */

static void site_declare(struct site *s)
{
    site_device(s, "meter-1", "Công tơ tầng 1", NULL, "rs485-1", "rs485-1 unit 1", "eastron-sdm630",
                10000);
    site_series(s, SITE_METER, "voltage_l1", "voltage");
    site_series(s, SITE_METER, "voltage_l2", "voltage");
    site_series(s, SITE_METER, "frequency", "frequency");
    site_device(s, "air-1", "Trạm khí cổng chợ", "cổng chợ", "plant", "192.168.1.20:502 unit 7",
                "renke-weather", 60000);
    site_series(s, SITE_AIR, "pm25", "pm25");
    site_series(s, SITE_AIR, "temperature", "temperature");
    site_device(s, "bin-1", "Thùng rác thực phẩm", "sân sau", "rs485-1", "rs485-1 unit 9",
                "laumas-loadcell", 60000);
    site_series(s, SITE_BIN, "weight", "weight");
    site_device(s, "odd-1", SITE_HOSTILE, SITE_HOSTILE, "plant", "192.168.1.20:502 unit 8",
                SITE_HOSTILE, 1000);
    site_series(s, SITE_HOSTILE_DEVICE, "raw", "number");
    site_device(s, "internet", "Ra internet", NULL, "connectivity", "203.0.113.1", "ping", 60000);
    site_series(s, SITE_PING, "latency", "latency");
    site_series(s, SITE_PING, "loss", "packet_loss");
    site_device(s, "modem", "Modem 5G", NULL, "connectivity", "/dev/ttyUSB2", "modem", 60000);
    for (size_t i = 0; i < SITE_MODEM_POINTS; i++)
        site_series(s, SITE_MODEM, site_modem[i].point, site_modem[i].quantity);
    if (site_more)
        site_more(s, NULL);
}

/* Ten minutes ago the bin spoke for the last time; then everybody else did, just now. */
static void site_fill(struct site *s)
{
    s->back_ms = SITE_SILENT_MS;
    site_put(s, SITE_BIN, (struct store_value[]){{num_dec(4125, -2), 5, 0}}, 1);
    site_health(s, SITE_BIN, STORE_SILENT,
                "no answer within 500 ms, 61 times: check power and wires");
    s->back_ms = 0;
    site_put(s, SITE_BIN, (struct store_value[]){{.series = 5}}, 1);
    site_put(s, SITE_METER,
             (struct store_value[]){
                 {num_dec(23012, -2), 0, 0}, {num_flt(229.5), 1, 0}, {num_dec(4998, -2), 2, 0}},
             3);
    site_put(
        s, SITE_AIR,
        (struct store_value[]){{num_dec(12345, -1), 3, WIRE_Q_LIMITS}, {num_dec(315, -1), 4, 0}},
        2);
    site_put(s, SITE_HOSTILE_DEVICE,
             (struct store_value[]){
                 {num_dec(INT64_C(9007199254740993), 0), 6, WIRE_Q_STUCK | WIRE_Q_HAND}},
             1);
    site_put(s, SITE_PING,
             (struct store_value[]){{num_dec(12345, -3), 7, 0}, {num_dec(333, -1), 8, 0}}, 2);
    struct store_value radio[SITE_MODEM_POINTS];
    for (uint32_t i = 0; i < SITE_MODEM_POINTS; i++) {
        radio[i] = (struct store_value){.series = SITE_MODEM_SERIES + i};
        if (!site_modem[i].none)
            radio[i].v = num_dec(site_modem[i].v, 0);
    }
    site_put(s, SITE_MODEM, radio, SITE_MODEM_POINTS);
    site_health(s, SITE_METER, STORE_GOOD, "");
    SITE_TRY(store_findings_set(
        s->store, SITE_METER,
        &(struct store_finding){.code = "weak",
                                .fault = "Only these answer damaged.",
                                .advice = "Check terminals.",
                                .since_ms = site_now(s).utc_ms,
                                .devices = "bin-1 (unit 9)",
                                .seen = "of 120 requests 100 answered, 20 damaged",
                                .also = ""},
        1));
    site_health(s, SITE_AIR, STORE_GOOD, "");
    site_health(s, SITE_HOSTILE_DEVICE, STORE_LATE, SITE_HOSTILE);
    site_health(s, SITE_PING, STORE_GOOD, "");
    site_health(s, SITE_MODEM, STORE_GOOD, "");
    store_event(s->store, STORE_WARNING, "device.silent", "bin-1", "no answer: \"%s\"",
                SITE_HOSTILE);
    store_event(s->store, STORE_INFO, "start", "", "started");
}

static const uint8_t site_chain[WIRE_ID_BYTES] = {0xab, 1, 2, 3, 4, 5, 6, 7};

static void site_ack(void *arg)
{
    struct site *s = arg;
    s->acked = store_ack(s->store, 0, site_chain, 1, true, (struct wire_span){site_chain, 8}, NULL);
}

/* One batch, sealed and acknowledged; this thread is the writer meanwhile. */
static void site_seal(struct site *s)
{
    struct store_chain c = {.last_seq = 0};
    struct thr t;
    memcpy(c.id, site_chain, sizeof c.id);
    SITE_TRY(store_step(s->store, true, e));
    SITE_TRY(store_chain_begin(s->store, &c, e));
    const struct store_sealed b = {.chain = site_chain,
                                   .seq = 1,
                                   .kind = WIRE_DATA,
                                   .from_ms = 0,
                                   .to_ms = 300000,
                                   .n = 1,
                                   .packed = {site_chain, sizeof site_chain}};
    const struct store_frame *frames;
    size_t n = store_frames(s->store, &frames);
    bool *use = calloc(n + 1, sizeof *use);
    SITE_TRY(use ? ST_OK : ST_MEMORY);
    SITE_TRY(store_seal(s->store, &b, use, NULL, 0, e));
    free(use);
    s->acked = ST_BUSY;
    SITE_TRY(thr_start(&t, "ack", site_ack, s, e));
    for (int i = 0; i < 100; i++) { /* the call is queued once the thread runs */
        SITE_TRY(store_step(s->store, true, e));
        store_wait(s->store, (struct mono){site_mono(s).ms + 10});
    }
    thr_join(&t);
    SITE_TRY(s->acked);
}

__attribute__((unused)) static void site_open(struct site *s, const char *listen)
{
    memset(s, 0, sizeof *s);
    SITE_TRY(mkdtemp(temp_name(s->dir, sizeof s->dir)) ? ST_OK : ST_IO);
    snprintf(s->path, sizeof s->path, "%s/store.db", s->dir);
    s->clk = (struct clk){site_now, site_mono, NULL, s};
    s->uplink = (struct web_uplink){.id = "city",
                                    .online = true,
                                    .required = true,
                                    .sent = 7,
                                    .acknowledged = 7,
                                    .bytes = 4321,
                                    .wire_bytes = 9876,
                                    .month_bytes = 123456,
                                    .budget_bytes = 500000000,
                                    .last_ok_ms = clk_now(clk_real()).utc_ms};
    const struct store_cfg sc = {
        .path = s->path, .max_size_bytes = 1 << 30, .keep_ms = 86400000, .journal_every_ms = 10000};
    uint32_t up;
    SITE_TRY(store_open(&s->store, &sc, "tra-cau-01", &s->clk, e));
    site_declare(s);
    SITE_TRY(store_add_uplink(s->store, "city", true, &up, e));
    SITE_TRY(store_start(s->store, e));
    site_fill(s);
    site_seal(s);
    snprintf(s->at, sizeof s->at, "%s", listen);
    const struct web_cfg wc = {.listen = s->at};
    struct web_site ws = {.id = "tra-cau-01",
                          .name = "UBND phường Trà Câu",
                          .territory = "21451",
                          .language = "vi",
                          .version = "0.1.0",
                          .lat = 14.82,
                          .lon = 108.95,
                          .located = true,
                          .rooms = {.messages = site_messages},
                          .uplinks = site_uplinks,
                          .uplinks_ctx = s};
    if (site_more)
        site_more(s, &ws.rooms);
    SITE_TRY(web_open(&s->web, &wc, &ws, s->store, &s->clk, e));
    snprintf(s->cert, sizeof s->cert, "%s" WEB_TLS_CERT, s->path);
    SITE_TRY(web_console_read(s->path, s->console, e));
}

/* A user whose password takes no time. */
static inline void site_user(struct site *s, const char *name, enum web_role role,
                             const char *password)
{
    struct web_secret secret;
    SITE_TRY(web_secret_new(&secret, e));
    secret.rounds = 1;
    web_secret_hash(&secret, password, secret.hash);
    const struct web_user_put p = {
        .name = name, .role = &role, .secret = &secret, .how = WEB_USER_SET, .force = true};
    SITE_TRY(web_user_put(s->path, &p, "test", site_now(s), e));
}

static void site_close(struct site *s)
{
    web_close(s->web);
    store_stop(s->store);
    store_close(s->store);
    temp_done(strdup(s->dir));
}

#endif
