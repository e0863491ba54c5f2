/* The city's requests: what serve.c, which runs the server, and lists.c share. */
#ifndef GATEWAY_CITY_SERVE_INT_H
#define GATEWAY_CITY_SERVE_INT_H

#include "gateway/city/est_int.h"

#define CITY_WORKERS 4 /* each handles one request at a time and holds one reading connection */
#define CITY_TOKEN_MAX 256

struct city {
    struct city_sign *sign;
    struct city_writer *writer;
    struct city_rate *rate;
    struct city_est *est; /* NULL: enrolment is off */
    struct city_deposits *deposits;
    struct city_silence *silence;
    struct http_server *http;
    pthread_mutex_t lock; /* of taken */
    pthread_cond_t given;
    struct city_db reader[CITY_WORKERS];
    bool taken[CITY_WORKERS];
    char token[CITY_TOKEN_MAX]; /* empty: loopback only */
};

/* A reading connection, until it is given back. Waits for one. */
struct city_db *city_reader_take(struct city *c);
void city_reader_give(struct city *c, const struct city_db *d);
/* The answer that refuses; sha256 (may be NULL): of the batch that is meant. */
void city_problem(struct http_answer *a, enum city_code code, const char *why,
                  const uint8_t *sha256);
/* false: this client asks too often, and the answer says when it may. */
bool city_in_time(struct city *c, const struct http_request *q, struct http_answer *a);
enum city_code city_gateway_of(struct city_db *d, const char *gw, int64_t *id, struct err *e);
/* Decimal digits without sign, space or leading zero. */
bool city_number(const char *text, uint64_t max, uint64_t *out);

/* ---- lists.c ---- */

/* Who sends the token in this file may read; without one this machine alone. */
enum st city_token_read(struct city *c, const char *path, struct err *e) ST_MUST_CHECK;
void city_list_readings(void *ctx, const struct http_request *q, struct http_answer *a);
void city_list_gaps(void *ctx, const struct http_request *q, struct http_answer *a);
void city_list_completeness(void *ctx, const struct http_request *q, struct http_answer *a);
void city_list_alarms(void *ctx, const struct http_request *q, struct http_answer *a);
void city_list_changes(void *ctx, const struct http_request *q, struct http_answer *a);

#endif
