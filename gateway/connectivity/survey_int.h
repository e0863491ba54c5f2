/* Private to the connectivity room: what the files of the survey share. */
#ifndef GATEWAY_CONNECTIVITY_SURVEY_INT_H
#define GATEWAY_CONNECTIVITY_SURVEY_INT_H

#include "gateway/connectivity/modem_int.h"

/* ---- the area -------------------------------------------------------------------------------- */

struct connectivity_position {
    double lat, lon;
};
struct connectivity_ring {
    size_t first, n; /* of position */
    size_t polygon;  /* rings of one polygon stand behind each other */
};
struct connectivity_area {
    struct connectivity_position *position;
    struct connectivity_ring *ring;
    size_t npositions, position_cap, nrings, ring_cap, npolygons;
    double south, west, north, east;
};
/* Whether the edge from p to the position behind it crosses that latitude, and where. */
bool connectivity_area_cross(const struct connectivity_position *p, double lat, double *lon);
/* Metres of a degree at that latitude. */
void connectivity_metres(double lat, double *per_lat, double *per_lon);
/* The whole file, which is max bytes at most (ST_FULL). Free `out`, also after a failure. */
enum st connectivity_file_read(const char *path, size_t max, struct buf *out,
                               struct err *e) ST_MUST_CHECK;

/* ---- the result ------------------------------------------------------------------------------ */

/* A word of covered_by. */
bool connectivity_survey_word(const char *word, unsigned *bit);

/* ---- the configuration (survey_cfg.c) -------------------------------------------------------- */

extern const struct cfg_table connectivity_survey_table;
/* has_modem: one is configured, without which the gateway cannot walk. */
void connectivity_survey_check(struct cfg *c, const struct connectivity_survey_cfg *cfg,
                               bool has_modem);

/* ---- gpsd (survey_gps.c): gpsd_json(5) ------------------------------------------------------- */

#define CONNECTIVITY_GPS_LINE 16384 /* a report of all satellites has some 6000 */
#define CONNECTIVITY_GPS_STALE_MS 10000
enum connectivity_gps_state {
    CONNECTIVITY_GPS_AWAY,    /* no gpsd, or it says nothing */
    CONNECTIVITY_GPS_NOTHING, /* gpsd has no receiver */
    CONNECTIVITY_GPS_NO_FIX,
    CONNECTIVITY_GPS_STALE, /* the last fix is old: CONNECTIVITY_GPS_STALE_MS */
    CONNECTIVITY_GPS_2D,
    CONNECTIVITY_GPS_3D
};
struct connectivity_gps {
    int fd;            /* -1: closed */
    struct mono again; /* when it is tried next */
    bool heard;        /* gpsd has said something since it was opened */
    int receivers;     /* -1: not said */
    int mode;          /* of the latest report: 2, 3; less: no fix */
    double lat, lon;
    struct num alt_m, error_m;
    char time[40];      /* of the fix, as the receiver says */
    struct mono fix_at; /* when that last moved on */
    size_t n;           /* of line */
    bool skip;          /* the line is too long: its rest is dropped */
    char line[CONNECTIVITY_GPS_LINE];
};
void connectivity_gps_init(struct connectivity_gps *g);
void connectivity_gps_close(struct connectivity_gps *g); /* takes a closed one */
/* One line of gpsd. What it does not know, or what is no JSON, changes nothing. */
void connectivity_gps_take(struct connectivity_gps *g, const char *line, size_t n, struct mono now);
enum connectivity_gps_state connectivity_gps_judge(const struct connectivity_gps *g,
                                                   struct mono now);
/* Opens what is closed (tried each 5 s), and hears it for ms at most; a stop ends it. */
void connectivity_gps_hear(struct connectivity_gps *g, const struct connectivity_address *to,
                           const struct clk *clk, struct thr_stop *stop, int64_t ms);
/* "127.0.0.1:2947", "[::1]:2947", "localhost:2947". */
bool connectivity_gps_address(const char *text, struct connectivity_address *out);

/* ---- a phone's position (survey_phone.c) ------------------------------------------------------
 */

