/* The signing process: signs what this process would sign itself, is shut in, and comes back when
 * it was killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"
#include "tests/support/temp.h"

struct world {
    char *dir, key[256];
    struct signer *s;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e = {.text = ""};
    assert_non_null(w);
    w->dir = temp_make();
    assert_non_null(w->dir);
    snprintf(w->key, sizeof w->key, "%s/device.key", w->dir);
    if (wire_key_make(w->key, &e) != ST_OK || signer_fork(&w->s, w->key, NULL, &e) != ST_OK)
        fail_msg("%s", e.text);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    signer_close(w->s);
    temp_done(w->dir);
    free(w);
    return 0;
}

/* ---- processes ---- */

static pid_t parent_of(pid_t pid, char name[32])
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    pid_t parent = 0;
    name[0] = '\0';
    if (f && fgets(line, sizeof line, f)) {
        char *open = strchr(line, '('), *close = strrchr(line, ')');
        if (open && close) {
            snprintf(name, 32, "%.*s", (int)(close - open - 1), open + 1);
            parent = close[2] == 'Z' ? 0 : (pid_t)strtol(close + 4, NULL, 10);
        }
    }
    if (f)
        fclose(f);
    return parent;
}

/* The child of that name; 0: there is none now. */
static pid_t child_of(pid_t parent, const char *name)
{
    pid_t found = 0;
    DIR *d = opendir("/proc");
    assert_non_null(d);
    for (const struct dirent *x; !found && (x = readdir(d));) {
        char its[32];
        pid_t pid = (pid_t)strtol(x->d_name, NULL, 10);
        if (pid > 0 && parent_of(pid, its) == parent && strcmp(its, name) == 0)
            found = pid;
    }
    closedir(d);
    return found;
}

static pid_t signer_pid(void)
{
    pid_t keeper = child_of(getpid(), "fp-keeper");
    assert_true(keeper > 0);
    for (int i = 0; i < 1000; i++, (void)poll(NULL, 0, 10)) {
        pid_t pid = child_of(keeper, "fp-signer");
        if (pid > 0)
            return pid;
    }
    fail_msg("no signing process");
    return 0;
}

static enum st sign(struct signer *s, const uint8_t hash[32], uint8_t sig[64], struct err *e)
{
    const struct wire_signer *k = signer_now(s);
    return k->sign(k->ctx, hash, sig, e);
}

/* ---- tests ---- */

static void it_signs_as_this_process_would(void **state)
{
    struct world *w = *state;
    struct signer *here;
    uint8_t hash[32] = {1, 2, 3}, a[64], b[64];
    struct err e = {.text = ""};
    assert_int_equal(signer_here(&here, w->key, NULL, &e), ST_OK);
    for (int i = 0; i < 8; i++) {
        hash[31] = (uint8_t)i;
        if (sign(w->s, hash, a, &e) != ST_OK)
            fail_msg("%s", e.text);
        assert_int_equal(sign(here, hash, b, &e), ST_OK);
        assert_memory_equal(a, b, sizeof a); /* RFC 6979 */
    }
    signer_close(here);
}

static void status_has(pid_t pid, const char *want)
{
    char path[64], text[8192];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    if (!strstr(text, want))
        fail_msg("no %s in\n%s", want, text);
}

