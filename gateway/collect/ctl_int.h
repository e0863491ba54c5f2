/* Private to the control socket's two ends. */
#ifndef GATEWAY_COLLECT_CTL_INT_H
#define GATEWAY_COLLECT_CTL_INT_H

#include <sys/un.h>

#include "gateway/collect/collect_int.h"

#define CTL_SUFFIX ".control"
#define CTL_NAME_BYTES 64 /* of the store's file and the suffix, within an address of a socket */
#define CTL_PATH_BYTES 1024
#define CTL_DIAL_S 5

/* The address of the socket beside the store, whose folder stays open as long as it is used:
 * *folder is the caller's to close. ST_BAD: the path is too long; ST_NOT_FOUND: there is no such
 * folder. */
enum st collect_ctl_address(const char *store_path, int *folder, char name[CTL_NAME_BYTES],
                            struct sockaddr_un *a, struct err *e) ST_MUST_CHECK;
/* Connects to the gateway on this store: *fd is the caller's to close. ST_NOT_FOUND: none runs. */
enum st collect_ctl_dial(const char *store_path, int *fd, struct err *e) ST_MUST_CHECK;

/* ---- setting a device up (commission.c) ------------------------------------------------------ */

/* What a gateway says to who sets up a device, a line of JSON each. To ASK the reply is a line: an
 * empty one when it is done, any other when it is not. Behind DONE nothing comes. */
enum collect_news_kind { COLLECT_NEWS_SAY, COLLECT_NEWS_ASK, COLLECT_NEWS_DONE };
struct collect_news {
    enum collect_news_kind kind;
    char text[512];                 /* of DONE: why it failed */
    enum st st;                     /* of DONE */
    struct collect_setup_done done; /* of DONE */
};
enum st collect_news_parse(const char *p, size_t n, struct collect_news *w,
                           struct err *e) ST_MUST_CHECK;
/* The length with its '\n'; 0: no memory. */
size_t collect_news_print(const struct collect_news *w, char text[COLLECT_REPLY_TEXT]);

/* The thread that sets up one device at a time, for clients of the control socket. */
struct collect_commission;
enum st collect_commission_open(struct collect_commission **out, const struct collect *k,
                                const char *store_path, const struct clk *clk,
                                struct thr_stop *stop, struct err *e) ST_MUST_CHECK;
/* Hands it a request and its connection, which is its own then. ST_BUSY: it is at another. */
enum st collect_commission_leave(struct collect_commission *c, struct collect_bus *b,
                                 const struct collect_ask *q, int fd) ST_MUST_CHECK;
void collect_commission_main(struct collect_commission *c);
void collect_commission_close(struct collect_commission *c); /* once it has ended; takes NULL */

#endif
