/* Private to the connectivity room: a modem that is asked over a serial port or through
 * ModemManager, on a thread of its own, so that nothing waits for it. */
#ifndef GATEWAY_CONNECTIVITY_MODEM_INT_H
#define GATEWAY_CONNECTIVITY_MODEM_INT_H

#include "gateway/connectivity/connectivity_int.h"
#include "gateway/connectivity/radio_int.h"

/* ---- the dialog (dialog.c): 3GPP TS 27.007, ITU-T V.250 ------------------------------------- */

#define CONNECTIVITY_LINE_BYTES 600
#define CONNECTIVITY_ANSWER_BYTES 8192 /* more to one command is noise */

struct connectivity_dialog {
    int fd;        /* -1: closed */
    bool late;     /* a command had no result: it may still come, until a quiet one is asked */
    bool stranger; /* somebody else's commands are seen */
    bool skip;     /* the line is too long: its rest is dropped */
    size_t n;
    char line[CONNECTIVITY_LINE_BYTES];
};
/* Opens the port for us alone (flock and TIOCEXCL), raw, 115200 Bd, which USB ignores.
 * ST_NOT_FOUND: there is no such port; ST_CONFLICT: another program has it; ST_IO. e says what to
 * do. */
enum st connectivity_dialog_open(struct connectivity_dialog *d, const char *port,
                                 struct err *e) ST_MUST_CHECK;
/* Takes a closed one. What waits to be sent is dropped, so that it never waits for the port. */
void connectivity_dialog_close(struct connectivity_dialog *d);
/* Sends one command and gives each line that comes to `take` (may be NULL), those that nobody asked
 * for and those of late answers, too, but not the echo, up to the result. ST_REFUSED: ERROR, +CME
 * ERROR, +CMS ERROR (given to `take` before); ST_TIMEOUT: no result, or no quiet behind it, within
 * `ms`; ST_BAD: noise without end; ST_IO: the port is gone; ST_STOPPED. */
struct connectivity_ask {
    const char *command;
    int64_t ms;
    size_t most;      /* bytes of its answer; 0: CONNECTIVITY_ANSWER_BYTES */
    int64_t quiet_ms; /* behind the result, nothing comes for so long: late answers end here; 0: it
                       * is not waited for */
    void (*take)(void *ctx, const char *line);
    void *ctx;
};
enum st connectivity_dialog_ask(struct connectivity_dialog *d, const struct connectivity_ask *q,
                                const struct thr_stop *stop) ST_MUST_CHECK;

/* ---- the operator's messages (sms.c, inbox.c; decision 0052) ------------------------------- */

/* One SMS, or one part of it. */
struct connectivity_sms {
    char from[CONNECTIVITY_MESSAGE_FROM], text[CONNECTIVITY_MESSAGE_TEXT]; /* UTF-8 */
    int64_t at_ms;    /* UTC, as the network stamped it */
    uint16_t ref;     /* that its parts share */
    uint8_t part, of; /* from 1; of 1: it is whole */
};
/* Reads an SMS-DELIVER with its service centre, in hexadecimal, as +CMGL gives it in PDU mode (3GPP
 * TS 27.005, 23.040; alphabets: 23.038). false: it is none, is not whole, or bears no text. Pure.
 */
bool connectivity_sms_read(const char *hex, struct connectivity_sms *out);
/* Whether an operator sends by that name or number: a person has a whole number. Pure. */
bool connectivity_sms_operator(const char *from);
/* Copies UTF-8 without what steers a terminal or turns text around, and cuts between characters. */
void connectivity_text_copy(char *out, size_t size, const char *utf8);
/* "2026-11-26T20:15:00+07:00", as ModemManager says it; 0: it is none. */
int64_t connectivity_sms_time(const char *text);

/* What one look finds: the newest parts that operators sent. */
#define CONNECTIVITY_PARTS_MAX 24
struct connectivity_inbox {
    size_t n;
    bool listed; /* a line of +CMGL came, its PDU is due */
    struct connectivity_sms part[CONNECTIVITY_PARTS_MAX];
};
/* Where full, the newer stays. What no operator sent is not taken. */
void connectivity_inbox_add(struct connectivity_inbox *in, const struct connectivity_sms *sms);
/* Takes one line of the answer to AT+CMGL. */
void connectivity_inbox_take(struct connectivity_inbox *in, const char *line);
/* Joins the parts; the newest message first. Returns how many. */
size_t connectivity_inbox_messages(const struct connectivity_inbox *in,
                                   struct connectivity_message out[CONNECTIVITY_MESSAGES_MAX]);