static void it_has_no_rights_and_no_files(void **state)
{
    struct world *w = *state;
    pid_t pid = signer_pid();
    char path[64];
    int fds = 0;
    status_has(pid, "NoNewPrivs:\t1\n");
    status_has(pid, "CapEff:\t0000000000000000\n");
    status_has(pid, "CapPrm:\t0000000000000000\n");
    if (!signer_lacks(w->s)[0])
        status_has(pid, "Seccomp:\t2\n");
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    if (!d) { /* it shows them to root alone */
        assert_int_not_equal(geteuid(), 0);
        return;
    }
    for (const struct dirent *x; (x = readdir(d));) {
        char name[64], to[64] = "";
        if (x->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%.8s", path, x->d_name);
        assert_true(readlink(name, to, sizeof to - 1) > 0);
        assert_true(strcmp(to, "/dev/null") == 0 || strncmp(to, "socket:", 7) == 0 ||
                    strncmp(to, "pipe:", 5) == 0);
        fds++;
    }
    closedir(d);
    assert_int_equal(fds, 5);
}

/* What the process tries once it is shut in; the exit code says what went wrong, 0 nothing. */
static int try_all(const char *key)
{
    char lacks[SIGNER_TEXT];
    struct signer_ring ring;
    uint8_t sig[64], hash[32] = {7};
    int spare = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (signer_shield(NULL) != ST_OK || signer_ring_open(&ring, key, NULL, NULL) != ST_OK ||
        signer_confine(false, lacks, NULL) != ST_OK)
        return 1;
    if (lacks[0])
        return 77;
    if (open(key, O_RDONLY) >= 0 || errno != EPERM)
        return 2;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 3;
    if (fork() >= 0 || errno != EPERM)
        return 4;
    char *const args[] = {(char *)(uintptr_t) "true", NULL};
    if (execv("/bin/true", args) == 0 || errno != EPERM)
        return 5;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
        errno != EPERM)
        return 6;
    if (kill(getppid(), 0) == 0 || errno != EPERM)
        return 7;
    if (ftruncate(spare, 0) == 0 || errno != EPERM)
        return 8;
    return ring.now->sign(ring.now->ctx, hash, sig, NULL) == ST_OK &&
                   wire_pub_check(ring.now->pub, hash, sig, NULL) == ST_OK
               ? 0
               : 9;
}