#define CONNECTIVITY_FROM_BYTES (sizeof((struct connectivity_phone_fix *)NULL)->from)
struct connectivity_phone {
    bool is;
    struct connectivity_phone_fix fix; /* the latest that was taken */
    struct mono fix_at, taken;         /* when it was, at the earliest; when it came */
    int64_t ahead_ms;                  /* of the phone's stamps, as its fastest fix came */
};
/* As connectivity_phone. cell_m: an accuracy of more than half of it is refused. */
enum st connectivity_phone_take(struct connectivity_phone *p,
                                const struct connectivity_phone_fix *f, int64_t cell_m,
                                struct mono now, bool *fresh, struct err *e) ST_MUST_CHECK;
/* No fix, stale, 2D or 3D. */
enum connectivity_gps_state connectivity_phone_judge(const struct connectivity_phone *p,
                                                     struct mono now);

/* ---- the walk (survey_walk.c)
 * -------------------------------------------------------------------- */

#define CONNECTIVITY_SURVEY_ID "survey"
/* What the series `state` says; numbers are in signed batches and never change. */
enum connectivity_walk_state {
    CONNECTIVITY_WALK_SAMPLED = 0,
    CONNECTIVITY_WALK_AWAY = 1,
    CONNECTIVITY_WALK_NO_RECEIVER = 2,
    CONNECTIVITY_WALK_NO_FIX = 3,
    CONNECTIVITY_WALK_STALE = 4,
    CONNECTIVITY_WALK_NO_MODEM = 5,    /* it did not answer, or has no network */
    CONNECTIVITY_WALK_NO_TRANSFER = 6, /* nothing flowed while it was asked */
    CONNECTIVITY_WALK_SPENT = 7,       /* the month's data */
    CONNECTIVITY_WALK_STILL = 8,       /* near the last sample */
    CONNECTIVITY_WALK_MOVED = 9,       /* half a cell or more, or the fix was lost, meanwhile */
    CONNECTIVITY_WALK_STATES
};
#define CONNECTIVITY_WALK_POINTS 16
/* What moves the modem's data within the time of a poll: less is no transfer. */
#define CONNECTIVITY_WALK_BUSY_BYTES 16384
#define CONNECTIVITY_WALK_STILL_M 20
#define CONNECTIVITY_WALK_BUDGET "survey:data"
struct connectivity_walk_answer {
    uint64_t request; /* that it answers; 0: none */
    enum connectivity_modem_state state;
    int64_t moved_bytes; /* over the interface while the modem was asked; -1: not known */
    struct connectivity_radio radio;
};
/* What the series `source` says; in signed batches, as the state. */
enum connectivity_source { CONNECTIVITY_BY_GPSD = 0, CONNECTIVITY_BY_BROWSER = 1 };
struct connectivity_place {
    enum connectivity_source source;
    int mode; /* 2, 3 */
    double lat, lon;
    struct num alt_m, error_m;
};
struct connectivity_walk {
    const struct connectivity_survey_cfg *cfg;
    struct connectivity_address gpsd; /* where cfg->gpsd is */
    uint32_t device, series[CONNECTIVITY_WALK_POINTS];
    int64_t next_ms;
    struct connectivity_gps gps;
    struct connectivity_health health;
    bool has_last; /* where and on which day the last sample was taken */
    double last_lat, last_lon;
    int64_t last_day;
    struct store_budget budget; /* kept as CONNECTIVITY_WALK_BUDGET */
    bool loaded;                /* from the store */
    /* What the modem's thread is asked, and what it answered. */
    pthread_mutex_t m;
    bool wanted;
    uint64_t request; /* the number of the latest */
    struct connectivity_walk_answer answer;
    struct connectivity_phone phone; /* given by whoever serves the page */
    bool gps_has_fix;                /* as the walk saw it last: for that one */
};
enum st connectivity_walk_open(struct connectivity_walk **out,
                               const struct connectivity_survey_cfg *cfg,
                               struct err *e) ST_MUST_CHECK;
void connectivity_walk_close(struct connectivity_walk *w); /* takes NULL */
enum st connectivity_walk_declare(struct connectivity_walk *w, struct store *s,
                                  struct err *e) ST_MUST_CHECK;