/* ---- how a modem is (modem_state.c) -------------------------------------------------------- */

/* What the series `state` says; numbers are in signed batches and never change. */
enum connectivity_modem_state {
    CONNECTIVITY_MODEM_READY = 0, /* registered */
    CONNECTIVITY_MODEM_GONE = 1,
    CONNECTIVITY_MODEM_BUSY = 2,
    CONNECTIVITY_MODEM_SILENT = 3,
    CONNECTIVITY_MODEM_ODD = 4, /* it answers, but says nothing of a network */
    CONNECTIVITY_MODEM_SIM_MISSING = 5,
    CONNECTIVITY_MODEM_SIM_PIN = 6,
    CONNECTIVITY_MODEM_SIM_PUK = 7,
    CONNECTIVITY_MODEM_SIM_LOCK = 8,
    CONNECTIVITY_MODEM_SIM_FAULT = 9,
    CONNECTIVITY_MODEM_SEARCHING = 10,
    CONNECTIVITY_MODEM_DENIED = 11,
    CONNECTIVITY_MODEM_EMERGENCY = 12,
    CONNECTIVITY_MODEM_NO_DATA = 13, /* registered, but the operator's page answers */
    CONNECTIVITY_MODEM_STATES
};
extern const struct connectivity_kind connectivity_modem_kinds[CONNECTIVITY_MODEM_STATES];
/* Of one that answered. */
enum connectivity_modem_state connectivity_modem_judge(const struct connectivity_radio *r);

/* ---- a SIM card without data (portal.c) ------------------------------------------------------ */

/* Whether the answer to a plain request for that address is an operator's page: a redirect to
 * another host, or status 511 (RFC 6585). *host: where it sends to; "". A redirect within the host,
 * or between it and its `www.`, is its own. */
#define CONNECTIVITY_HOST_BYTES 256 /* a name has 253 at most */
bool connectivity_portal_is(const char *url, int status, const char *redirect,
                            char host[CONNECTIVITY_HOST_BYTES]);
/* The host of an address, in brackets where it is IPv6's; "" when there is none. */
void connectivity_host_of(const char *url, char host[CONNECTIVITY_HOST_BYTES]);
/* Asks `check` ("GET", "HEAD") by `interface` alone (NULL: as the routes say), and says so of its
 * answer. At most 10 s. */
bool connectivity_portal_ask(const char *method, const char *check, const char *interface,
                             char host[CONNECTIVITY_HOST_BYTES], const struct thr_stop *stop);
/* Whether the interface has an address that others may answer to; not a link-local one. */
bool connectivity_has_address(const char *interface);
struct connectivity_portal {
    struct mono next;
    int64_t wait_ms; /* 0: the city is not lost */
    bool seen;
    char host[CONNECTIVITY_HOST_BYTES];
};
/* For a modem that is registered: asks `check` at once when the city is lost, then ever more seldom
 * up to each 15 min, for that costs data; answers that did not come over `interface` do not count.
 * At most 10 s. */
bool connectivity_portal_look(struct connectivity_portal *p,
                              const struct connectivity_modem_cfg *cfg,
                              const struct connectivity_job *job);

/* ---- one that ModemManager owns (manager.c) ------------------------------------------------- */

/* Signal.Setup, without which nothing is measured. polkit may refuse it for good, and a modem that
 * starts for a moment: it is asked again after ever longer waits, up to 1 h. All zero: not refused.
 */
struct connectivity_setup {
    struct mono next;
    int64_t wait_ms;
    unsigned refused; /* times in a row */
    bool told;        /* the event */
    char why[160];    /* what ModemManager said */
};
#define CONNECTIVITY_SETUP_TOLD 3 /* so often refused, it is said */

/* The messages of the first modem that ModemManager knows of, by calls of 1 s each; false: one had
 * no answer. */
bool connectivity_manager_messages(const struct thr_stop *stop, struct connectivity_inbox *in);
/* One poll over the system bus: the first modem that ModemManager knows of; its signal is measured
 * at the pace of `every_ms` from then on, and *setup is how that went. The modem's thread alone. 2
 * s at most until the bus lets us in, then three calls of 1 s; a stop waits for one call. GONE: no
 * bus, no ModemManager, or it knows of no modem; SILENT: one of them does not answer; e says which.
 */