static void shut_in_it_can_sign_and_nothing_else(void **state)
{
    struct world *w = *state;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_all(w->key));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        print_message("skipped: signer: this kernel cannot filter system calls\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void killed_it_says_so_and_comes_back(void **state)
{
    struct world *w = *state;
    uint8_t hash[32] = {5}, sig[64];
    struct err e = {.text = ""};
    for (int i = 0; i < 2; i++) {
        pid_t pid = signer_pid();
        assert_int_equal(signer_ready(w->s, &e), ST_OK);
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (signer_ready(w->s, &e) == ST_OK) /* it is told without being asked to sign */
            (void)poll(NULL, 0, 1);
        assert_non_null(strstr(e.text, "signal 9"));
        assert_int_equal(sign(w->s, hash, sig, &e), ST_IO);
        enum st st = ST_IO;
        for (int t = 0; st != ST_OK && t < 1000; t++, (void)poll(NULL, 0, 10))
            st = signer_ready(w->s, &e);
        assert_int_equal(st, ST_OK);
        assert_int_equal(sign(w->s, hash, sig, &e), ST_OK);
        assert_int_equal(wire_pub_check(signer_now(w->s)->pub, hash, sig, &e), ST_OK);
        const char *how;
        assert_int_equal(signer_ends(w->s, &how), i + 1);
        assert_non_null(strstr(how, "signal 9"));
    }
}

/* Killed while it is asked: a signature that fits, or an error. */
static void killed_while_it_signs(void **state)
{
    struct world *w = *state;
    uint8_t hash[32] = {9}, sig[64];
    unsigned good = 0, bad = 0;
    for (int i = 0; i < 40; i++) {
        struct err e = {.text = ""};
        if (i % 8 == 4)
            (void)kill(signer_pid(), SIGKILL);
        hash[0] = (uint8_t)i;
        if (sign(w->s, hash, sig, &e) == ST_OK) {
            assert_int_equal(wire_pub_check(signer_now(w->s)->pub, hash, sig, &e), ST_OK);
            good++;
        } else {
            bad++;
            for (int t = 0; signer_ready(w->s, &e) != ST_OK && t < 1000; t++)
                (void)poll(NULL, 0, 10);
        }
    }
    assert_true(good >= 30);
    assert_true(bad > 0);
}

static void another_key_needs_a_restart(void **state)
{
    struct world *w = *state;
    uint8_t hash[32] = {5}, sig[64];
    struct err e = {.text = ""};
    assert_int_equal(unlink(w->key), 0);
    assert_int_equal(wire_key_make(w->key, &e), ST_OK);
    assert_int_equal(kill(signer_pid(), SIGKILL), 0);
    enum st st = ST_OK;
    for (int t = 0; st != ST_CONFLICT && t < 1000; t++, (void)poll(NULL, 0, 10))
        st = signer_ready(w->s, &e);
    assert_int_equal(st, ST_CONFLICT);
    assert_int_equal(sign(w->s, hash, sig, &e), ST_CONFLICT);
    assert_non_null(strstr(e.text, "restart"));
}

static void the_next_key_takes_over(void **state)
{
    struct world *w = *state;
    uint8_t hash[32] = {5}, sig[64];
    const char *fault;
    struct err e = {.text = ""};
    assert_null(signer_next(w->s, &fault));
    assert_null(fault);
    assert_int_equal(signer_make_next(w->key, &e), ST_OK);
    assert_int_equal(signer_make_next(w->key, &e), ST_CONFLICT);
    assert_int_equal(signer_look(w->s, &e), ST_OK);
    const struct wire_signer *next = signer_next(w->s, &fault);
    assert_non_null(next);
    assert_int_equal(next->sign(next->ctx, hash, sig, &e), ST_OK);
    assert_int_equal(wire_pub_check(next->pub, hash, sig, &e), ST_OK);
    assert_int_equal(wire_pub_check(signer_now(w->s)->pub, hash, sig, &e), ST_CORRUPT);
    if (signer_promote(w->s, &e) != ST_OK)
        fail_msg("%s", e.text);
    assert_ptr_equal(signer_now(w->s), next);
    assert_null(signer_next(w->s, &fault));
    assert_int_equal(next->sign(next->ctx, hash, sig, &e), ST_OK);
    assert_int_equal(signer_promote(w->s, &e), ST_OK);
    assert_int_equal(kill(signer_pid(), SIGKILL), 0);
    enum st st = ST_IO;
    for (int t = 0; st != ST_OK && t < 1000; t++, (void)poll(NULL, 0, 10))
        st = sign(w->s, hash, sig, &e);
    assert_int_equal(st, ST_OK);
}

static void both_end_when_nobody_is_left_to_ask(void **state)
{
    struct world *w = *state;
    pid_t keeper = child_of(getpid(), "fp-keeper"), pid = signer_pid();
    signer_close(w->s);
    w->s = NULL;
    assert_int_not_equal(kill(keeper, 0), 0);
    assert_int_not_equal(kill(pid, 0), 0);
}

static void a_key_that_cannot_be_used_is_told_at_the_start(void **state)
{
    struct world *w = *state;
    struct signer *s = NULL;
    char path[300];
    struct err e = {.text = ""};
    snprintf(path, sizeof path, "%s.gone", w->key);
    assert_int_equal(signer_fork(&s, path, NULL, &e), ST_NOT_FOUND);
    assert_non_null(strstr(e.text, "fieldpost keygen --out"));
    assert_int_equal(chmod(w->key, 0644), 0);
    assert_int_equal(signer_fork(&s, w->key, NULL, &e), ST_REFUSED);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        T(it_signs_as_this_process_would),
        T(it_has_no_rights_and_no_files),
        T(shut_in_it_can_sign_and_nothing_else),
        T(killed_it_says_so_and_comes_back),
        T(killed_while_it_signs),
        T(another_key_needs_a_restart),
        T(the_next_key_takes_over),
        T(both_end_when_nobody_is_left_to_ask),
        T(a_key_that_cannot_be_used_is_told_at_the_start),
    };
    return cmocka_run_group_tests_name("signing process", tests, NULL, NULL);
}