/* The month's data, of the walk's thread. A sample's most is counted before it is fetched, so that
 * a power cut gives nothing away; false: the month has no more, or it could not be kept, and
 * nothing may be fetched. Then what it truly was. */
bool connectivity_walk_reserve(struct connectivity_walk *w, const struct connectivity_job *job);
void connectivity_walk_used(struct connectivity_walk *w, const struct connectivity_job *job,
                            int64_t bytes);
/* Between the two threads: the walk wants an answer; the modem's thread takes the request (0: there
 * is none) and gives its answer, which is dropped when another request was made since. */
void connectivity_walk_want(struct connectivity_walk *w);
uint64_t connectivity_walk_take(struct connectivity_walk *w);
void connectivity_walk_give(struct connectivity_walk *w, const struct connectivity_walk_answer *a);
/* Copies the answer to the latest request; a request that is given up and not taken yet is not
 * taken later. */
bool connectivity_walk_answered(struct connectivity_walk *w, bool give_up,
                                struct connectivity_walk_answer *out);
/* Where the gateway is: by gpsd, else by a phone. Less than CONNECTIVITY_GPS_2D: *out is untouched,
 * and gpsd's state counts where there is one. The walk's thread. */
enum connectivity_gps_state connectivity_walk_place(struct connectivity_walk *w, struct mono now,
                                                    struct connectivity_place *out);
/* Whether there is a fresh fix, within half a cell of that position. */
bool connectivity_walk_near(struct connectivity_walk *w, double lat, double lon, struct mono now);
/* The modem's thread: asks it once more when the walk wants that. */
void connectivity_walk_ask(struct connectivity_walk *w, struct connectivity_modem *m,
                           const struct connectivity_job *job);

/* ---- fields of a survey app (survey_field.c) ------------------------------------------------- */

/* A field as it stood in the file, without quotes and blanks around it; a view. */
struct connectivity_text {
    const char *p;
    size_t n;
};
/* Nothing, or a mark for it: -, N/A, null, unknown, Android's 2147483647. */
bool connectivity_text_none(struct connectivity_text t);
/* A number with decimal point or comma, without exponent. */
bool connectivity_text_num(struct connectivity_text t, struct num *out);
/* Epoch in s or ms, or year first, or day.month.year: 2026-11-26T08:00:00.250+07:00,
 * 2026/11/26 08:00:00, 2026.11.26_08.00.00, 26.11.2026 08:00:00. */
bool connectivity_text_time(struct connectivity_text t, int64_t utc_offset_ms, int64_t *t_ms);
/* "45204", "452-04", "452/04", "452 04". */
bool connectivity_text_plmn(struct connectivity_text t, uint32_t *plmn);
/* "LTE", "4G", "5G NSA", "NR", "HSPA+", … */
bool connectivity_text_tech(struct connectivity_text t, enum connectivity_survey_tech *tech);

/* ---- rows of a survey app's file (survey_row.c) ---------------------------------------------- */

#define CONNECTIVITY_ROW_FIELDS 128
/* So many lines a row may have, by line ends within quotes. So no line is read more often than
 * that, whatever quotes a file has. */
#define CONNECTIVITY_ROW_LINES 16
struct connectivity_rows {
    const char *p, *end;
    uint32_t line; /* of what is read next */
    char between;
};
struct connectivity_row {
    struct connectivity_text field[CONNECTIVITY_ROW_FIELDS]; /* views */
    size_t n;
    uint32_t line;      /* its first */
    bool open, crowded; /* a quote without an end; more columns than we take */
};
/* Passes over comments and empty lines; false: there was no other row. A quote has no end, too,
 * where it ends on another line in the middle of a field, or the row then is not of so many columns
 * (0: of any). What is read next then is the line behind the row's first. */
bool connectivity_row_next(struct connectivity_rows *r, size_t columns,
                           struct connectivity_row *out);
/* Drops empty fields behind the last column. */
bool connectivity_row_fits(struct connectivity_row *row, size_t columns);

#endif