enum connectivity_modem_state connectivity_manager_ask(int64_t every_ms,
                                                       const struct thr_stop *stop,
                                                       struct connectivity_setup *setup,
                                                       struct connectivity_radio *r, struct err *e);

/* ---- messages that go out (outbox.c, outbox_manager.c; decision 0057) ----------------------- */

#define CONNECTIVITY_NUMBERS_MAX 8
#define CONNECTIVITY_NUMBER_BYTES 17
struct connectivity_numbers {
    size_t n;
    char v[CONNECTIVITY_NUMBERS_MAX][CONNECTIVITY_NUMBER_BYTES];
};
/* Reads the file. e never says what is in it. */
enum st connectivity_numbers_read(const char *path, struct connectivity_numbers *out,
                                  struct err *e) ST_MUST_CHECK;
#define CONNECTIVITY_OUTBOX 4
#define CONNECTIVITY_SMS_BYTES 321
struct connectivity_outbox {
    const struct connectivity_sms_cfg *cfg;
    /* under the modem's lock: */
    size_t n;
    char text[CONNECTIVITY_OUTBOX][CONNECTIVITY_SMS_BYTES];
    /* the modem's thread alone: */
    char now[CONNECTIVITY_SMS_BYTES]; /* "": nothing is sent */
    size_t sent;                      /* so many numbers have it */
    unsigned tries;
    int64_t due_ms; /* physical */
    bool told;      /* that it fails; until one goes */
    size_t went;
    int64_t went_ms[CONNECTIVITY_SMS_HOUR_MAX];
};
extern const struct cfg_table connectivity_sms_table;
void connectivity_sms_check(struct cfg *c, const struct connectivity_cfg *cfg);
/* Sends what waits, if anything does and it is time; a stop ends it. Up to a minute a number. */
void connectivity_outbox_step(struct connectivity_modem *m, const struct connectivity_job *job);
/* One message to one number by the first modem that ModemManager knows of. ST_NOT_FOUND,
 * ST_TIMEOUT, ST_REFUSED, ST_IO, …: e says what to do, and no number; ST_STOPPED. */
enum st connectivity_manager_send(struct thr_stop *stop, const char *number, const char *text,
                                  struct err *e) ST_MUST_CHECK;

/* ---- its series (modem.c) -------------------------------------------------------------------- */

#define CONNECTIVITY_MODEM_ID "modem"
#define CONNECTIVITY_POINTS_MAX CONNECTIVITY_VALUES_MAX
struct connectivity_modem {
    const struct connectivity_modem_cfg *cfg;
    uint32_t device, series[CONNECTIVITY_POINTS_MAX]; /* UINT32_MAX: not wanted */
    int64_t next_ms;
    struct connectivity_dialog dialog;
    struct connectivity_portal portal;
    struct connectivity_outbox outbox;
    struct connectivity_setup setup;
    struct connectivity_health health;
    atomic_int seen;          /* its state at the last poll, and 1; 0: none yet. For paths */
    struct mono messages_due; /* physical; 0: none were looked for */
    int64_t messages_wait_ms;
    pthread_mutex_t lock; /* for what follows */
    char card[CONNECTIVITY_CARD_BYTES];
    size_t messages_n;
    struct connectivity_message messages[CONNECTIVITY_MESSAGES_MAX];
};
/* Looks for messages at once, then ever more seldom up to each 5 min, for a list may be long;
 * forgets them when the modem is gone, or its SIM card is. 15 s at most, and a stop ends it. */
void connectivity_messages_look(struct connectivity_modem *m, enum connectivity_modem_state state,
                                const struct thr_stop *stop);
/* Complains about points that there are not. */
void connectivity_modem_check(struct cfg *c, const struct connectivity_modem_cfg *cfg);
enum st connectivity_modem_declare(struct connectivity_modem *m, struct store *s,
                                   struct err *e) ST_MUST_CHECK;
/* One poll: opens the port where it is closed, asks, judges; at most `ms`, or as long as
 * connectivity_manager_ask takes. e: what the port, or the manager, said. */
enum connectivity_modem_state connectivity_modem_ask(struct connectivity_modem *m, int64_t ms,
                                                     const struct thr_stop *stop,
                                                     struct connectivity_radio *r, struct err *e);

#endif
