/* A gateway that has sealed a day and its digest, and a command line to look at it with. Readings
 * every five minutes and windows of ten, from three hours before midnight of Viet Nam to half an
 * hour behind it, one poll missed. */
#ifndef TESTS_GATEWAY_CLI_DAY_H
#define TESTS_GATEWAY_CLI_DAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/cli/cli.h"
#include "tests/support/line.h"

#define DAY "2026-09-21"
#define DAY_MIDNIGHT INT64_C(1790010000000)

static inline void day_file(const char *dir, const char *name, const void *p, size_t n)
{
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline void day_pub(const struct line *l, const char *dir)
{
    struct wire_key *key = NULL;
    struct buf pem;
    buf_init(&pem, 4096);
    assert_int_equal(wire_key_load(&key, l->key, NULL), ST_OK);
    assert_int_equal(wire_pub_pem(wire_key_pub(key), &pem), ST_OK);
    day_file(dir, "device.pub", pem.p, pem.n);
    wire_key_free(key);
    buf_done(&pem);
}

/* Leaves the store closed, and beside it f.yaml and device.pub. */
static inline void day_make(struct line *l)
{
    char text[1000];
    l->seal_cfg.every_ms = 600000;
    for (uint32_t i = 0; i < l->devices; i++)
        l->period_ms[i] = 300000;
    l->utc_ms = DAY_MIDNIGHT - 3 * INT64_C(3600000);
    line_start(l);
    line_run(l, DAY_MIDNIGHT - 1200000);
    line_miss(l, 0, DAY_MIDNIGHT - 1200000, STORE_BUS);
    line_poll(l, 1, DAY_MIDNIGHT - 1200000, 7);
    line_to(l, DAY_MIDNIGHT - 900000);
    line_run(l, DAY_MIDNIGHT + 1800000 + 5000);
    line_stop(l);
    int n = snprintf(text, sizeof(text),
                     "gateway: {id: gw-01}\nstore: {path: %s}\nseal: {key: %s}\n", l->db, l->key);
    day_file(l->dir, "f.yaml", text, (size_t)n);
    day_pub(l, l->dir);
}

static inline int day_no_run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 77;
}

/* Runs "fieldpost ARGS…" with its standard output in `out` and its errors in `err`. */
static inline int day_cli(FILE *out, FILE *err, const char *const *args)
{
    char *argv[24] = {(char *)(uintptr_t) "fieldpost"};
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    (void)fflush(stdout);
    int so = dup(1), se = dup(2);
    assert_true(dup2(fileno(out), 1) >= 0 && dup2(fileno(err), 2) >= 0);
    int code = cli_main(argc, argv, day_no_run);
    (void)fflush(stdout);
    assert_true(dup2(so, 1) >= 0 && dup2(se, 2) >= 0);
    (void)close(so);
    (void)close(se);
    return code;
}

#endif
