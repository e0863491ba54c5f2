#include "tests/sim/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/base/buf.h"

static enum st read_all(int fd, struct buf *b, const char *path, struct err *e)
{
    for (;;) {
        enum st st = buf_reserve(b, 64 * 1024);
        if (st != ST_OK)
            return err_set(e, st, "%s: more than %d bytes", path, SIM_TRACE_MAX_BYTES);
        ssize_t n = read(fd, b->p + b->n, b->cap - b->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, ST_IO, "%s: %s", path, strerror(errno));
        if (n == 0)
            return ST_OK;
        b->n += (size_t)n;
    }
}

static enum st read_xz(const char *path, struct buf *b, struct err *e)
{
    char *argv[] = {"xz", "-dc", (char *)path, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(e, ST_IO, "pipe: %s", strerror(errno));
    if (posix_spawn_file_actions_init(&actions) != 0) {
        close(ends[0]);
        close(ends[1]);
        return err_set(e, ST_MEMORY, "no memory to start xz");
    }
    int rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawnp(&pid, "xz", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        return err_set(e, ST_IO, "xz: %s (install xz-utils)", strerror(rc));
    }
    enum st st = read_all(ends[0], b, path, e);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (st == ST_OK && status != 0)
        st = err_set(e, ST_CORRUPT, "%s: xz cannot read it", path);
    return st;
}

static enum st read_trace(const char *dir, const char *name, struct buf *b, struct err *e)
{
    char path[4096];
    enum st st;

    snprintf(path, sizeof(path), "%s/%s.csv", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        st = read_all(fd, b, path, e);
        close(fd);
        return st;
    }
    snprintf(path, sizeof(path), "%s/%s.csv.xz", dir, name);
    if (access(path, R_OK) != 0)
        return err_set(e, ST_NOT_FOUND, "trace %s: neither %s/%s.csv nor %s can be read", name, dir,
                       name, path);
    return read_xz(path, b, e);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sim_series *)a)->name, ((const struct sim_series *)b)->name);
}

static struct sim_series *series_of(struct sim_trace *t, const char *name)
{
    /* The rows of one instant stand together, so the wanted series was seen lately; a linear
     * search over a few hundred names is done once a row at start. */
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->series[i].name, name) == 0)
            return &t->series[i];
    struct sim_series *more = reallocarray(t->series, t->n + 1, sizeof(*more));
    if (more == NULL)
        return NULL;
    t->series = more;
    more[t->n] = (struct sim_series){.name = strdup(name)};
    return more[t->n].name != NULL ? &more[t->n++] : NULL;
}

static enum st add_row(struct sim_trace *t, char *line, struct err *e)
{
    char *value = strrchr(line, ','), *comma = strchr(line, ','), *end;
    if (comma == NULL || comma == value)
        return err_set(e, ST_BAD, "trace %s: not series,ts_ms,value: %.60s", t->name, line);
    *comma = '\0';
    double v = strtod(value + 1, &end);
    if (end == value + 1 || *end != '\0')
        return err_set(e, ST_BAD, "trace %s: not a number: %.60s", t->name, value + 1);
    struct sim_series *s = series_of(t, line);
    if (s == NULL)
        return err_set(e, ST_MEMORY, "no memory for trace %s", t->name);
    if ((s->n & (s->n - 1)) == 0) { /* full: 0, 1, 2, 4, 8, … */
        double *rows = reallocarray(s->rows, s->n == 0 ? 1 : s->n * 2, sizeof(*rows));
        if (rows == NULL)
            return err_set(e, ST_MEMORY, "no memory for trace %s", t->name);
        s->rows = rows;
    }
    s->rows[s->n++] = v;
    return ST_OK;
}

enum st sim_trace_load(struct sim_trace *t, const char *dir, const char *name, struct err *e)
{
    struct buf b;
    enum st st;

    memset(t, 0, sizeof(*t));
    buf_init(&b, SIM_TRACE_MAX_BYTES);
    t->name = strdup(name);
    st = t->name == NULL ? err_set(e, ST_MEMORY, "no memory for trace %s", name)
                         : read_trace(dir, name, &b, e);
    if (st == ST_OK)
        st = buf_put(&b, "", 1);
    if (st != ST_OK)
        goto out;
    char *save = NULL, *line = strtok_r((char *)b.p, "\r\n", &save);
    if (line != NULL) /* the header */
        line = strtok_r(NULL, "\r\n", &save);
    for (; line != NULL && st == ST_OK; line = strtok_r(NULL, "\r\n", &save))
        st = add_row(t, line, e);
    if (t->n > 0)
        qsort(t->series, t->n, sizeof(*t->series), by_name);
out:
    buf_done(&b);
    if (st != ST_OK)
        sim_trace_done(t);
    return st;
}

void sim_trace_done(struct sim_trace *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->series[i].name);
        free(t->series[i].rows);
    }
    free(t->series);
    free(t->name);
    memset(t, 0, sizeof(*t));
}

const struct sim_series *sim_trace_find(const struct sim_trace *t, const char *series)
{
    struct sim_series key = {.name = (char *)series};
    return t->n == 0 ? NULL : bsearch(&key, t->series, t->n, sizeof(key), by_name);
}
